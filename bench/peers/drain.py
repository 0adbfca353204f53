"""Read every record and do nothing with it: the limit of what any engine on this client can do.

--job aiokafka or confluent-kafka; the latter with fetches and queues enlarged.
"""

import asyncio

from bench.peers.announce import Progress, options, say_versions

BATCH = 10_000
FETCH_BYTES = 16 * 1024 * 1024


async def aiokafka(bootstrap: str, topic: str, events: int) -> None:
    """Drain by aiokafka's getmany."""
    from aiokafka import AIOKafkaConsumer

    progress = Progress(events)
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    await consumer.start()
    try:
        while True:
            for records in (await consumer.getmany(timeout_ms=500, max_records=BATCH)).values():
                progress.begin()
                if progress.end(len(records)):
                    return
    finally:
        await consumer.stop()


def confluent(bootstrap: str, topic: str, events: int, group: str) -> None:
    """Drain by librdkafka."""
    from confluent_kafka import Consumer

    progress = Progress(events)
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.message.max.bytes": FETCH_BYTES,
            "fetch.max.bytes": 4 * FETCH_BYTES,
            "queued.max.messages.kbytes": 256 * 1024,
            "queued.min.messages": 200_000,
        }
    )
    consumer.subscribe([topic])
    try:
        while True:
            records = consumer.consume(BATCH, 0.5)
            for record in records:
                if record.error():
                    raise SystemExit(str(record.error()))
            if records:
                progress.begin()
                if progress.end(len(records)):
                    return
    finally:
        consumer.close()


def run() -> None:
    """The job says by which client."""
    given = options(__doc__)
    say_versions(given.job)
    if given.job == "aiokafka":
        asyncio.run(aiokafka(given.bootstrap, given.topic, given.events))
    else:
        confluent(given.bootstrap, given.topic, given.events, given.application_id)


if __name__ == "__main__":
    run()
