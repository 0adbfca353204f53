"""A producer that writes whole transactions, one after another, in a straight line.

aiokafka's producer collects records from whoever has some: a queue, a sender and a task for each request
stand between a batch and its broker, a dozen turns of the event loop in all. Whoever commits here has
everything in hand, so that the requests of a transaction simply follow each other: its partitions, its
batches, its end.

What can be tried again is tried until it is answered, however long that takes, with the same bytes: by
their sequence numbers the broker knows what it has already. Only what no waiting mends is raised.

Protocol: https://cwiki.apache.org/confluence/display/KAFKA/KIP-98, in the versions of the requests that
aiokafka 0.14 knows.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import structlog
from aiokafka import errors as kafka
from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import AddPartitionsToTxnRequest, EndTxnRequest, InitProducerIdRequest
from aiokafka.structs import TopicPartition

from streams.clock import wall_ms
from streams.connection import client_arguments
from streams.record_writer import seal
from streams.settings import Settings

SHORTEST_WAIT: Final = 0.002
"""Seconds before the first try again. A transaction that begins while the broker still writes the markers of
the one before is refused, and they take it a millisecond or two."""
LONGEST_WAIT: Final = 0.1
"""Seconds between two tries where the first few were in vain."""
ANSWER_MS: Final = 40_000
"""How long a broker may take to have a batch on all of its replicas."""

_ALL_REPLICAS: Final = -1
_LAST_SEQUENCE: Final = 2**31 - 1

_log = structlog.get_logger(__name__)


class Unsealed(NamedTuple):
    """A batch without its header. content: its records, as streams.record_writer writes them."""

    content: bytes
    records: int


class TransactionalProducer:
    """The producer of one transactional id; whoever starts one fences those before it.

    producer = await connection.start(TransactionalProducer(settings, "application-7"), settings)
    """

    def __init__(self, settings: Settings, transactional_id: str) -> None:
        self._client = AIOKafkaClient(**client_arguments(settings), request_timeout_ms=ANSWER_MS)
        self._transactional_id = transactional_id
        self._timeout_ms = round(settings.transaction_timeout_seconds * 1000)
        self._coordinator: int | None = None
        self._identity = (-1, -1)
        """The producer's id and epoch, as the broker gave them."""
        self._sequences: defaultdict[TopicPartition, int] = defaultdict(int)
        """The number of the next record in what this producer writes to a partition."""
        self._amid = False
        self._wait = SHORTEST_WAIT
        self._trouble: type[kafka.KafkaError] | None = None

    async def start(self) -> None:
        """Connect, fence whoever had the id, and have aborted what they left open."""
        await self._client.bootstrap()
        request = InitProducerIdRequest(self._transactional_id, self._timeout_ms)
        answer = await self._ask_coordinator(request, _own_error)
        self._identity = answer.producer_id, answer.producer_epoch

    async def stop(self) -> None:
        """Disconnect; an open transaction is aborted by whoever takes the id next."""
        await self._client.close()

    async def write(self, partition: int, batches: Mapping[str, Sequence[Unsealed]]) -> dict[str, int]:
        """Write these batches to this partition of each topic, all in one transaction, and commit it.

        Returns the offset of each topic's last batch. Raises KafkaError where the transaction was refused,
        and nobody can use this producer any more.
        """
        if not batches:
            return {}
        if self._amid:
            raise kafka.IllegalStateError("an earlier transaction of this producer has not been ended")
        self._amid = True
        identity = self._transactional_id, *self._identity
        parts = [(topic, [partition]) for topic in batches]
        await self._ask_coordinator(AddPartitionsToTxnRequest(*identity, parts), _error_of_parts)
        offsets: dict[str, int] = {}
        now = wall_ms()
        # A request holds one batch of a partition, and the next must not overtake it.
        for place in range(max(map(len, batches.values()))):
            sealed = {}
            for topic, of_topic in batches.items():
                if place < len(of_topic):
                    tp = TopicPartition(topic, partition)
                    sealed[tp] = self._sealed(tp, of_topic[place], now)
            for tp, offset in (await self._deliver(sealed)).items():
                offsets[tp.topic] = offset
        await self._ask_coordinator(EndTxnRequest(*identity, transaction_result=True), _own_error)
        self._amid = False
        return offsets

    def _sealed(self, tp: TopicPartition, batch: Unsealed, now: int) -> bytes:
        """The batch with its place among all that this producer has written to the partition."""
        producer, epoch = self._identity
        sequence = self._sequences[tp]
        self._sequences[tp] = (sequence + batch.records) & _LAST_SEQUENCE
        return seal(
            batch.content, batch.records, now, producer=producer, producer_epoch=epoch, sequence=sequence
        )

    # Requests

    async def _ask_coordinator(self, request: Any, error_of: Callable[[Any], kafka.KafkaError | None]) -> Any:
        """The coordinator's answer, once it is no error."""
        while True:
            try:
                node = await self._found_coordinator()
                answer = await self._client.send(node, request, group=ConnectionGroup.COORDINATION)
            except kafka.KafkaError as caught:
                error: kafka.KafkaError = caught
            else:
                refused = error_of(answer)
                if refused is None:
                    self._answered()
                    return answer
                error = refused
            if not isinstance(error, kafka.ConcurrentTransactions | kafka.CoordinatorLoadInProgressError):
                self._coordinator = None
            await self._before_next_try(error)

    async def _found_coordinator(self) -> int:
        if self._coordinator is None:
            kind = CoordinationType.TRANSACTION
            node = await self._client.coordinator_lookup(kind, self._transactional_id)
            # Its address may be news, and a node that is not known cannot be asked.
            if self._client.cluster.broker_metadata(node) is None:
                await self._client.force_metadata_update()
            self._coordinator = node
        return self._coordinator

    async def _deliver(self, batches: dict[TopicPartition, bytes]) -> dict[TopicPartition, int]:
        """Have each batch written, wherever its partition is led; the offsets that they got."""
        offsets: dict[TopicPartition, int] = {}
        while left := {tp: batch for tp, batch in batches.items() if tp not in offsets}:
            leaders, errors = self._by_leader(left)
            sends = [self._send(node, {tp: left[tp] for tp in tps}) for node, tps in leaders.items()]
            # One, as a rule, for which no task has to be made.
            answers = [await sends[0]] if len(sends) == 1 else await asyncio.gather(*sends)
            for written, refusals in answers:
                offsets.update(written)
                errors += refusals
            if not errors:
                self._answered()
                continue
            # What no waiting mends comes first.
            error = min(errors, key=_is_passing)
            if error.invalid_metadata:
                await self._client.force_metadata_update()
            await self._before_next_try(error)
        return offsets

    def _by_leader(
        self, tps: Iterable[TopicPartition]
    ) -> tuple[dict[int, list[TopicPartition]], list[kafka.KafkaError]]:
        """The partitions by the broker that leads them, and an error for each of which that is not known."""
        found: defaultdict[int, list[TopicPartition]] = defaultdict(list)
        errors: list[kafka.KafkaError] = []
        for tp in tps:
            leader = self._client.cluster.leader_for_partition(tp)
            if leader is None or leader < 0:
                self._client.add_topic(tp.topic)
                errors.append(kafka.LeaderNotAvailableError(tp.topic))
            else:
                found[leader].append(tp)
        return found, errors

    async def _send(
        self, node: int, batches: dict[TopicPartition, bytes]
    ) -> tuple[dict[TopicPartition, int], list[kafka.KafkaError]]:
        """Offsets of what one broker has written, and why it has not written the rest."""
        request = ProduceRequest(
            self._transactional_id,
            _ALL_REPLICAS,
            ANSWER_MS,
            [(tp.topic, [(tp.partition, batch)]) for tp, batch in batches.items()],
        )
        try:
            answer = await self._client.send(node, request)
        except kafka.KafkaError as error:
            return {}, [error]
        offsets: dict[TopicPartition, int] = {}
        refusals: list[kafka.KafkaError] = []
        for topic, parts in answer.topics:
            for part, code, offset, *_ in parts:
                # Where it has the batch already, but no longer knows where, the offset is -1.
                if code in {0, kafka.DuplicateSequenceNumber.errno}:
                    offsets[TopicPartition(topic, part)] = offset
                else:
                    refusals.append(kafka.for_code(code)(topic))
        return offsets, refusals

    # Trying again

    async def _before_next_try(self, error: kafka.KafkaError) -> None:
        """Wait a little longer than the last time; raises what no waiting mends."""
        if not _is_passing(error):
            raise error
        if type(error) is not self._trouble and self._wait > SHORTEST_WAIT:
            self._trouble = type(error)
            _log.warning(
                "transaction tried again",
                transactional_id=self._transactional_id,
                reason=self._trouble.__name__,
            )
        await asyncio.sleep(self._wait)
        self._wait = min(2 * self._wait, LONGEST_WAIT)

    def _answered(self) -> None:
        self._wait, self._trouble = SHORTEST_WAIT, None


def _own_error(answer: Any) -> kafka.KafkaError | None:
    return kafka.for_code(answer.error_code)() if answer.error_code else None


def _error_of_parts(answer: Any) -> kafka.KafkaError | None:
    """Why partitions were not added: the refusal itself, before those that were not tried because of it."""
    errors = [kafka.for_code(code)(topic) for topic, parts in answer.errors for _, code in parts if code]
    return min(errors, key=lambda error: isinstance(error, kafka.OperationNotAttempted), default=None)


def _is_passing(error: kafka.KafkaError) -> bool:
    return error.retriable or isinstance(error, kafka.ConcurrentTransactions)
