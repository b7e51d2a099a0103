"""The producer between stages: idempotent, acks from all replicas, no transactions, no linger.

Sending is a call that returns once every record is acknowledged. What is sent concurrently travels together:
while one round is under way the next gathers. After any failure the producer is replaced, because its sequence
numbers can no longer be trusted; records sent twice meet keyed effects downstream.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from common.coalesce import Coalescer
from common.errors import BrokerUnavailable, RecordRefused
from common.kafka import transactions
from common.kafka.admin import MAX_MESSAGE_BYTES
from common.kafka.transactions import IdempotentProducer
from common.pipeline import Topic, topic_name

# What the topics take, less room for key, headers and framing.
_LARGEST_BYTES: Final = MAX_MESSAGE_BYTES - 64 * 1024
_ROUND: Final = 500


@dataclass(frozen=True, slots=True)
class Record:
    """One record to send; ``key`` decides the partition."""

    topic: Topic
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class WorkProducer:
    """One producer a process, shared by everything that sends interior records."""

    def __init__(self, bootstrap: str, prefix: str, *, client_id: str) -> None:
        self._bootstrap = bootstrap
        self._client_id = client_id
        self._names = {topic: topic_name(prefix, topic) for topic in Topic}
        self._producer: IdempotentProducer | None = None
        self._sending: Coalescer[Sequence[Record], None] = Coalescer(self._round, most=_ROUND)

    async def send_all(self, records: Sequence[Record]) -> None:
        """Send records and wait until each is acknowledged.

        Raises BrokerUnavailable (repeat all of them) or RecordRefused (nothing was sent; some are too large).
        """
        if not records:
            return
        too_large = [place for place, record in enumerate(records) if len(record.value) > _LARGEST_BYTES]
        if too_large:
            raise RecordRefused(f"a record is larger than {_LARGEST_BYTES} bytes", too_large)
        await self._sending.submit(records)

    async def close(self) -> None:
        """Stop the producer; what was acknowledged stays."""
        await self._drop()

    async def _round(self, calls: Sequence[Sequence[Record]]) -> Sequence[None]:
        """Send what several callers brought. One fails, all fail: each repeats its own."""
        records = [record for call in calls for record in call]
        try:
            producer = await self._started()
            counts = await producer.partitions({self._names[topic] for topic in {r.topic for r in records}})
            await producer.send([self._addressed(record, counts) for record in records])
        except BrokerUnavailable:
            await self._drop()
            raise
        except RecordRefused as refusal:
            # The sizes were checked, so this topic takes less than the pipeline's table says.
            await self._drop()
            raise BrokerUnavailable(f"sending: {refusal.reason}; raise max.message.bytes of the topic") from refusal
        return [None] * len(calls)

    def _addressed(self, record: Record, counts: dict[str, int]) -> transactions.Record:
        name = self._names[record.topic]
        # Any stable choice will do between stages; this one costs a twentieth of the default partitioner's.
        partition = zlib.crc32(record.key) % counts[name]
        return transactions.Record(name, record.key, record.value, record.headers, partition)

    async def _started(self) -> IdempotentProducer:
        if self._producer is None:
            producer = IdempotentProducer(self._bootstrap, client_id=self._client_id)
            self._producer = await producer.__aenter__()
        return self._producer

    async def _drop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.drop()
