"""The producer between stages: idempotent, acks from all replicas, no transactions, no linger.

Sending is a call that returns once every record is acknowledged. After any failure the producer is replaced,
because its sequence numbers can no longer be trusted; records sent twice meet keyed effects downstream.
"""

import asyncio
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer

from common.errors import BrokerUnavailable, RecordRefused
from common.kafka.admin import MAX_MESSAGE_BYTES
from common.kafka.errors import broker_errors
from common.pipeline import Topic, topic_name

_START_S = 8.0
_SEND_S = 15.0
_STOP_S = 2.0
_BATCH_BYTES = 256 * 1024
# What the topics take, less room for key, headers and framing.
_LARGEST_BYTES = MAX_MESSAGE_BYTES - 64 * 1024


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
        self._partitions: dict[str, int] = {}
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def send_all(self, records: Sequence[Record]) -> None:
        """Send records and wait until each is acknowledged.

        Raises BrokerUnavailable (repeat all of them) or RecordRefused (nothing was sent; some are too large).
        """
        if not records:
            return
        too_large = [place for place, record in enumerate(records) if len(record.value) > _LARGEST_BYTES]
        if too_large:
            raise RecordRefused(f"a record is larger than {_LARGEST_BYTES} bytes", too_large)
        producer = await self._started()
        try:
            with broker_errors("sending"):
                async with asyncio.timeout(_SEND_S):
                    futures = []
                    for record in records:
                        name = self._names[record.topic]
                        count = self._partitions.get(name) or await self._count(producer, name)
                        futures.append(
                            await producer.send(
                                name,
                                record.value,
                                record.key,
                                zlib.crc32(record.key) % count,
                                headers=record.headers,
                            )
                        )
                    if len(futures) == 1:
                        await futures[0]
                    else:
                        await asyncio.gather(*futures)
        except BrokerUnavailable:
            await self._drop(producer)
            raise

    async def close(self) -> None:
        """Stop the producer; what was acknowledged stays."""
        if self._producer is not None:
            await self._drop(self._producer)

    async def _count(self, producer: AIOKafkaProducer, name: str) -> int:
        self._partitions[name] = len(await producer.partitions_for(name))
        return self._partitions[name]

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is not None:
            return self._producer
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._bootstrap,
                    client_id=self._client_id,
                    enable_idempotence=True,
                    acks="all",
                    linger_ms=0,
                    max_batch_size=_BATCH_BYTES,
                    max_request_size=MAX_MESSAGE_BYTES,
                    request_timeout_ms=5_000,
                    retry_backoff_ms=100,
                    metadata_max_age_ms=30_000,
                )
                try:
                    with broker_errors("starting a producer"):
                        async with asyncio.timeout(_START_S):
                            await producer.start()
                except BrokerUnavailable:
                    await _stop(producer)
                    raise
                self._producer = producer
            return self._producer

    async def _drop(self, producer: AIOKafkaProducer) -> None:
        if self._producer is producer:
            self._producer = None
            self._partitions.clear()
        await _stop(producer)


async def _stop(producer: AIOKafkaProducer) -> None:
    """Stop within bounds: a producer whose broker is away would wait for it for ever."""
    try:
        with broker_errors("stopping a producer"):
            async with asyncio.timeout(_STOP_S):
                await producer.stop()
    except BrokerUnavailable:
        # No public way out of a stop that hangs: cancel the sender and close the sockets.
        sender = producer._sender.sender_task
        if sender is not None:
            sender.cancel()
        await producer.client.close()
