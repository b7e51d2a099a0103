"""Budgets, usage and control over REST, on the real service and Postgres."""

import asyncio
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from headrace.local.stack import Endpoints
from persistence.postgres.keys import PostgresKeyStore
from persistence.postgres.operations import PostgresOperations
from persistence.postgres.pool import Pool, create_pool
from persistence.postgres.releases import release_pass
from tests.integration.ingestion.conftest import JOB, environment, started
from tests.integration.persistence.conftest import new_database
from tests.integration.persistence.examples import USD, answered, asking, make_ledger, new_job

pytestmark = pytest.mark.stack


@dataclass
class House:
    """One running service on a database of its own, shared by this module: each test is another tenant."""

    pool: Pool
    url: str


@dataclass
class Door:
    """The service as a tenant of its own sees it."""

    tenant: str
    url: str
    client: aiohttp.ClientSession


@pytest.fixture(scope="module")
async def house(endpoints: Endpoints) -> AsyncIterator[House]:
    async with new_database(endpoints) as url:
        pool = await create_pool(url, size=4, application="test")
        async with started(environment(url), "none") as running:
            await running.until_ready()
            yield House(pool, running.url)
        pool.terminate()


@pytest.fixture
def pool(house: House) -> Pool:
    return house.pool


@pytest.fixture
async def door(house: House) -> AsyncIterator[Door]:
    tenant = f"t{uuid.uuid4().hex[:8]}"
    key = await PostgresKeyStore(house.pool).create(tenant, ["jobs"])
    async with aiohttp.ClientSession(headers={"authorization": f"Bearer {key}"}) as client:
        yield Door(tenant, house.url, client)


