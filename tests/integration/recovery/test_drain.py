"""An orderly stop waits as long as it is told; a call that takes longer is cut, charged, and made again once."""

import asyncpg
import pytest

from tests.chaos.healing import healed
from tests.chaos.system import MODEL_SERVER
from tests.integration.recovery.conftest import Pipeline, until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

HEALS_WITHIN_S = 60
_OF_JOBS = "select {} from attempts where job_id = any($1::uuid[])"


async def test_p2_calls_that_outlast_the_drain_are_charged_and_made_again_by_the_successor(
    pipeline: Pipeline, database: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    fleet = pipeline.system.fleet
    # Given calls to a model that does not answer
    pid = fleet.pause(MODEL_SERVER)
    assert pid is not None
    try:
        jobs = await pipeline.load.submit(3, over_s=0.3)

        async def all_called() -> bool:
            return len(await database.fetch(_OF_JOBS.format("1"), jobs)) == len(jobs)

        await until(all_called)
        # When the service that makes them is told to stop
        await fleet.restart("model_layer")
    finally:
        fleet.resume(pid)
    # Then they are charged whole, and its successor makes each once more
    assert await healed(pipeline.tail, dict.fromkeys(jobs, ""), HEALS_WITHIN_S) is not None
    assert set(jobs) <= set(pipeline.tail.outputs)
    rows = await database.fetch(
        _OF_JOBS.format("attempt, state, error_code, cost_nanos = reserved_nanos as whole")
        + " order by job_id, attempt",
        jobs,
    )
    of_each = [(1, 3, "lease_expired", True), (2, 1, None, False)]
    assert [tuple(row) for row in rows] == of_each * len(jobs)
