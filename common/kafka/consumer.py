"""The consumer of a stage: manual commits of finished prefixes, earliest on reset, and rebalances as callbacks."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from common.cancellation import heed_cancellation
from common.errors import BrokerUnavailable
from common.kafka.errors import broker_errors
from common.pipeline import TOPICS, Topic, group_name, topic_name

_START_S = 15.0
_STOP_S = 5.0
# A stage waits as long as infrastructure trouble lasts; liveness of the process is the heartbeat's business.
_MAX_POLL_INTERVAL_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Delivery:
    """One record handed to a stage."""

    topic: Topic
    name: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    @property
    def place(self) -> tuple[str, int]:
        """The topic partition it came from."""
        return (self.name, self.partition)


Revoked = Callable[[], Awaitable[None]]


class WorkConsumer:
    """One member of a stage's consumer group."""

    def __init__(self, bootstrap: str, prefix: str, stage: str, topics: Sequence[Topic], *, on_revoked: Revoked):
        self._bootstrap = bootstrap
        self._group = group_name(prefix, stage)
        self._topics = {topic_name(prefix, topic): topic for topic in topics}
        self._public = any(TOPICS[topic].public for topic in topics)
        self._on_revoked = on_revoked
        self._consumer: AIOKafkaConsumer | None = None

    async def start(self) -> None:
        """Join the group. Raises BrokerUnavailable."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            group_id=self._group,
            client_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed" if self._public else "read_uncommitted",
            max_poll_interval_ms=_MAX_POLL_INTERVAL_MS,
            session_timeout_ms=6_000,
            heartbeat_interval_ms=1_000,
            rebalance_timeout_ms=15_000,
            request_timeout_ms=15_000,
            retry_backoff_ms=100,
            # A topic that was made anew is noticed by then, and its partitions are shared out again.
            metadata_max_age_ms=5_000,
            max_partition_fetch_bytes=1024 * 1024,
        )
        consumer.subscribe(list(self._topics), listener=_Listener(self._on_revoked))
        try:
            with broker_errors("joining the consumer group"):
                async with asyncio.timeout(_START_S):
                    await consumer.start()
        except BrokerUnavailable:
            await _stop(consumer)
            raise
        self._consumer = consumer

    async def check(self) -> None:
        """Ask Kafka something. Raises BrokerUnavailable when it does not answer."""
        if self._consumer is None:
            raise BrokerUnavailable("not joined")
        with broker_errors("Kafka does not answer"):
            await self._consumer._client.fetch_all_metadata()

    async def fetch(self, *, max_records: int, timeout_s: float) -> list[Delivery]:
        """Return what is there, waiting at most ``timeout_s`` for the first record."""
        if self._consumer is None:
            raise BrokerUnavailable("fetching: not joined")
        with broker_errors("fetching"):
            found = await self._consumer.getmany(timeout_ms=int(timeout_s * 1000), max_records=max_records)
        return [
            Delivery(
                self._topics[record.topic],
                record.topic,
                record.partition,
                record.offset,
                record.key,
                record.value,
                tuple((name, value or b"") for name, value in record.headers),  # Kafka has headers without a value
            )
            for records in found.values()
            for record in records
        ]

    async def commit(self, offsets: Mapping[tuple[str, int], int]) -> bool:
        """Commit next offsets by partition. False: the group has moved on, and the records come again."""
        if self._consumer is None or not offsets:
            return False
        try:
            await self._consumer.commit({TopicPartition(*place): offset for place, offset in offsets.items()})
        except (CommitFailedError, IllegalStateError):
            return False
        except (KafkaError, OSError, TimeoutError) as error:
            heed_cancellation(error)
            raise BrokerUnavailable(f"committing offsets: {type(error).__name__}") from error
        return True

    async def stop(self) -> None:
        """Leave the group."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await _stop(consumer)


async def _stop(consumer: AIOKafkaConsumer) -> None:
    try:
        with broker_errors("leaving the consumer group"):
            async with asyncio.timeout(_STOP_S):
                await consumer.stop()
    except BrokerUnavailable:
        await consumer._client.close()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    def __init__(self, on_revoked: Revoked) -> None:
        self._on_revoked = on_revoked

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        await self._on_revoked()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Nothing to do: deliveries of the new assignment make their own prefixes."""