@pytest.fixture
async def operator(house: House) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the operator, whose own tenant is another."""
    key = await PostgresKeyStore(house.pool).create("house", ["operator"])
    async with aiohttp.ClientSession(headers={"authorization": f"Bearer {key}"}) as client:
        yield client


@asynccontextmanager
async def asked(client: aiohttp.ClientSession, method: str, url: str, **kwargs: Any) -> AsyncIterator[Any]:
    async with client.request(method, url, **kwargs) as response:
        yield response.status, await response.json()


async def submit(door: Door, **fields: Any) -> str:
    async with asked(door.client, "post", door.url + "/api/v1/jobs", json={**JOB, **fields}) as (status, body):
        assert status == 202
        return str(body["id"])


async def act(door: Door, path: str) -> tuple[int, Any]:
    async with asked(door.client, "post", door.url + "/api/v1" + path) as answer:
        return answer  # type: ignore[no-any-return]  # what asked gives


async def spent(pool: Pool, job_id: str, nanos: int) -> None:
    """Make a paid call for a job."""
    row = await pool.fetchrow("select tenant_id, recipe, recipe_hash from jobs where id = $1", UUID(job_id))
    assert row is not None
    job = replace(new_job(row["tenant_id"]), job_id=UUID(job_id), recipe=row["recipe"], recipe_hash=row["recipe_hash"])
    ledger = await make_ledger(pool)
    await ledger.reserve([asking(job, nanos)])
    await ledger.settle([answered(job, nanos)])


async def test_an_operator_sets_sees_and_removes_budgets(
    door: Door, operator: aiohttp.ClientSession, pool: Pool
) -> None:
    url = door.url + "/api/v1/budgets"
    wish = {"tenant": door.tenant, "scope": "recipe", "key": "ticket-triage", "window": "day", "limit_usd": "2.5"}
    # Given a limit
    async with asked(operator, "put", url, json=wish) as (status, body):
        assert (status, body["limit_usd"], body["available_usd"]) == (200, "2.500000000", "2.500000000")
    # When its recipe has cost something
    await spent(pool, await submit(door), USD)
    # Then it shows
    async with asked(operator, "get", url + "?tenant=" + door.tenant) as (status, body):
        [budget] = body["budgets"]
        assert (budget["settled_usd"], budget["available_usd"]) == ("1.000000000", "1.500000000")
        assert (budget["held_jobs"], budget["window"], body["next_after"]) == (0, "day", None)
        assert budget["window_end"].endswith("T00:00:00Z") or budget["window_end"].endswith("T00:00:00+00:00")
    async with asked(operator, "delete", url, params={k: v for k, v in wish.items() if k != "limit_usd"}) as (
        status,
        _,
    ):
        assert status == 200
    async with asked(operator, "get", url + "?tenant=" + door.tenant) as (status, body):
        assert body["budgets"] == []


@pytest.mark.parametrize(
    ("wish", "pointer"),
    [
        ({"scope": "planet", "limit_usd": "1"}, "/scope"),
        ({"scope": "tenant", "limit_usd": 1}, "/limit_usd"),
        ({"scope": "tenant", "limit_usd": "-1"}, "/limit_usd"),
        ({"scope": "tenant", "limit_usd": "1", "more": 1}, "/more"),
        ({"scope": "recipe", "key": "a@1.0.0", "limit_usd": "1"}, None),
        ({"scope": "batch", "key": "x", "limit_usd": "1"}, None),
        ({"scope": "tenant", "key": "x", "limit_usd": "1"}, None),
    ],
)
async def test_a_budget_that_cannot_be_is_refused_with_its_fault(
    door: Door, operator: aiohttp.ClientSession, wish: dict[str, Any], pointer: str | None
) -> None:
    async with asked(operator, "put", door.url + "/api/v1/budgets", json=wish) as (status, body):
        assert status == 422
        [fault] = body["errors"]
        assert fault.get("pointer") == pointer
        assert fault.get("parameter") == (None if pointer else "key")


async def test_a_limit_below_nothing_is_told_that_nothing_is_a_limit(
    door: Door, operator: aiohttp.ClientSession
) -> None:
    wish = {"tenant": door.tenant, "scope": "tenant", "limit_usd": "-1"}
    async with asked(operator, "put", door.url + "/api/v1/budgets", json=wish) as (status, body):
        assert (status, body["errors"][0]["detail"]) == (422, "must be 0 or more and at most 1000000000")


async def test_budgets_are_for_operators(door: Door) -> None:
    async with asked(door.client, "get", door.url + "/api/v1/budgets") as (status, body):
        assert (status, body["code"]) == (403, "forbidden")
    async with asked(door.client, "put", door.url + "/api/v1/budgets", json={}) as (status, _):
        assert status == 403


async def test_a_job_without_a_budget_cannot_be_given_one(door: Door, operator: aiohttp.ClientSession) -> None:
    free, bounded = await submit(door), await submit(door, budget_usd="0.5")
    for job_id, expected in ((free, 404), (bounded, 200)):
        wish = {"tenant": door.tenant, "scope": "job", "key": job_id, "limit_usd": "1"}
        async with asked(operator, "put", door.url + "/api/v1/budgets", json=wish) as (status, _):
            assert status == expected
    async with asked(door.client, "get", f"{door.url}/api/v1/jobs/{bounded}") as (_, body):
        assert body["budget_usd"] == "1.000000000"


async def test_a_batch_that_the_tenant_does_not_have_cannot_be_given_a_budget(
    door: Door, operator: aiohttp.ClientSession
) -> None:
    # Given a tenant's batch
    async with asked(door.client, "post", door.url + "/api/v1/batches", json=[JOB]) as (_, body):
        batch_id = body["id"]
    # When its operator, who is of another tenant, forgets to say whose it is
    wish = {"scope": "batch", "key": batch_id, "limit_usd": "1"}
    async with asked(operator, "put", door.url + "/api/v1/budgets", json=wish) as (status, body):
        # Then that is said, where a limit that limits nothing would have been set
        assert (status, body["detail"]) == (404, "The tenant house has no batch with this id.")
    wish["tenant"] = door.tenant
    async with asked(operator, "put", door.url + "/api/v1/budgets", json=wish) as (status, _):
        assert status == 200


async def test_p4_money_added_over_rest_releases_a_held_job(
    door: Door, operator: aiohttp.ClientSession, pool: Pool
) -> None:
    # Given a job on hold for its tenant's budget
    wish = {"tenant": door.tenant, "scope": "tenant", "limit_usd": "0"}
    async with asked(operator, "put", door.url + "/api/v1/budgets", json=wish) as (status, _):
        assert status == 200
    job_id = await submit(door)
    await spent(pool, job_id, USD)
    async with asked(door.client, "get", f"{door.url}/api/v1/jobs/{job_id}") as (_, body):
        assert body["state"] == "held"
        assert body["hold_reason"].startswith("budget_exhausted: the tenant's budget of 0 USD")
    async with asked(operator, "get", door.url + "/api/v1/budgets?tenant=" + door.tenant) as (_, body):
        assert body["budgets"][0]["held_jobs"] == 1
    # When money is added
    async with asked(operator, "put", door.url + "/api/v1/budgets", json={**wish, "limit_usd": "3"}) as (_, body):
        budget_id = await pool.fetchval("select id from budgets where tenant_id = $1", door.tenant)
        assert await release_pass(pool, {budget_id}) == 1
    # Then it is in the queue again
    async with asked(door.client, "get", f"{door.url}/api/v1/jobs/{job_id}") as (_, body):
        assert (body["state"], body["hold_reason"]) == ("queued", None)


async def test_usage_is_ones_own_and_the_operators_everybodys(
    door: Door, operator: aiohttp.ClientSession, pool: Pool
) -> None:
    url = door.url + "/api/v1/usage"
    await spent(pool, await submit(door), USD)
    async with asked(door.client, "get", url + "?group_by=recipe,day") as (status, body):
        assert status == 200
        [group] = body["usage"]
        assert (group["tenant"], group["cost_usd"], group["answered"]) == (door.tenant, "1.000000000", 1)
        assert group["recipe"].startswith("ticket-triage@")
        assert group["day"] == body["last"]
    async with asked(operator, "get", url + "?group_by=tenant") as (_, body):
        assert door.tenant in [g["tenant"] for g in body["usage"]]
    async with asked(operator, "get", url + "?tenant=nobody") as (_, body):
        assert body["usage"][0]["attempts"] == 0
    async with asked(door.client, "get", url + "?tenant=house") as (status, _):
        assert status == 403
    async with asked(door.client, "get", url + "?from=2026-01-02&to=2026-01-01") as (status, body):
        assert (status, body["code"]) == (422, "invalid_parameter")


async def test_pause_resume_and_retry_over_rest(door: Door) -> None:
    job_id = await submit(door)
    status, body = await act(door, f"/jobs/{job_id}/pause")
    assert (status, body["state"], body["hold_reason"]) == (200, "held", "paused")
    status, body = await act(door, f"/jobs/{job_id}/resume")
    assert (status, body["state"]) == (200, "queued")
    # An open job is not retried
    status, body = await act(door, f"/jobs/{job_id}/retry")
    assert (status, body["code"]) == (409, "not_retryable")
    # A cancelled one is, as a new job, once
    await act(door, f"/jobs/{job_id}/cancel")
    for verb in ("pause", "resume"):
        status, body = await act(door, f"/jobs/{job_id}/{verb}")
        assert (status, body["code"]) == (409, "job_ended")
    status, first = await act(door, f"/jobs/{job_id}/retry")
    assert (status, first["state"]) == (202, "queued")
    status, again = await act(door, f"/jobs/{job_id}/retry")
    assert (status, again["id"]) == (202, first["id"])
    async with asked(door.client, "get", f"{door.url}/api/v1/jobs/{first['id']}") as (_, body):
        assert body["retry_of"] == job_id


async def test_a_batch_is_paused_in_the_background_with_progress(door: Door, pool: Pool) -> None:
    async with asked(door.client, "post", door.url + "/api/v1/batches", json=[JOB] * 5) as (_, batch):
        pass
    status, begun = await act(door, f"/batches/{batch['id']}/pause")
    assert (status, begun["state"], begun["scanned"]) == (202, "running", 0)
    while await PostgresOperations(pool, shards=1, source="test").work(100):
        pass
    async with asked(door.client, "get", door.url + begun["links"]["self"]) as (_, done):
        assert (done["state"], done["matched"], done["changed"]) == ("done", 5, 5)
    async with asked(door.client, "get", f"{door.url}/api/v1/batches/{batch['id']}") as (_, body):
        assert body["states"] == {"held": 5}


async def test_operations_say_what_is_wrong_with_them(door: Door) -> None:
    url = door.url + "/api/v1/operations"
    for wish, code, pointer in (
        ({"action": "cancel", "filter": {}}, "invalid_request_body", "/filter"),
        ({"action": "explode", "filter": {"tag": "x"}}, "invalid_request_body", "/action"),
        ({"action": "cancel", "filter": {"created_before": "2026-01-01T00:00:00"}}, "invalid_request_body",
         "/filter/created_before"),
        ({"action": "cancel", "filter": {"colour": "red"}}, "invalid_request_body", "/filter/colour"),
    ):  # fmt: skip
        async with asked(door.client, "post", url, json=wish) as (status, body):
            assert (status, body["code"], body["errors"][0]["pointer"]) == (422, code, pointer)
    async with asked(door.client, "post", url, data=b"{") as (status, body):
        assert (status, body["code"]) == (400, "malformed_json")
    async with asked(door.client, "post", url, data=b"[" * 70_000) as (status, body):
        assert (status, body["code"]) == (413, "request_too_large")
    async with asked(door.client, "get", url + f"/{UUID(int=5)}") as (status, _):
        assert status == 404


async def test_a_time_to_live_is_a_deadline_from_now(door: Door, pool: Pool) -> None:
    job_id = await submit(door, ttl_seconds=3600)
    left = await pool.fetchval(
        "select extract(epoch from deadline - created_at)::int from jobs where id = $1", UUID(job_id)
    )
    assert left in range(3590, 3602)
    assert await pool.fetchval("select count(*) from deadlines where job_id = $1", UUID(job_id)) == 1
    for fields, pointer in (
        ({"ttl_seconds": 0}, "/ttl_seconds"),
        ({"ttl_seconds": True}, "/ttl_seconds"),
        ({"ttl_seconds": 5, "deadline": "2099-01-01T00:00:00Z"}, "/deadline"),
        ({"ttl_seconds": 5, "deadline": "2027-01-01T00:00:00Z"}, "/ttl_seconds"),
    ):
        async with asked(door.client, "post", door.url + "/api/v1/jobs", json={**JOB, **fields}) as (status, body):
            assert (status, body["errors"][0]["pointer"]) == (422, pointer)


# --- the command line ---------------------------------------------------------------------------------------------


async def headrace(door: Door, key: str, *arguments: str) -> tuple[int, str]:
    """Run the command against the service; return its exit code and all it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "headrace", *arguments,
        env={**os.environ, "HEADRACE_URL": door.url, "HEADRACE_API_KEY": key, "COLUMNS": "200"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    told, _ = await process.communicate()
    return process.returncode or 0, told.decode()


async def test_budgets_and_usage_on_the_command_line(door: Door, pool: Pool) -> None:
    key = await PostgresKeyStore(pool).create(door.tenant, ["jobs", "operator"])
    named = ("recipe", "ticket-triage", "--window", "day")
    status, told = await headrace(door, key, "budgets", "set", *named, "--limit", "2.50")
    assert (status, "$2.5" in told) == (0, True), told
    await spent(pool, await submit(door), USD)
    status, told = await headrace(door, key, "budgets", "--tenant", door.tenant)
    assert status == 0
    assert all(word in told for word in (door.tenant, "ticket-triage", "$1.5", "00:00")), told
    status, told = await headrace(door, key, "usage", "--by", "recipe", "--by", "day", "--tenant", door.tenant)
    assert (status, "ticket-triage@" in told, "$1" in told) == (0, True, True), told
    status, told = await headrace(door, key, "budgets", "remove", *named)
    assert (status, told.strip()) == (0, "It is removed.")
    status, told = await headrace(door, key, "budgets", "set", "recipe", "a@1.0.0", "--limit", "1")
    assert (status, "without a version" in told) == (1, True), told


async def test_steering_on_the_command_line(door: Door, pool: Pool) -> None:
    key = await PostgresKeyStore(pool).create(door.tenant, ["jobs"])
    job_id = await submit(door, tags=["mine"])
    status, told = await headrace(door, key, "pause", job_id)
    assert (status, told.strip()) == (0, f"{job_id} is held (paused).")
    status, told = await headrace(door, key, "resume", job_id)
    assert (status, told.strip()) == (0, f"{job_id} is queued.")
    status, told = await headrace(door, key, "retry", job_id)
    assert (status, "(not_retryable)" in told) == (1, True), told
    # A batch by its id, and a filter
    async with asked(door.client, "post", door.url + "/api/v1/batches", json=[JOB] * 2) as (_, batch):
        pass
    for command in ("pause", "cancel"):
        status, told = await headrace(door, key, command, batch["id"])
        assert (status, "is running" in told) == (0, True), told
    status, told = await headrace(door, key, "operations", "begin", "cancel", "--tag", "mine", "--json")
    operation_id = json.loads(told)["id"]
    while await PostgresOperations(pool, shards=1, source="test").work(100):
        pass
    status, told = await headrace(door, key, "operations", "show", operation_id, "--wait")
    assert (status, "is done: 1 cancelled of 1 meant" in told) == (0, True), told
    status, told = await headrace(door, key, "retry", job_id)
    assert (status, f"it runs {job_id} again" in told) == (0, True), told
    status, told = await headrace(door, key, "pause", str(UUID(int=3)))
    assert (status, "You have no job with this id." in told) == (1, True), told
