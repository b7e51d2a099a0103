"""Budgets and job control on a whole running system: what is set over REST acts by itself."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.chaos.workload import RECIPE, marker
from tests.integration.recovery.conftest import Pipeline, until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(150)]

NAME = RECIPE.partition("@")[0]


@pytest.fixture
async def client(pipeline: Pipeline) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"authorization": f"Bearer {pipeline.system.api_key}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        yield session


@pytest.fixture
async def api(pipeline: Pipeline, client: aiohttp.ClientSession) -> AsyncIterator["Api"]:
    api = Api(pipeline.system.api, client)
    yield api
    await api.ask("delete", f"/budgets?scope=recipe&key={NAME}")


class Api:
    """The API as an operator uses it."""

    def __init__(self, url: str, client: aiohttp.ClientSession) -> None:
        self._url = url
        self._client = client

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        async with self._client.request(method, self._url + path, json=body) as response:
            return await response.json()

    async def batch(self, jobs: int, **fields: Any) -> str:
        """Submit a batch and return its id."""
        body = [self._job(number, **fields) for number in range(jobs)]
        return str((await self.ask("post", "/batches", body))["id"])

    async def job(self, **fields: Any) -> str:
        return str((await self.ask("post", "/jobs", self._job(0, **fields)))["id"])

    async def states(self, batch_id: str) -> dict[str, int]:
        states: dict[str, int] = (await self.ask("get", f"/batches/{batch_id}"))["states"]
        return states

    async def limit(self, usd: str) -> None:
        await self.ask("put", "/budgets", {"scope": "recipe", "key": NAME, "limit_usd": usd})

    def _job(self, number: int, **fields: Any) -> dict[str, Any]:
        words = {"marker": marker(number), "text": f"kettle {uuid.uuid4().hex}"}
        return {"recipe": RECIPE, "input": words, **fields}


async def test_p4_jobs_wait_for_money_and_go_on_when_it_comes(api: Api) -> None:
    # Given no money for a recipe, and a batch of it
    await api.limit("0")
    batch_id = await api.batch(20)

    async def all_held() -> bool:
        return await api.states(batch_id) == {"held": 20}

    await until(all_held)
    [budget] = (await api.ask("get", f"/budgets?scope=recipe&key={NAME}"))["budgets"]
    assert (budget["held_jobs"], budget["settled_usd"]) == (20, "0.000000000")
    # When money is added
    await api.limit("5")

    # Then all of it succeeds, with no command given
    async def all_done() -> bool:
        return await api.states(batch_id) == {"succeeded": 20}

    await until(all_done)
    [budget] = (await api.ask("get", f"/budgets?scope=recipe&key={NAME}"))["budgets"]
    cost = (await api.ask("get", f"/batches/{batch_id}"))["cost_usd"]
    assert (budget["held_jobs"], budget["reserved_usd"], budget["settled_usd"]) == (0, "0.000000000", cost)


async def test_p8_a_batch_paused_in_full_flow_makes_no_call_until_it_is_resumed(api: Api) -> None:
    # Given a batch that is being worked on
    batch_id = await api.batch(300)

    async def some_done() -> bool:
        return (await api.states(batch_id)).get("succeeded", 0) > 10

    await until(some_done)
    # When it is paused
    begun = await api.ask("post", f"/batches/{batch_id}/pause")

    async def operation_done() -> bool:
        return bool((await api.ask("get", f"/operations/{begun['id']}"))["state"] == "done")

    await until(operation_done)
    paused = await api.states(batch_id)
    assert paused.keys() <= {"held", "succeeded"}
    # Then nothing more of it succeeds
    other = await api.job()

    async def other_done() -> bool:
        return bool((await api.ask("get", f"/jobs/{other}"))["state"] == "succeeded")

    await until(other_done)
    assert await api.states(batch_id) == paused
    # Until it is resumed
    await api.ask("post", f"/batches/{batch_id}/resume")

    async def all_done() -> bool:
        return await api.states(batch_id) == {"succeeded": 300}

    await until(all_done)


async def test_a_job_that_waits_past_its_time_to_live_expires_and_can_be_retried(api: Api) -> None:
    await api.limit("0")
    job_id = await api.job(ttl_seconds=2)

    async def expired() -> bool:
        return bool((await api.ask("get", f"/jobs/{job_id}"))["state"] == "expired")

    await until(expired)
    await api.limit("5")
    retried = await api.ask("post", f"/jobs/{job_id}/retry")

    async def done() -> bool:
        return bool((await api.ask("get", f"/jobs/{retried['id']}"))["state"] in {"succeeded", "expired"})

    await until(done)
    job = await api.ask("get", f"/jobs/{retried['id']}")
    assert job["retry_of"] == job_id
