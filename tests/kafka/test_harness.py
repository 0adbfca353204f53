"""The harness itself: a real Kafka, and topics of one's own."""

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from tests.kafka.conftest import CreateTopics


async def test_a_transaction_goes_in_and_comes_out(
    bootstrap: str, application_id: str, create_topics: CreateTopics
) -> None:
    """What was committed is read, and what was aborted is not."""
    await create_topics(application_id, partitions=1)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=application_id)
    await producer.start()
    try:
        await producer.begin_transaction()
        await producer.send_and_wait(application_id, b"aborted")
        await producer.abort_transaction()
        async with producer.transaction():
            await producer.send_and_wait(application_id, b"committed")
    finally:
        await producer.stop()

    consumer = AIOKafkaConsumer(
        application_id,
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    await consumer.start()
    try:
        assert b"committed" == (await consumer.getone()).value
    finally:
        await consumer.stop()


async def test_topics_are_made_as_asked(
    bootstrap: str, application_id: str, create_topics: CreateTopics
) -> None:
    """A topic has the partitions it was asked to have, the moment the fixture returns."""
    await create_topics(application_id, partitions=3, compacted=True)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        (topic,) = await admin.describe_topics([application_id])
    finally:
        await admin.close()
    assert 3 == len(topic["partitions"])
