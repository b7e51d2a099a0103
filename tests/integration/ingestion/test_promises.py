"""P1 and P7 at the door: what was answered 202 is in Postgres, and one key makes one job."""

import asyncio
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import aiohttp
import asyncpg
import pytest

from headrace.local.stack import Stack
from persistence.postgres.keys import PostgresKeyStore
from persistence.postgres.migrate import migrate
from persistence.postgres.pool import Pool, create_pool
from tests.integration.ingestion.conftest import JOB, Ingestion, Start, environment, started

pytestmark = pytest.mark.stack


async def post(
    service: Ingestion, key: str | None = None, path: str = "/api/v1/jobs", body: object = JOB
) -> tuple[int, dict[str, object]]:
    headers = {"idempotency-key": key} if key else {}
    async with service.client.post(service.url + path, json=body, headers=headers) as response:
        return response.status, await response.json(content_type=None)


async def rows(pool: Pool, table: str) -> int:
    return int(await pool.fetchval(f"select count(*) from {table}"))


async def test_p7_two_hundred_identical_submits_are_one_job(ingestion: Ingestion, pool: Pool) -> None:
    answers = await asyncio.gather(*(post(ingestion, "one") for _ in range(200)))

    assert {status for status, _ in answers} == {202}
    assert len({body["id"] for _, body in answers}) == 1
    assert (await rows(pool, "jobs"), await rows(pool, "outbox"), await rows(pool, "job_inputs")) == (1, 1, 1)


async def test_p7_also_between_two_processes(start: Start, pool: Pool) -> None:
    async with start() as first, start() as second:
        await asyncio.gather(first.until_ready(), second.until_ready())

        answers = await asyncio.gather(*(post(service, "one") for _ in range(50) for service in (first, second)))

    assert {status for status, _ in answers} == {202}
    assert len({body["id"] for _, body in answers}) == 1
    assert await rows(pool, "jobs") == 1


async def test_p7_many_keys_at_once_each_make_one_job(ingestion: Ingestion, pool: Pool) -> None:
    answers = await asyncio.gather(*(post(ingestion, f"key-{n % 40}") for n in range(200)))

    assert Counter(status for status, _ in answers) == {202: 200}
    assert len({body["id"] for _, body in answers}) == 40 == await rows(pool, "jobs")


async def test_p7_another_body_under_the_key_is_refused(ingestion: Ingestion, pool: Pool) -> None:
    await post(ingestion, "one")

    status, body = await post(ingestion, "one", body={**JOB, "lane": "bulk"})

    assert (status, body["code"]) == (422, "idempotency_key_reuse")
    assert await rows(pool, "jobs") == 1


async def test_p7_a_batch_is_one_batch_however_often_it_is_sent(ingestion: Ingestion, pool: Pool) -> None:
    batch = [JOB] * 7

    answers = await asyncio.gather(*(post(ingestion, "b", "/api/v1/batches", batch) for _ in range(20)))

    assert {status for status, _ in answers} == {202}
    assert len({json.dumps(body) for _, body in answers}) == 1
    stored = {row["id"] for row in await pool.fetch("select id from jobs")}
    assert stored == {UUID(str(i)) for i in answers[0][1]["jobs"]}  # type: ignore[attr-defined]
    assert await rows(pool, "batches") == 1


async def test_p1_with_every_other_server_away_jobs_are_accepted(start: Start, pool: Pool) -> None:
    nowhere = {"redis_url": "redis://127.0.0.1:1/0", "elasticsearch_url": "http://127.0.0.1:1"}
    async with start(**nowhere) as service:
        await service.until_ready()

        status, _ = await post(service)
        async with service.client.get(service.url + "/api/v1/health") as response:
            health = await response.json()

    assert (status, response.status, health["status"]) == (202, 200, "degraded")
    down = {name for name, dependency in health["dependencies"].items() if dependency["state"] == "down"}
    assert down == {"kafka", "redis", "elasticsearch"}
    assert await rows(pool, "outbox") == 1


