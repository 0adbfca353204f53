package bench;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;

/** Counts records over all threads, and announces the first and the last as bench/peers/announce.py does. */
final class Progress {
    private final long events;
    private final AtomicLong begun = new AtomicLong();
    private final AtomicLong folded = new AtomicLong();
    private final CountDownLatch done = new CountDownLatch(1);

    Progress(long events) {
        this.events = events;
    }

    /** One line, out at once; fields: JSON members. */
    static void say(String event, String fields) {
        System.out.println("{\"event\": \"" + event + "\"" + (fields.isEmpty() ? "" : ", " + fields) + "}");
        System.out.flush();
    }

    void begin() {
        if (begun.get() == 0 && begun.getAndIncrement() == 0) {
            say("started", "");
        }
    }

    /** True with the last of all. */
    boolean end(long records) {
        if (folded.addAndGet(records) < events) {
            return false;
        }
        say("finished", "\"records\": " + folded.get());
        done.countDown();
        return true;
    }

    void await() throws InterruptedException {
        done.await();
    }

    void giveUp() {
        done.countDown();
    }
}
