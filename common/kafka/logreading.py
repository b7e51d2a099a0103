"""Reads a stretch of one partition, once: for the relay's manifest and for looking at single records.

A fresh consumer without a group each time; read to the end when its position has passed it, because markers
and aborted batches move the position without giving a record.
"""

import asyncio
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from common.kafka.errors import broker_errors
from common.kafka.offsets import Partition

READ_S: Final = 8.0
_REQUEST_TIMEOUT_MS: Final = 5_000
_POLL_MS: Final = 200


async def read_stretch(
    bootstrap: str, where: Partition, start: int, end: int, *, committed: bool
) -> list[tuple[int, bytes | None]]:
    """Return (offset, value) of the records from ``start`` up to and without ``end``.

    ``committed``: what a read_committed consumer sees; ``end`` must then not pass the last stable offset.
    Raises BrokerUnavailable.
    """
    if start >= end:
        return []
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        client_id="headrace-relay-reader",
        isolation_level="read_committed" if committed else "read_uncommitted",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        request_timeout_ms=_REQUEST_TIMEOUT_MS,
    )
    try:
        with broker_errors("reading the log"):
            async with asyncio.timeout(READ_S):
                await consumer.start()
                return await _read(consumer, TopicPartition(*where), start, end)
    finally:
        await _close(consumer)


async def _read(
    consumer: AIOKafkaConsumer, where: TopicPartition, start: int, end: int
) -> list[tuple[int, bytes | None]]:
    consumer.assign([where])
    consumer.seek(where, start)
    found: list[tuple[int, bytes | None]] = []
    while await consumer.position(where) < end:
        batches = await consumer.getmany(where, timeout_ms=_POLL_MS)
        found += [(record.offset, record.value) for record in batches.get(where, ()) if record.offset < end]
    return found


async def _close(consumer: AIOKafkaConsumer) -> None:
    with broker_errors("closing a reader"):
        async with asyncio.timeout(READ_S):
            await consumer.stop()
