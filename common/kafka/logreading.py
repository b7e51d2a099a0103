"""Reads stretches of partitions, once: for the relay's manifest, and to see which jobs' records are there.

A fresh consumer without a group each time; read to the end when its position has passed it, because markers
and aborted batches move the position without giving a record.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from common.kafka.errors import broker_errors
from common.kafka.offsets import Partition

READ_S: Final = 8.0
_KEYS_S: Final = 60.0
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
    consumer = _consumer(bootstrap, committed=committed)
    try:
        with broker_errors("reading the log"):
            async with asyncio.timeout(READ_S):
                await consumer.start()
                return await _read(consumer, TopicPartition(*where), start, end)
    finally:
        await _close(consumer)


async def read_keys(bootstrap: str, stretches: Mapping[Partition, tuple[int, int]]) -> set[bytes]:
    """Return the keys of all records in stretches from their start up to and without their end.

    Raises BrokerUnavailable.
    """
    wanted = {TopicPartition(*where): span for where, span in stretches.items() if span[0] < span[1]}
    if not wanted:
        return set()
    consumer = _consumer(bootstrap, committed=False)
    try:
        with broker_errors("reading the keys of the log"):
            async with asyncio.timeout(_KEYS_S):
                await consumer.start()
                return await _keys(consumer, wanted)
    finally:
        await _close(consumer)


async def _keys(consumer: AIOKafkaConsumer, wanted: dict[TopicPartition, tuple[int, int]]) -> set[bytes]:
    consumer.assign(list(wanted))
    for where, (start, _) in wanted.items():
        consumer.seek(where, start)
    found: set[bytes] = set()
    left = set(wanted)
    while left:
        for where in list(left):
            if await consumer.position(where) >= wanted[where][1]:
                left.discard(where)
        for records in (await consumer.getmany(*left, timeout_ms=_POLL_MS) if left else {}).values():
            found.update(record.key for record in records if record.key is not None)
    return found


def _consumer(bootstrap: str, *, committed: bool) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        client_id="headrace-log-reader",
        isolation_level="read_committed" if committed else "read_uncommitted",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        request_timeout_ms=_REQUEST_TIMEOUT_MS,
    )


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
