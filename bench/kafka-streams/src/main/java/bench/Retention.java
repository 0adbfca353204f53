package bench;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;

/**
 * First, last, count, windows of 7, 30 and 90 days, score and alert: bench/peers/jobs.py says what they
 * are. The state is what its `pack` writes.
 */
final class Retention implements Processor<byte[], byte[], byte[], byte[]> {
    private static final long DAY = 86_400_000;
    private static final double ALERT_SCORE = 3.0;
    private static final int HEAD = 28;
    private static final int ENTRY = 12;

    private final Progress progress;
    private ProcessorContext<byte[], byte[]> context;
    private KeyValueStore<byte[], byte[]> customers;

    Retention(Progress progress) {
        this.progress = progress;
    }

    @Override
    public void init(ProcessorContext<byte[], byte[]> given) {
        context = given;
        customers = given.getStateStore(Main.STORE);
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
        progress.begin();
        Purchase purchase = Purchase.of(record.value(), true);
        byte[] before = customers.get(record.key());
        if (before == null) {
            customers.put(record.key(), first(purchase));
        } else {
            fold(record, purchase, ByteBuffer.wrap(before));
        }
        progress.end(1);
    }

    private static byte[] first(Purchase purchase) {
        return ByteBuffer.allocate(HEAD + ENTRY)
                .putLong(purchase.at()).putLong(purchase.at()).putInt(1).putLong(purchase.amount())
                .putLong(purchase.at()).putInt(purchase.amount())
                .array();
    }

    private void fold(Record<byte[], byte[]> record, Purchase purchase, ByteBuffer before) {
        long at = purchase.at();
        long firstAt = before.getLong();
        long lastAt = before.getLong();
        int orders = before.getInt();
        long spend = before.getLong();
        // Oldest first, so what has left the windows is a stretch at the beginning.
        int kept = HEAD;
        while (kept < before.capacity() && before.getLong(kept) <= at - 90 * DAY) {
            kept += ENTRY;
        }
        int[] counts = {1, 1, 1};
        long[] sums = {purchase.amount(), purchase.amount(), purchase.amount()};
        for (int place = kept; place < before.capacity(); place += ENTRY) {
            long then = before.getLong(place);
            int paid = before.getInt(place + 8);
            counts[2]++;
            sums[2] += paid;
            if (then > at - 30 * DAY) {
                counts[1]++;
                sums[1] += paid;
                if (then > at - 7 * DAY) {
                    counts[0]++;
                    sums[0] += paid;
                }
            }
        }
        ByteBuffer after = ByteBuffer.allocate(HEAD + before.capacity() - kept + ENTRY)
                .putLong(firstAt).putLong(at).putInt(orders + 1).putLong(spend + purchase.amount())
                .put(before.array(), kept, before.capacity() - kept)
                .putLong(at).putInt(purchase.amount());
        customers.put(record.key(), after.array());
        long usual = lastAt - firstAt;
        double score = usual == 0 ? 0 : (double) ((at - lastAt) * (orders - 1)) / usual;
        if (score >= ALERT_SCORE) {
            context.forward(record.withValue(alert(record.key(), at, score, counts, sums)));
        }
    }

    private static byte[] alert(byte[] key, long at, double score, int[] counts, long[] sums) {
        String customer = new String(key, StandardCharsets.UTF_8);
        return ("{\"customer_id\":\"" + customer + "\",\"at\":" + at + ",\"score\":" + score
                + ",\"orders\":[" + counts[0] + "," + counts[1] + "," + counts[2]
                + "],\"spend\":[" + sums[0] + "," + sums[1] + "," + sums[2] + "]}")
                .getBytes(StandardCharsets.UTF_8);
    }
}
