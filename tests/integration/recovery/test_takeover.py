"""After a SIGKILL of any one process, jobs submitted from then on succeed. How soon, the chaos runs tell."""

import asyncio
import time

import pytest

from headrace.local.services import SERVICES
from tests.integration.recovery.conftest import Pipeline

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

FLOWS_WITHIN_S = 60


@pytest.mark.parametrize("name", SERVICES)
async def test_p9_work_flows_again_soon_after_a_kill(pipeline: Pipeline, name: str) -> None:
    await pipeline.load.submit(20, over_s=2)

    pipeline.system.fleet.kill(name)
    killed_at = time.time()
    after = await pipeline.load.submit(40, over_s=4)

    async with asyncio.timeout(FLOWS_WITHIN_S):
        first = await _first_output(pipeline, after)
    print(f"{name}: {first - killed_at:.1f} s")
    await pipeline.system.fleet.ready(name)


async def _first_output(pipeline: Pipeline, jobs: list[str]) -> float:
    while True:
        seen = [pipeline.tail.outputs[job] for job in jobs if job in pipeline.tail.outputs]
        if seen:
            return min(seen)
        await asyncio.sleep(0.1)
