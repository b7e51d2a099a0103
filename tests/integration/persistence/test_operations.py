"""Actions on many jobs on real Postgres: each job once, over kills, with the progress told."""

import asyncio
import random
import signal
import sys
from datetime import UTC, datetime

import pytest

from common.control_ports import Action, JobFilter, OperationView
from common.ids import uuid7
from common.ports import Submission
from persistence.control_wakes import ControlWakes
from persistence.controller import Controller
from persistence.postgres.operations import PostgresOperations
from persistence.postgres.pool import Pool
from tests.integration.persistence.examples import asking, make_ledger, new_job, put_budget, store, submitted

pytestmark = pytest.mark.stack

TENANT = "default"
# A controller in a process of its own, to be killed.
_CHILD = """
import asyncio, sys
from persistence.control_wakes import ControlWakes
from persistence.controller import Controller
from persistence.postgres.operations import PostgresOperations
from persistence.postgres.pool import create_pool

async def main():
    pool = await create_pool(sys.argv[1], size=2, application="controller")
    controller = Controller(PostgresOperations(pool, shards=1, source="test"), ControlWakes(), None)
    controller._page = 16
    print("up", flush=True)
    await controller.run()

asyncio.run(main())
"""


def operations(pool: Pool) -> PostgresOperations:
    return PostgresOperations(pool, shards=1, source="test")


async def done(pool: Pool, action: Action, wanted: JobFilter, page: int = 7) -> OperationView:
    """Begin an operation and work it off."""
    begun = await operations(pool).begin(TENANT, action, wanted)
    while await operations(pool).work(page):
        pass
    shown = await operations(pool).operation(TENANT, begun.operation_id)
    assert shown is not None
    assert shown.finished_at is not None
    return shown


async def states(pool: Pool) -> dict[int, int]:
    return {row[0]: row[1] for row in await pool.fetch("select state, count(*) from jobs group by 1")}


async def test_a_batch_is_cancelled_and_nothing_else(pool: Pool) -> None:
    # Given a batch of 20 and other jobs, one of the batch ended before
    batch_id = uuid7()
    jobs = [new_job(batch_id=batch_id) for _ in range(20)]
    await store(pool).submit([Submission(tuple(jobs), batch_id=batch_id)])
    await submitted(pool, 5)
    await store(pool).cancel(TENANT, jobs[3].job_id)
    # When the batch is cancelled
    shown = await done(pool, Action.CANCEL, JobFilter(batch_id=batch_id))
    # Then all of it was looked at, and what was open has ended, with an event each
    assert (shown.scanned, shown.matched, shown.changed) == (20, 20, 19)
    assert await states(pool) == {0: 5, 3: 20}
    assert await pool.fetchval("select count(*) from outbox where lane = 4") == 20
    assert await pool.fetchval("select count(*) from outbox where lane < 4") == 5


async def test_an_operation_is_for_jobs_that_were_there_when_it_was_asked_for(pool: Pool) -> None:
    await submitted(pool, 3)
    begun = await operations(pool).begin(TENANT, Action.CANCEL, JobFilter())
    await submitted(pool, 4)
    while await operations(pool).work(2):
        pass
    assert await states(pool) == {0: 4, 3: 3}
    assert begun.finished_at is None


async def test_filters_combine(pool: Pool) -> None:
    # Given jobs in several states, with several tags
    await put_budget(pool, 0)
    jobs = await submitted(pool, 6)
    await (await make_ledger(pool)).reserve([asking(job) for job in jobs[:2]])
    await pool.execute("update jobs set tags = '{x}' where id = any($1)", [jobs[1].job_id, jobs[2].job_id])
    # When those on hold with the tag are meant
    shown = await done(pool, Action.CANCEL, JobFilter(state="held", tag="x", recipe="card", lane="standard"))
    # Then it is one
    assert (shown.matched, shown.changed) == (1, 1)
    assert (await done(pool, Action.CANCEL, JobFilter(recipe="other"))).matched == 0
    assert (await done(pool, Action.CANCEL, JobFilter(recipe="card@1.0.0", state="queued"))).changed == 4
    assert (await done(pool, Action.CANCEL, JobFilter(created_before=datetime(2020, 1, 1, tzinfo=UTC)))).matched == 0


