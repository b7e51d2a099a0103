"""``python -m bench.calibration``: what this machine does with the two servers alone, so that machines can be compared.

Kafka: 1 KB records by aiokafka, idempotent, acks=all, 500 a batch, produced and then consumed. Postgres: 1 KB rows
by asyncpg, 64 a commit, one connection. Python: JSON there and back. Told by JSON on stdin, bounded in time.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Final

import asyncpg
import orjson
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import TopicPartition
from pydantic import BaseModel, ConfigDict

from bench.figures import percentile
from bench.readings import family_cpu_s
from bench.workload import make_input

_TOPIC: Final = "bench-calibration"
_PARTITIONS: Final = 4
_KAFKA_BATCH: Final = 500
_POSTGRES_BATCH: Final = 64
_WARM_UP_BATCHES: Final = 10
_CONSUME_BOUND_S: Final = 60.0


class CalibrationOrder(BaseModel):
    """Which servers, and for how long each loop runs."""

    model_config = ConfigDict(frozen=True)

    bootstrap: str
    database_url: str
    kafka_pid: int
    postgres_pid: int
    loop_s: float


class Loop(BaseModel):
    """One loop: items a second, and CPU milliseconds for 1,000 items, of us and of the server."""

    model_config = ConfigDict(frozen=True)

    per_s: float
    client_cpu_ms_per_1000: float
    server_cpu_ms_per_1000: float = 0.0


class Calibration(BaseModel):
    """All loops. ``commit_ms_p50``: one commit of 64 rows, flush included."""

    model_config = ConfigDict(frozen=True)

    kafka_produce: Loop
    kafka_consume: Loop
    postgres_insert: Loop
    commit_ms_p50: float
    python_json: Loop


async def timed(work: Callable[[], Awaitable[int]], server_pid: int | None) -> Loop:
    """Run ``work``, which returns how many items it did, and weigh it."""
    server_s = family_cpu_s(server_pid) if server_pid else 0.0
    client_s, began_s = time.process_time(), time.monotonic()
    count = max(1, await work())
    took_s, client_s = time.monotonic() - began_s, time.process_time() - client_s
    server_s = family_cpu_s(server_pid) - server_s if server_pid else 0.0
    return Loop(
        per_s=count / took_s,
        client_cpu_ms_per_1000=1e6 * client_s / count,
        server_cpu_ms_per_1000=1e6 * server_s / count,
    )


async def calibrate_kafka(order: CalibrationOrder) -> tuple[Loop, Loop]:
    """Produce for ``loop_s``, then consume all of it."""
    admin = AIOKafkaAdminClient(bootstrap_servers=order.bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name=_TOPIC, num_partitions=_PARTITIONS, replication_factor=1)])
        produced = await _produce(order)
        consumed = await _consume(order)
        await admin.delete_topics([_TOPIC])
    finally:
        await admin.close()
    return produced, consumed


async def _produce(order: CalibrationOrder) -> Loop:
    producer = AIOKafkaProducer(bootstrap_servers=order.bootstrap, acks="all", enable_idempotence=True)
    value = orjson.dumps(make_input(0))

    async def send_batch() -> int:
        sent = [await producer.send(_TOPIC, value, partition=n % _PARTITIONS) for n in range(_KAFKA_BATCH)]
        await asyncio.gather(*sent)
        return _KAFKA_BATCH

    async def send_for_a_while() -> int:
        until_s, count = time.monotonic() + order.loop_s, 0
        while time.monotonic() < until_s:
            count += await send_batch()
        return count

    await producer.start()
    try:
        for _ in range(_WARM_UP_BATCHES):
            await send_batch()
        return await timed(send_for_a_while, order.kafka_pid)
    finally:
        await producer.stop()


async def _consume(order: CalibrationOrder) -> Loop:
    consumer = AIOKafkaConsumer(bootstrap_servers=order.bootstrap, auto_offset_reset="earliest")

    async def read_all() -> int:
        places = [TopicPartition(_TOPIC, number) for number in range(_PARTITIONS)]
        wanted, count = sum((await consumer.end_offsets(places)).values()), 0
        consumer.assign(places)
        async with asyncio.timeout(_CONSUME_BOUND_S):
            while count < wanted:
                found = await consumer.getmany(timeout_ms=1000, max_records=_KAFKA_BATCH)
                count += sum(map(len, found.values()))
        return count

    await consumer.start()
    try:
        return await timed(read_all, order.kafka_pid)
    finally:
        await consumer.stop()


async def calibrate_postgres(order: CalibrationOrder) -> tuple[Loop, float]:
    """Insert for ``loop_s``; return the loop and the median commit in milliseconds."""
    lent = await asyncpg.connect(order.database_url)
    rows = [orjson.dumps(make_input(number)) for number in range(_POSTGRES_BATCH)]
    commits_s: list[float] = []

    async def insert_for_a_while() -> int:
        until_s = time.monotonic() + order.loop_s
        commits_s.clear()
        while (began_s := time.monotonic()) < until_s:
            await insert.fetch(rows)
            commits_s.append(time.monotonic() - began_s)
        return _POSTGRES_BATCH * len(commits_s)

    try:
        await lent.execute("create table bench_calibration (id bigint generated always as identity, body bytea)")
        insert = await lent.prepare("insert into bench_calibration (body) select unnest($1::bytea[])")
        for _ in range(_WARM_UP_BATCHES):
            await insert.fetch(rows)
        loop = await timed(insert_for_a_while, order.postgres_pid)
        await lent.execute("drop table bench_calibration")
    finally:
        await lent.close()
    return loop, 1000 * percentile(sorted(commits_s), 0.5)


async def calibrate_python(loop_s: float) -> Loop:
    """Parse and write 1 KB of JSON for ``loop_s``."""
    text = orjson.dumps(make_input(0))

    async def round_trips() -> int:
        until_s, count = time.monotonic() + loop_s, 0
        while time.monotonic() < until_s:
            for _ in range(1000):
                orjson.dumps(orjson.loads(text))
            count += 1000
        return count

    return await timed(round_trips, None)


async def calibrate(order: CalibrationOrder) -> Calibration:
    """Run all loops, one after the other."""
    python_json = await calibrate_python(order.loop_s / 2)
    postgres_insert, commit_ms = await calibrate_postgres(order)
    kafka_produce, kafka_consume = await calibrate_kafka(order)
    return Calibration(
        kafka_produce=kafka_produce,
        kafka_consume=kafka_consume,
        postgres_insert=postgres_insert,
        commit_ms_p50=commit_ms,
        python_json=python_json,
    )


def main() -> None:
    """Calibrate as ordered on stdin and print the figures."""
    order = CalibrationOrder.model_validate_json(sys.stdin.buffer.read())
    sys.stdout.write(uvloop.run(calibrate(order)).model_dump_json() + "\n")


if __name__ == "__main__":
    main()
