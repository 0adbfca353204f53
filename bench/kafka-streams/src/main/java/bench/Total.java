package bench;

import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;

/** The running sum of a customer's purchases. */
final class Total implements Processor<byte[], byte[], byte[], byte[]> {
    private final Progress progress;
    private KeyValueStore<byte[], Long> totals;

    Total(Progress progress) {
        this.progress = progress;
    }

    @Override
    public void init(ProcessorContext<byte[], byte[]> context) {
        totals = context.getStateStore(Main.STORE);
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
        progress.begin();
        Long before = totals.get(record.key());
        totals.put(record.key(), (before == null ? 0 : before) + Purchase.of(record.value(), false).amount());
        progress.end(1);
    }
}
