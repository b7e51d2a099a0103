"""Producers of whole batches: idempotent for work, transactional for public records.

Promises: ``send`` returns only when every record is acknowledged, and says where they stand; EndTxn goes out
once (a repeated one could end the next transaction); every wait has a deadline. After any error the producer
is dead: ``drop`` it and start another. Nothing is retried here. Pinned to aiokafka 0.14 by a contract test.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    CorruptRecordException,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)
from aiokafka.producer import sender as aiokafka_sender

from common.cancellation import being_cancelled
from common.errors import BrokerUnavailable, RecordRefused
from common.kafka.errors import broker_errors
from common.kafka.offsets import Offsets
from common.kafka.partitioning import partition_of

START_S: Final = 8.0
SEND_S: Final = 6.0
COMMIT_S: Final = 3.0
STOP_S: Final = 1.0
REQUEST_TIMEOUT_MS: Final = 5_000
TRANSACTION_TIMEOUT_MS: Final = 15_000  # longer than sends and commit together
BATCH_BYTES: Final = 256 * 1024  # below the topics' max.message.bytes, so that only single records are refused
CONCURRENT_BACKOFF_S: Final = 0.002  # aiokafka waits 20 ms for the coordinator to finish the last transaction

_REFUSALS = (MessageSizeTooLargeError, RecordListTooLargeError, CorruptRecordException)

Headers = Sequence[tuple[str, bytes]]


class Record(NamedTuple):
    """One record to send; without ``partition`` the default partitioner chooses by key."""

    topic: str
    key: bytes
    value: bytes
    headers: Headers = ()
    partition: int | None = None


class Extent(NamedTuple):
    """Where records of one batch stand: first and last offset in one partition."""

    topic: str
    partition: int
    first: int
    last: int


class _Batch(NamedTuple):
    where: TopicPartition
    builder: Any
    indexes: list[int]


class IdempotentProducer:
    """Sends batches without a transaction: for interior topics, whose effects are guarded by keys."""

    def __init__(self, bootstrap: str, *, client_id: str, transactional_id: str | None = None) -> None:
        options: dict[str, Any] = {
            "bootstrap_servers": bootstrap,
            "client_id": client_id,
            "request_timeout_ms": REQUEST_TIMEOUT_MS,
            "metadata_max_age_ms": 30_000,
            "retry_backoff_ms": 50,
            "linger_ms": 0,
            "max_batch_size": BATCH_BYTES,
            "enable_idempotence": True,
        }
        if transactional_id is not None:
            options |= {
                "transactional_id": transactional_id,
                "transaction_timeout_ms": TRANSACTION_TIMEOUT_MS,
            }
        self._kafka = AIOKafkaProducer(**options)
        self.offsets = Offsets(self._kafka.client)

    async def __aenter__(self) -> Self:
        try:
            with broker_errors("starting a producer"):
                async with asyncio.timeout(START_S):
                    await self._kafka.start()
        except BaseException:
            await self.drop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.drop()

    async def drop(self) -> None:
        """Stop within a second. What is in flight may still arrive, even commit: only an init settles it."""
        try:
            async with asyncio.timeout(STOP_S):
                await self._kafka.stop()
        except (KafkaError, TimeoutError, OSError, AssertionError):
            await self._abandon()
        except asyncio.CancelledError:
            await self._abandon()
            if being_cancelled():
                raise

    async def _abandon(self) -> None:
        sender_task = self._kafka._sender.sender_task
        if sender_task is not None:
            sender_task.cancel()
        try:
            async with asyncio.timeout(STOP_S):
                await self._kafka.client.close()
        except (KafkaError, TimeoutError, OSError):
            return  # the sockets go with the process; nothing is left to settle here

    async def partitions(self, topics: Iterable[str]) -> dict[str, int]:
        """Return how many partitions each topic has."""
        with broker_errors("reading metadata"):
            async with asyncio.timeout(START_S):
                return {topic: len(await self._kafka.partitions_for(topic)) for topic in topics}

    async def send(self, records: Sequence[Record]) -> list[Extent]:
        """Send and return where the records stand, once all are acknowledged; order holds within a key.

        Raises RecordRefused (with the suspects) or BrokerUnavailable; the producer is then dead.
        """
        counts = await self.partitions({record.topic for record in records})
        batches = self._batches(records, counts)
        with broker_errors("sending"):
            async with asyncio.timeout(SEND_S):
                outcomes = await self._deliver(batches)
        return _extents(batches, outcomes)

    def _batches(self, records: Sequence[Record], counts: Mapping[str, int]) -> list[_Batch]:
        open_batches: dict[tuple[str, int], _Batch] = {}
        batches: list[_Batch] = []
        timestamp = int(time.time() * 1000)
        for index, (topic, key, value, pairs, partition) in enumerate(records):
            headers = list(pairs)
            where = (topic, partition_of(key, counts[topic]) if partition is None else partition)
            batch = open_batches.get(where)
            if batch is None or not batch.builder.append(timestamp=timestamp, key=key, value=value, headers=headers):
                batch = open_batches[where] = _Batch(TopicPartition(*where), self._kafka.create_batch(), [])
                batches.append(batch)
                batch.builder.append(timestamp=timestamp, key=key, value=value, headers=headers)
            batch.indexes.append(index)
        return batches

    async def _deliver(self, batches: Sequence[_Batch]) -> list[Any]:
        pending: list[Any] = []
        unsent: list[Any] = []
        for batch in batches:
            topic, partition = batch.where
            try:
                pending.append(await self._kafka.send_batch(batch.builder, topic, partition=partition))
            except KafkaError as error:
                unsent = [error] * (len(batches) - len(pending))
                break
        return [*await asyncio.gather(*pending, return_exceptions=True), *unsent]


class TransactionalProducer(IdempotentProducer):
    """Sends batches inside transactions, one after the other, fenced by its transactional id."""

    def __init__(self, bootstrap: str, *, client_id: str, transactional_id: str) -> None:
        super().__init__(bootstrap, client_id=client_id, transactional_id=transactional_id)
        self._kafka._sender = _RelaySender.instead_of(self._kafka._sender)

    async def begin(self, *partitions: tuple[str, int]) -> None:
        """Begin a transaction that spans at least ``partitions``; naming them early saves a round trip."""
        with broker_errors("beginning a transaction"):
            async with asyncio.timeout(COMMIT_S):
                await self._kafka.begin_transaction()
            for topic, partition in partitions:
                self._kafka._txn_manager.maybe_add_partition_to_txn(TopicPartition(topic, partition))

    async def commit(self) -> None:
        """Ask once for the commit. An error leaves the outcome unknown: only the next init settles it."""
        with broker_errors("committing"):
            async with asyncio.timeout(COMMIT_S):
                await self._kafka.commit_transaction()

    async def abort(self) -> None:
        """Ask once for the abort of a healthy transaction; never a way to go on after an error."""
        with broker_errors("aborting"):
            async with asyncio.timeout(COMMIT_S):
                await self._kafka.abort_transaction()


class _RelaySender(aiokafka_sender.Sender):  # type: ignore[misc]  # aiokafka has no types
    """aiokafka's sender, except that EndTxn is sent once and the wait for the last transaction is short."""

    @classmethod
    def instead_of(cls, sender: Any) -> Self:
        return cls(
            sender.client,
            acks=sender._acks,
            txn_manager=sender._txn_manager,
            message_accumulator=sender._message_accumulator,
            retry_backoff_ms=sender._retry_backoff * 1000,
            request_timeout_ms=sender._request_timeout_ms,
        )

    async def _do_add_partitions_to_txn(self, tps: Any) -> Any:
        node_id = await self._find_coordinator(
            aiokafka_sender.CoordinationType.TRANSACTION, self._txn_manager.transactional_id
        )
        return await _QuickAddPartitions(self, tps).do(node_id)

    async def _do_txn_commit(self, commit_result: Any) -> None:
        await self._message_accumulator.flush_for_commit()
        if self._txn_manager.is_empty_transaction():
            self._txn_manager.complete_transaction()
            return
        node_id = await self._find_coordinator(
            aiokafka_sender.CoordinationType.TRANSACTION, self._txn_manager.transactional_id
        )
        await _OneShotEndTxn(self, commit_result).do(node_id)


