"""P9: each server is stopped hard, or hung with all its children; stages say so, wait, and recover by themselves."""

import asyncio
import time

import pytest

from tests.chaos.healing import healed
from tests.integration.recovery.conftest import Pipeline, ready_reason, servers_down

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

HEALS_WITHIN_S = 60
STAGES = ("prompt_engine", "model_layer", "output_validation", "persistence")
CALLED = {"valkey": "redis"}
NEEDED = {"kafka": STAGES, "postgres": STAGES, "valkey": ()}


@pytest.mark.parametrize("server", NEEDED)
async def test_p9_a_server_hangs_and_wakes_and_no_job_fails(pipeline: Pipeline, server: str) -> None:
    submitting = asyncio.create_task(pipeline.load.submit(60, over_s=8))
    await asyncio.sleep(2)

    pipeline.system.stack.pause_server(server)
    try:
        await asyncio.sleep(4)
        reasons = dict(zip(STAGES, await asyncio.gather(*(ready_reason(pipeline, s) for s in STAGES)), strict=True))
        down = await servers_down(pipeline)
    finally:
        pipeline.system.stack.resume_server(server)
    jobs = await submitting

    assert {stage for stage, reason in reasons.items() if server in reason} == set(NEEDED[server]), reasons
    assert down == {CALLED.get(server, server)}
    await _all_succeed(pipeline, jobs)


@pytest.mark.parametrize("server", NEEDED)
async def test_p9_a_server_is_killed_and_comes_back_and_no_job_fails(pipeline: Pipeline, server: str) -> None:
    submitting = asyncio.create_task(pipeline.load.submit(60, over_s=6))
    await asyncio.sleep(2)
    killed_at = time.time()

    await pipeline.system.stack.kill_server(server)
    await pipeline.system.stack.start_server(server)
    jobs = [*await submitting, *await pipeline.load.submit(10, over_s=1)]

    await _all_succeed(pipeline, jobs)
    flowed = min(at for job in jobs if (at := pipeline.tail.outputs[job]) > killed_at + 1)
    print(f"{server}: flows after {flowed - killed_at:.1f} s")
    for stage in STAGES:
        assert await ready_reason(pipeline, stage) == ""


async def _all_succeed(pipeline: Pipeline, jobs: list[str]) -> None:
    assert await healed(pipeline.tail, dict.fromkeys(jobs, ""), HEALS_WITHIN_S) is not None
    assert set(jobs) <= set(pipeline.tail.outputs)
