"""Starting, waiting, being told, and stopping."""

import asyncio
import shutil
import sys
from pathlib import Path

import pytest

from common.recipes import shipped_recipes
from headrace.local.stack import Endpoints
from tests.integration.ingestion.conftest import JOB, Ingestion, Start, environment

pytestmark = pytest.mark.stack


async def submitted(service: Ingestion) -> str:
    async with service.client.post(service.url + "/api/v1/jobs", json=JOB) as response:
        assert response.status == 202
        return str((await response.json())["id"])


async def waited(service: Ingestion, job_id: str, seconds: int = 30) -> str:
    async with service.client.get(f"{service.url}/api/v1/jobs/{job_id}?wait={seconds}") as response:
        return str((await response.json())["state"])


async def cancel(service: Ingestion, job_id: str) -> int:
    async with service.client.post(f"{service.url}/api/v1/jobs/{job_id}/cancel") as response:
        return response.status


async def waiting_callers(service: Ingestion, number: int) -> None:
    """Return when so many callers wait: the service counts them."""
    async with asyncio.timeout(20):
        while True:
            async with service.client.get(service.url + "/metrics") as response:
                if f"headrace_long_polls {number}.0" in await response.text():
                    return
            await asyncio.sleep(0.02)


async def test_a_long_poll_ends_when_another_process_ends_the_job(start: Start, endpoints: Endpoints) -> None:
    settings = {"redis_url": endpoints.redis_url, "installation": "longpoll"}
    async with start(**settings) as first, start(**settings) as second:
        await asyncio.gather(first.until_ready(), second.until_ready())
        job_ids = [await submitted(first) for _ in range(20)]
        waiting = [asyncio.create_task(waited(first, job_id)) for job_id in job_ids]
        await waiting_callers(first, 20)

        assert {await cancel(second, job_id) for job_id in job_ids} == {200}

        assert set(await asyncio.gather(*waiting)) == {"cancelled"}


async def test_a_long_poll_ends_without_redis_too(start: Start) -> None:
    async with start() as service:
        await service.until_ready()
        job_id = await submitted(service)
        waiting = asyncio.create_task(waited(service, job_id))
        await waiting_callers(service, 1)

        await cancel(service, job_id)

        assert await waiting == "cancelled"


async def test_sigterm_answers_who_waits_and_leaves(start: Start) -> None:
    async with start() as service:
        await service.until_ready()
        job_id = await submitted(service)
        waiting = [asyncio.create_task(waited(service, job_id, 60)) for _ in range(3)]
        await waiting_callers(service, 3)

        code = await service.stop()

        assert await asyncio.gather(*waiting) == ["queued"] * 3
        assert code == 0


async def test_sigterm_under_load_answers_everything_it_took(start: Start) -> None:
    async with start() as service:
        await service.until_ready()
        taken = [asyncio.create_task(submitted(service)) for _ in range(200)]
        await asyncio.sleep(0)
        first = await taken[0]
        code = await service.stop()
        answers = await asyncio.gather(*taken, return_exceptions=True)

    assert code == 0
    assert first
    # A connection may be refused or closed, but nothing that was taken gets an error for an answer.
    assert not [answer for answer in answers if isinstance(answer, AssertionError)]


async def run_to_its_end(env: dict[str, str]) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ingestion", env=env, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        _, text = await process.communicate()
    return process.returncode, text.decode()


async def test_settings_that_cannot_work_are_one_line_and_exit_code_2(database_url: str) -> None:
    code, text = await run_to_its_end(environment(database_url, input_limit_bytes="many"))

    assert code == 2
    assert text.count("\n") == 1
    assert "HEADRACE_INPUT_LIMIT_BYTES" in text


async def test_a_taken_port_is_one_line_and_exit_code_2(start: Start, database_url: str) -> None:
    async with start() as service:
        code, text = await run_to_its_end(environment(database_url, port=str(service.port)))

    assert code == 2
    assert f"127.0.0.1:{service.port}" in text.splitlines()[-1]


async def test_a_published_version_that_changed_stops_the_start(
    start: Start, database_url: str, tmp_path: Path
) -> None:
    recipe = tmp_path / "mine"
    shutil.copytree(shipped_recipes() / "ticket-triage", recipe)
    manifest = (recipe / "recipe.toml").read_text()
    (recipe / "recipe.toml").write_text(manifest.replace('name = "ticket-triage"', 'name = "mine"'))
    async with start(recipes_path=str(recipe)) as service:
        await service.until_ready()
        async with service.client.get(service.url + "/api/v1/recipes/mine") as response:
            assert response.status == 200
    with (recipe / "prompt.j2").open("a") as prompt:
        prompt.write("Be brief.\n")

    code, text = await run_to_its_end(environment(database_url, recipes_path=str(recipe)))

    assert code == 2
    assert "mine@1.0.0 is published with other content" in text.splitlines()[-1]
    assert "Traceback" not in text
