"""Reads a public topic as any other team would: committed records only, no group, nothing acknowledged.

For the command line and the demo. Order holds within a partition; a reader that stops leaves no trace.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from common.errors import BrokerUnavailable
from common.kafka.errors import broker_errors

_REQUEST_TIMEOUT_MS: Final = 10_000


@dataclass(frozen=True, slots=True)
class PublicRecord:
    """One record; ``headers`` hold the CloudEvents attributes."""

    topic: str
    partition: int
    offset: int
    key: str | None
    value: bytes
    headers: Mapping[str, str]


class PublicReader:
    """An open reader. ``positions`` say where it goes on, by partition."""

    def __init__(self, consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> None:
        self._consumer = consumer
        self._partitions = partitions

    async def positions(self) -> dict[int, int]:
        """Return the next offset of each partition. Raises BrokerUnavailable."""
        with broker_errors("reading positions"):
            return {where.partition: await self._consumer.position(where) for where in self._partitions}

    async def fetch(self, *, timeout_s: float, max_records: int | None = None) -> list[PublicRecord]:
        """Return what is there, waiting at most ``timeout_s`` for the first record. Raises BrokerUnavailable."""
        with broker_errors("reading a public topic"):
            found = await self._consumer.getmany(timeout_ms=int(timeout_s * 1000), max_records=max_records)
        return [
            PublicRecord(
                record.topic,
                record.partition,
                record.offset,
                record.key.decode(errors="replace") if record.key is not None else None,
                record.value or b"",
                {name: (value or b"").decode(errors="replace") for name, value in record.headers},
            )
            for records in found.values()
            for record in records
        ]


@asynccontextmanager
async def public_reader(
    bootstrap: str, topic: str, *, from_beginning: bool, start: Mapping[int, int] | None = None
) -> AsyncIterator[PublicReader]:
    """Open a reader at the beginning, at ``start`` (offsets by partition), or at the end as it is now.

    Raises BrokerUnavailable, also where there is no such topic.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        client_id="headrace-reader",
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        request_timeout_ms=_REQUEST_TIMEOUT_MS,
    )
    try:
        with broker_errors("connecting"):
            await consumer.start()
            numbers = await consumer._client._wait_on_metadata(topic)
            partitions = [TopicPartition(topic, number) for number in sorted(numbers)]
            if not partitions:
                raise BrokerUnavailable(f"there is no topic {topic}")
            consumer.assign(partitions)
            if start is not None:
                for where in partitions:
                    consumer.seek(where, start.get(where.partition, 0))
            elif from_beginning:
                await consumer.seek_to_beginning(*partitions)
            else:
                await consumer.seek_to_end(*partitions)
        yield PublicReader(consumer, partitions)
    finally:
        with broker_errors("closing a reader"):
            await consumer.stop()