async def test_pause_and_resume_of_many(pool: Pool) -> None:
    await submitted(pool, 10)
    paused = await done(pool, Action.PAUSE, JobFilter())
    assert await pool.fetchval("select count(*) from jobs where paused and hold_reason = 'paused'") == 10
    assert await pool.fetchval("select count(*) from outbox where lane < 4 and not_before = 'infinity'") == 10
    assert (await done(pool, Action.PAUSE, JobFilter())).changed == 0
    resumed = await done(pool, Action.RESUME, JobFilter(state="held"))
    assert (paused.changed, resumed.changed) == (10, 10)
    assert await pool.fetchval("select count(*) from outbox where lane < 4 and not_before <= now()") == 10
    assert await pool.fetchval("select count(*) from holds") == 0


async def test_retry_of_what_was_lost_makes_each_job_once(pool: Pool) -> None:
    jobs = await submitted(pool, 9)
    for job in jobs[:6]:
        await store(pool).cancel(TENANT, job.job_id)
    shown = await done(pool, Action.RETRY, JobFilter(state="cancelled"), page=4)
    assert shown.changed == 6
    assert await pool.fetchval("select count(distinct retry_of) from jobs where retry_of is not null") == 6
    # And asking again retries nothing that has been retried
    assert (await done(pool, Action.RETRY, JobFilter())).changed == 0
    assert await pool.fetchval("select count(*) from jobs") == 15


async def test_another_tenant_sees_and_touches_nothing(pool: Pool) -> None:
    await submitted(pool, 2)
    begun = await operations(pool).begin("other", Action.CANCEL, JobFilter())
    while await operations(pool).work(10):
        pass
    assert await states(pool) == {0: 2}
    assert await operations(pool).operation(TENANT, begun.operation_id) is None


async def test_two_controllers_share_the_work(pool: Pool) -> None:
    await submitted(pool, 60)
    begun = [await operations(pool).begin(TENANT, Action.CANCEL, JobFilter()) for _ in range(2)]

    async def work() -> None:
        while await operations(pool).work(5):
            pass

    await asyncio.gather(*(work() for _ in range(4)))
    while await operations(pool).work(5):  # what another had locked at the time
        pass
    shown = [await operations(pool).operation(TENANT, b.operation_id) for b in begun]
    assert [s.scanned for s in shown if s] == [60, 60]
    assert sum(s.changed for s in shown if s) == 60


async def test_the_controller_is_woken_and_tells_of_endings(pool: Pool) -> None:
    told: list[object] = []

    class Waiters:
        async def publish(self, job_ids: object) -> None:
            told.append(job_ids)

    jobs = await submitted(pool, 3)
    await operations(pool).begin(TENANT, Action.CANCEL, JobFilter())
    running = asyncio.create_task(Controller(operations(pool), ControlWakes(), Waiters()).run())
    try:
        async with asyncio.timeout(20):
            while not told:
                await asyncio.sleep(0.02)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert told[0] == sorted(job.job_id for job in jobs)


async def test_p8_an_operation_survives_kills_and_touches_each_job_once(pool: Pool, database_url: str) -> None:
    # Given 3,000 jobs and an operation on all of them
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    chance = random.Random(seed)
    jobs = [new_job() for _ in range(3_000)]
    await store(pool).submit([Submission((job,)) for job in jobs])
    begun = await operations(pool).begin(TENANT, Action.CANCEL, JobFilter())
    # When its controllers are killed again and again
    kills = 0
    async with asyncio.timeout(120):
        while True:
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _CHILD, database_url, stdout=asyncio.subprocess.PIPE
            )
            assert child.stdout is not None
            await child.stdout.readline()
            await asyncio.sleep(chance.uniform(0.02, 0.3) if kills < 6 else 0.5)
            child.send_signal(signal.SIGKILL)
            await child.wait()
            kills += 1
            shown = await operations(pool).operation(TENANT, begun.operation_id)
            assert shown is not None
            if shown.finished_at is not None:
                break
    # Then each job was looked at once, and has ended once
    print(f"{kills} kills")
    assert (shown.scanned, shown.matched, shown.changed) == (3_000, 3_000, 3_000)
    assert await states(pool) == {3: 3_000}
    told = await pool.fetchval("select count(distinct job_id) from outbox where lane = 4")
    assert (told, await pool.fetchval("select count(*) from outbox")) == (3_000, 3_000)
