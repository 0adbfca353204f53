package bench;

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.AppInfoParser;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.ProcessorSupplier;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/**
 * Kafka Streams at a job: the Processor API, a store in memory with its changelog.
 *
 * <p>Options as of bench/peers/announce.py, besides: --guarantee at_least_once or exactly_once_v2,
 * --threads N, --cache-megabytes N (0: each update goes to the changelog at once). It ends in order
 * when so many events have been folded: flush, commit, leave.
 */
public final class Main {
    static final String STORE = "customers";
    private static final String SINK = "alerts";

    private Main() {}

    public static void main(String[] words) throws InterruptedException {
        Map<String, String> given = options(words);
        Progress.say("versions", "\"kafka-streams\": \"" + AppInfoParser.getVersion()
                + "\", \"java\": \"" + Runtime.version() + "\"");
        Progress progress = new Progress(Long.parseLong(given.get("events")));
        if (given.get("job").equals("drain")) {
            Drain.run(given, progress);
            return;
        }
        boolean cached = !given.get("cache-megabytes").equals("0");
        CountDownLatch failed = new CountDownLatch(1);
        try (KafkaStreams streams = new KafkaStreams(topology(given, progress, cached), settings(given))) {
            streams.setUncaughtExceptionHandler(error -> {
                error.printStackTrace();
                failed.countDown();
                progress.giveUp();
                return org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler
                        .StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
            });
            streams.start();
            progress.await();
            streams.close(Duration.ofSeconds(60));
        }
        if (failed.getCount() == 0) {
            System.exit(1);
        }
    }

    private static Topology topology(Map<String, String> given, Progress progress, boolean cached) {
        boolean total = given.get("job").equals("total");
        StoreBuilder<?> store = total
                ? kept(Stores.keyValueStoreBuilder(
                        Stores.inMemoryKeyValueStore(STORE), Serdes.ByteArray(), Serdes.Long()), cached)
                : kept(Stores.keyValueStoreBuilder(
                        Stores.inMemoryKeyValueStore(STORE), Serdes.ByteArray(), Serdes.ByteArray()), cached);
        ProcessorSupplier<byte[], byte[], byte[], byte[]> fold =
                total ? () -> new Total(progress) : () -> new Retention(progress);
        return new Topology()
                .addSource("purchases", given.get("topic"))
                .addProcessor("fold", fold, "purchases")
                .addStateStore(store, "fold")
                .addSink(SINK, given.get("alerts"), "fold");
    }

    private static StoreBuilder<?> kept(StoreBuilder<?> store, boolean cached) {
        return cached ? store.withCachingEnabled() : store.withCachingDisabled();
    }

    private static Properties settings(Map<String, String> given) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, given.get("bootstrap"));
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, given.get("application-id"));
        settings.put(StreamsConfig.STATE_DIR_CONFIG, given.get("folder"));
        settings.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
        settings.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, given.get("guarantee"));
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, given.get("threads"));
        settings.put(
                StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG,
                Long.parseLong(given.get("cache-megabytes")) << 20);
        settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        return settings;
    }

    private static Map<String, String> options(String[] words) {
        Map<String, String> given = new HashMap<>();
        for (int at = 0; at + 1 < words.length; at += 2) {
            given.put(words[at].substring(2), words[at + 1]);
        }
        return given;
    }
}
