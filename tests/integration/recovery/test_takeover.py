"""After a SIGKILL of any one process, jobs submitted from then on succeed. How soon, the chaos runs tell."""

import time

import pytest

from headrace.local.services import SERVICES
from tests.chaos.healing import healed
from tests.integration.recovery.conftest import Pipeline

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

HEALS_WITHIN_S = 60


@pytest.mark.parametrize("name", SERVICES)
async def test_p9_work_flows_again_soon_after_a_kill(pipeline: Pipeline, name: str) -> None:
    await pipeline.load.submit(20, over_s=2)

    pipeline.system.fleet.kill(name)
    killed_at = time.time()
    after = await pipeline.load.submit(40, over_s=4)

    assert await healed(pipeline.tail, dict.fromkeys(after, ""), HEALS_WITHIN_S) is not None
    assert set(after) <= set(pipeline.tail.outputs)
    first = min(pipeline.tail.outputs[job] for job in after)
    print(f"{name}: flows after {first - killed_at:.1f} s")
    await pipeline.system.fleet.ready(name)
