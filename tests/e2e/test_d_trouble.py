"""The promises under trouble: services killed, Kafka and Elasticsearch stopped. Last, for it leaves scars."""

import asyncio
import signal
from collections import Counter
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from headrace.local.services import SERVICES
from tests.e2e.whole_system import WholeSystem, until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

JOBS_A_KILL = 100
CLIENTS = 16


async def committed_outputs(system: WholeSystem) -> list[tuple[str, str]]:
    """(job id, record id) of every output a read_committed consumer sees, from beginning to end."""
    found = []
    async with AIOKafkaConsumer(
        bootstrap_servers=system.kafka, isolation_level="read_committed", auto_offset_reset="earliest"
    ) as consumer:
        numbers = await consumer._client._wait_on_metadata("headrace.outputs")
        partitions = [TopicPartition("headrace.outputs", number) for number in numbers]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        while any([await consumer.position(where) < ends[where] for where in partitions]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    headers = {name: value.decode() for name, value in record.headers}
                    found.append((headers["ce_subject"], headers["ce_id"]))
    return found


async def submit_many(system: WholeSystem, name: str, count: int, started: asyncio.Event) -> list[str]:
    """Jobs by concurrent clients that repeat by key; ``started`` is set when a third is accepted."""
    keys = iter([f"{name}-{number}" for number in range(count)])
    accepted: list[str] = []

    async def client() -> None:
        for key in keys:
            accepted.append(await system.submit("note", key, key))
            if len(accepted) * 3 >= count:
                started.set()

    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(client())
    return accepted


@pytest.fixture(scope="module")
async def survivors(system: WholeSystem) -> dict[str, dict[str, Any]]:
    """Jobs during which every service was killed in turn, as they ended."""
    job_ids: list[str] = []
    for name in SERVICES:
        before = system.process(name)
        started = asyncio.Event()
        submitting = asyncio.create_task(submit_many(system, name, JOBS_A_KILL, started))
        await started.wait()
        system.send(name, signal.SIGKILL)
        await system.restarted(name, before)
        job_ids += await submitting
    assert len(set(job_ids)) == len(SERVICES) * JOBS_A_KILL
    return await system.ended(job_ids)


async def test_p2_every_job_ends_once_whichever_service_is_killed(survivors: dict[str, dict[str, Any]]) -> None:
    assert Counter(job["state"] for job in survivors.values()) == {"succeeded": len(SERVICES) * JOBS_A_KILL}


async def test_p2_each_has_one_record_on_outputs(system: WholeSystem, survivors: dict[str, dict[str, Any]]) -> None:
    async def all_out() -> bool:
        rows = await system.rows("select count(*) as waiting from outbox")
        return bool(rows[0]["waiting"] == 0)

    await until(all_out, "the outbox is empty")

    records = await committed_outputs(system)

    seen = Counter(job_id for job_id, _ in records)
    assert {job_id: seen[job_id] for job_id in survivors if seen[job_id] != 1} == {}
    assert len({record_id for _, record_id in records}) == len(records)


async def test_p3_each_answer_in_the_ledger_is_paid_once(
    system: WholeSystem, survivors: dict[str, dict[str, Any]]
) -> None:
    rows = await system.rows(
        "select job_id, count(*) as calls from attempts where job_id = any($1::uuid[]) group by 1", list(survivors)
    )

    assert len(rows) == len(survivors)
    # What was in flight in the killed model_layer may be bought again, and nothing else.
    assert sum(row["calls"] for row in rows) - len(rows) <= CLIENTS
    for job_id, job in survivors.items():
        if job["attempts"] > 1:
            states = [attempt["state"] for attempt in await system.attempts(job_id)]
            assert Counter(states)["answered"] == 1
            assert set(states) <= {"answered", "unknown", "failed"}


async def test_p1_and_p9_without_kafka_jobs_are_accepted_and_delivered_later(system: WholeSystem) -> None:
    before = system.process("kafka")
    system.send("kafka", signal.SIGTERM)
    await until(lambda: _gone(system, before.pid), "Kafka has stopped")

    accepted = [await system.submit("note", f"no kafka {number}") for number in range(20)]
    in_queue = await system.get(f"/jobs/{accepted[0]}")
    await system.restarted("kafka", before)
    jobs = await system.ended(accepted)

    assert in_queue["state"] == "queued"
    assert {(job["state"], job["attempts"]) for job in jobs.values()} == {("succeeded", 1)}


async def test_p9_without_elasticsearch_jobs_succeed_and_are_found_later(system: WholeSystem) -> None:
    before = system.process("elasticsearch")
    system.send("elasticsearch", signal.SIGTERM)
    await until(lambda: _gone(system, before.pid), "Elasticsearch has stopped")

    job_id = await system.submit("note", "no search")
    job = (await system.ended([job_id]))[job_id]
    await system.restarted("elasticsearch", before)

    async def found() -> bool:
        done = await system.headrace("search", str(job["output"]["note"]), "--json")
        return done.code == 0 and job_id in done.out

    await until(found, "the search follows")
    assert job["state"] == "succeeded"


async def _gone(system: WholeSystem, pid: int) -> bool:
    record = system.process("kafka"), system.process("elasticsearch")
    return not any(process.pid == pid and process.identity.alive() for process in record)
