"""One installation of its own (database, topics) for a relay test, and how to look at it from outside."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import confluent_kafka
import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata
from prometheus_client import CollectorRegistry

from common.ids import uuid7
from common.kafka.admin import create_topics
from common.pipeline import Topic, topic_name
from headrace.local.stack import Endpoints
from persistence.postgres.migrate import migrate
from persistence.postgres.states import ReleaseLane
from persistence.postgres.wake import LATER_TOKEN, PUBLIC_TOKEN, notify, steps_token
from persistence.relay.relay import Relay

PATIENCE_S = 30.0


@dataclass(frozen=True)
class Seen:
    """One record as an outside reader sees it."""

    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True)
class World:
    """An empty, migrated installation. Every test has one to itself."""

    database_url: str = field(repr=False)
    bootstrap: str
    prefix: str
    connection: "asyncpg.Connection[asyncpg.Record]"

    def topic(self, topic: Topic) -> str:
        return topic_name(self.prefix, topic)

    def relay(self, *, runway: int = 5_000, lease_s: float = 3.0) -> Relay:
        return Relay(
            database_url=self.database_url,
            bootstrap=self.bootstrap,
            prefix=self.prefix,
            runway=runway,
            registry=CollectorRegistry(),
            lease_s=lease_s,
        )

    @asynccontextmanager
    async def relaying(self, *, runway: int = 5_000, lease_s: float = 3.0) -> AsyncIterator[Relay]:
        stop = asyncio.Event()
        relay = self.relay(runway=runway, lease_s=lease_s)
        task = asyncio.create_task(relay.run(stop))
        try:
            yield relay
        finally:
            stop.set()
            await task

    async def put(
        self,
        bodies: Sequence[bytes],
        *,
        lane: ReleaseLane,
        topic: Topic,
        tenant: str = "t",
        job_id: UUID | None = None,
        deadline: datetime | None = None,
        headers: list[list[str]] | None = None,
        wake: bool = True,
    ) -> list[int]:
        """Insert rows of one shard-0 job each (or of ``job_id``); return their revisions."""
        ids = [uuid7() for _ in bodies]
        revs = await self.connection.fetch(
            "insert into outbox (id, shard, lane, tenant_id, topic, job_id, body, headers, deadline)"
            " select id, 0, $3, $4, $5, coalesce($6, id), body, $7, coalesce($8::timestamptz, 'infinity')"
            " from unnest($1::uuid[], $2::bytea[]) as r(id, body) returning rev",
            ids,
            list(bodies),
            int(lane),
            tenant,
            int(topic),
            job_id,
            None if headers is None else orjson.dumps(headers),
            deadline,
        )
        if wake:
            token = PUBLIC_TOKEN if lane is ReleaseLane.PUBLIC else steps_token(lane, tenant)
            await notify(self.connection, {token})
        return [row["rev"] for row in revs]

    async def park(self, message_id: UUID, body: bytes, *, in_s: float, topic: Topic) -> None:
        """Park one message as the stages do."""
        await self.connection.execute(
            "select park_1($1, $2, $3, array[clock_timestamp() + make_interval(secs => $4)], $5, $6, $7, $8)",
            [message_id],
            [0],
            ["t"],
            in_s,
            [int(topic)],
            [message_id],
            [body],
            ["test"],
        )
        await notify(self.connection, {LATER_TOKEN})

    async def rows(self) -> int:
        count: int = await self.connection.fetchval("select count(*) from outbox")
        return count

    async def until_rows(self, count: int) -> None:
        """Wait until the outbox holds ``count`` rows."""
        async with asyncio.timeout(PATIENCE_S):
            while await self.rows() != count:
                await asyncio.sleep(0.01)

    async def read(self, topic: Topic) -> list[Seen]:
        """Return everything a read_committed consumer outside the project can see, in order by partition."""
        return await asyncio.to_thread(read_committed, self.bootstrap, self.topic(topic))

    async def read_uncommitted(self, topic: Topic, count: int) -> list[bytes]:
        """Return the first ``count`` values of an interior topic as they arrive."""
        consumer = AIOKafkaConsumer(self.topic(topic), bootstrap_servers=self.bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        try:
            async with asyncio.timeout(PATIENCE_S):
                return [(await consumer.getone()).value for _ in range(count)]
        finally:
            await consumer.stop()

    async def commit_as(self, stage: str, topic: Topic, done: dict[int, int]) -> None:
        """Commit offsets by partition for a stage's group, as its consumers do."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap, group_id=f"{self.prefix}.{stage}", enable_auto_commit=False
        )
        await consumer.start()
        try:
            name = self.topic(topic)
            consumer.assign([TopicPartition(name, number) for number in done])
            await consumer.commit(
                {TopicPartition(name, number): OffsetAndMetadata(offset, "") for number, offset in done.items()}
            )
        finally:
            await consumer.stop()

    async def ends(self, topic: Topic) -> dict[int, int]:
        """Return the high watermark by partition."""
        return {number: end for number, (_, end) in (await self.watermarks(topic)).items()}

    async def watermarks(self, topic: Topic) -> dict[int, tuple[int, int]]:
        """Return first offset kept and high watermark by partition."""
        return await asyncio.to_thread(_watermarks, self.bootstrap, self.topic(topic))


def read_committed(bootstrap: str, topic: str) -> list[Seen]:
    """Read a topic from its start to what is stable now, with confluent-kafka."""
    reader = _reader(bootstrap)
    try:
        partitions = list(reader.list_topics(topic, timeout=10).topics[topic].partitions)
        reader.assign([confluent_kafka.TopicPartition(topic, number, 0) for number in partitions])
        ended: set[int] = set()
        seen: list[Seen] = []
        while len(ended) < len(partitions):
            message = reader.poll(10)
            assert message is not None, f"{topic} gave nothing for 10 s before its end"
            if message.error() is None:
                headers = tuple((name, value) for name, value in message.headers() or ())
                seen.append(Seen(message.partition(), message.offset(), message.key(), message.value(), headers))
            elif message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:
                ended.add(message.partition())
            else:
                raise AssertionError(str(message.error()))
        return sorted(seen, key=lambda record: (record.partition, record.offset))
    finally:
        reader.close()


def _watermarks(bootstrap: str, topic: str) -> dict[int, tuple[int, int]]:
    reader = _reader(bootstrap)
    try:
        partitions = list(reader.list_topics(topic, timeout=10).topics[topic].partitions)
        return {
            number: reader.get_watermark_offsets(confluent_kafka.TopicPartition(topic, number), timeout=10)
            for number in partitions
        }
    finally:
        reader.close()


def _reader(bootstrap: str) -> Any:
    return confluent_kafka.Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"outside-{uuid4()}",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }
    )


@asynccontextmanager
async def new_world(endpoints: Endpoints, *, shards: int = 1) -> AsyncIterator[World]:
    name = f"relay{uuid4().hex[:12]}"
    admin = await asyncpg.connect(endpoints.database_url)
    await admin.execute(f"create database {name}")
    await admin.close()
    database_url = f"{endpoints.database_url.rpartition('/')[0]}/{name}"
    await migrate(database_url, shards=shards)
    await create_topics(endpoints.kafka_bootstrap, name, shards=shards)
    connection = await asyncpg.connect(database_url)
    try:
        yield World(database_url, endpoints.kafka_bootstrap, name, connection)
    finally:
        await connection.close()