async def test_p1_a_202_survives_the_death_of_the_process(start: Start, pool: Pool) -> None:
    accepted: set[str] = set()

    async def submit_until_it_dies(service: Ingestion) -> None:
        while True:
            try:
                status, body = await post(service)
            except (aiohttp.ClientError, ConnectionError):
                return
            assert status == 202
            accepted.add(str(body["id"]))
            if len(accepted) == 300:
                service.kill()

    async with start() as service:
        await service.until_ready()
        await asyncio.gather(*(submit_until_it_dies(service) for _ in range(32)))

    stored = {str(row["id"]) for row in await pool.fetch("select id from jobs")}
    queued = {str(row["job_id"]) for row in await pool.fetch("select job_id from outbox")}
    assert len(accepted) >= 300
    assert accepted <= stored
    assert stored == queued


@pytest.fixture
async def own_postgres() -> AsyncIterator[Stack]:
    """A Postgres that may be killed."""
    folder = Path(tempfile.mkdtemp(prefix="headrace test "))
    try:
        async with Stack(folder, ["postgres"], free_ports=True) as running:
            await migrate(running.endpoints.database_url, shards=1)
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _key(url: str) -> str:
    pool = await create_pool(url, size=2, application="test")
    try:
        return await PostgresKeyStore(pool).create("acme", ["jobs"])
    finally:
        await pool.close()


async def test_p1_postgres_killed_under_load_loses_nothing_accepted(own_postgres: Stack) -> None:
    url = own_postgres.endpoints.database_url
    accepted: dict[str, str] = {}
    refused: set[str] = set()

    async def submit(service: Ingestion, key: str) -> None:
        status, body = await post(service, key)
        if status == 202:
            accepted[key] = str(body["id"])
        else:
            assert (status, body["code"]) == (503, "storage_unavailable")
            refused.add(key)

    async def submit_many(service: Ingestion, worker: int) -> None:
        for number in range(40):
            await submit(service, f"{worker}-{number}")
            if (worker, number) == (0, 10):
                await own_postgres.kill_server("postgres")

    async with started(environment(url), await _key(url)) as service:
        await service.until_ready()
        await asyncio.gather(*(submit_many(service, worker) for worker in range(16)))
        assert refused
        await service.until_ready(503)
        await own_postgres.start_server("postgres")
        await service.until_ready()

        for key in sorted(refused):
            await submit(service, key)

    assert len(accepted) == 16 * 40
    connection = await asyncpg.connect(url)
    stored = [str(row["id"]) for row in await connection.fetch("select id from jobs")]
    await connection.close()
    assert sorted(accepted.values()) == sorted(stored)


async def test_p1_a_hung_postgres_is_a_503_and_the_key_makes_it_safe(own_postgres: Stack) -> None:
    url = own_postgres.endpoints.database_url
    async with started(environment(url), await _key(url)) as service:
        await service.until_ready()
        await post(service)
        own_postgres.pause_server("postgres")
        try:
            status, body = await post(service, "one")
            live = (await service.client.get(service.url + "/health/live")).status
        finally:
            own_postgres.resume_server("postgres")
        await service.until_ready()
        again, _ = await post(service, "one")

    assert (status, body["code"], live, again) == (503, "storage_unavailable", 200, 202)
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("select count(*) from jobs") == 2
    await connection.close()


async def test_the_service_starts_before_postgres_and_serves_when_it_is_there(own_postgres: Stack) -> None:
    url = own_postgres.endpoints.database_url
    key = await _key(url)
    await own_postgres.stop_server("postgres")

    async with started(environment(url), key) as service:
        async with service.client.get(service.url + "/health/live") as live:
            assert live.status == 200
        async with service.client.get(service.url + "/health/ready") as ready:
            assert (await ready.json())["reason"] == "starting"
        assert (await post(service))[1]["code"] == "starting"

        await own_postgres.start_server("postgres")
        await service.until_ready()

        assert (await post(service))[0] == 202