class _QuickAddPartitions(aiokafka_sender.AddPartitionsToTxnHandler):  # type: ignore[misc]  # no types
    def handle_response(self, resp: Any) -> float | None:
        backoff_s: float | None = super().handle_response(resp)
        return CONCURRENT_BACKOFF_S if backoff_s == aiokafka_sender.BACKOFF_OVERRIDE else backoff_s


class _OneShotEndTxn(aiokafka_sender.EndTxnHandler):  # type: ignore[misc]  # aiokafka has no types
    """EndTxn that is never repeated unanswered: a late twin could end whatever transaction is open by then.

    An error in the transport ends the sender and with it the producer. An answered "not yet" may be repeated.
    """

    async def do(self, node_id: int) -> bool:
        response = await self._sender.client.send(node_id, self.create_request(), group=self.group)
        backoff_s = self.handle_response(response)
        if backoff_s is None:
            return True
        await asyncio.sleep(backoff_s)
        return False


def _extents(batches: Sequence[_Batch], outcomes: Sequence[Any]) -> list[Extent]:
    extents: dict[TopicPartition, Extent] = {}
    suspects: list[int] = []
    failure: BaseException | None = None
    for batch, outcome in zip(batches, outcomes, strict=True):
        if isinstance(outcome, _REFUSALS):
            suspects.extend(batch.indexes)
        elif isinstance(outcome, BaseException):
            failure = outcome
        elif outcome.offset < 0:
            failure = BrokerUnavailable("Kafka acknowledged a batch without saying where it stands")
        else:
            first, last = outcome.offset, outcome.offset + len(batch.indexes) - 1
            if batch.where in extents:
                first = extents[batch.where].first
            extents[batch.where] = Extent(batch.where.topic, batch.where.partition, first, last)
    if suspects:
        raise RecordRefused("Kafka refuses the record: too large for its topic", sorted(suspects))
    if failure is not None:
        raise BrokerUnavailable(f"sending: {type(failure).__name__}") from failure
    return list(extents.values())
