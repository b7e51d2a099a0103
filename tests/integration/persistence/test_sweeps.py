"""What nobody needs any more is swept whole, however much there is, on real Postgres."""

import pytest

from persistence.postgres.dead_letters import sweep_letters
from persistence.postgres.errors import sweep_errors
from persistence.postgres.payloads import sweep_payloads
from persistence.postgres.pool import Pool
from persistence.reconciler.reconciler import forget
from tests.integration.persistence.examples import store, submitted

pytestmark = pytest.mark.stack

MANY = 2_500
"""More than two statements of any sweep take."""


async def test_all_payloads_of_ended_jobs_are_erased_at_once_and_those_of_open_jobs_stay(pool: Pool) -> None:
    still_open, ended, just_ended = await submitted(pool, 3)
    for job in (ended, just_ended):
        await store(pool).cancel("default", job.job_id)
    await pool.execute("update jobs set finished_at = now() - interval '61 minutes' where id = $1", ended.job_id)
    for job, count in ((still_open, 300), (ended, MANY), (just_ended, 3)):
        await pool.execute(
            "insert into payloads (id, job_id, body) select gen_random_uuid(), $1, '' from generate_series(1, $2)",
            job.job_id,
            count,
        )

    assert await sweep_payloads(pool) == MANY

    left = {row["job_id"]: row["n"] for row in await pool.fetch("select job_id, count(*) n from payloads group by 1")}
    assert left == {still_open.job_id: 300, just_ended.job_id: 3}


async def test_all_old_errors_and_letters_dealt_with_are_deleted_at_once(pool: Pool) -> None:
    await pool.execute(
        "insert into errors (job_id, stage, kind, detail, last_at)"
        " select gen_random_uuid(), 's', 'k', '', now() - n * interval '31 days' from generate_series(0, $1) n",
        MANY,
    )
    await pool.execute(
        'insert into dead_letters (topic, partition, "offset", stage, reason, exception, fingerprint, replayed_at)'
        " select 't', 0, n, 's', '', '', n::text::bytea, now() - nullif(n, 0) * interval '31 days'"
        " from generate_series(0, $1) n",
        MANY,
    )

    assert (await sweep_errors(pool), await sweep_letters(pool)) == (MANY, MANY)

    assert await pool.fetchval("select count(*) from errors") == 1
    assert await pool.fetchval("select count(*) from dead_letters where replayed_at is null") == 1


async def test_a_sweep_that_fails_stops_no_other(pool: Pool) -> None:
    (ended,) = await submitted(pool, 1)
    await store(pool).cancel("default", ended.job_id)
    await pool.execute("update jobs set finished_at = now() - interval '61 minutes' where id = $1", ended.job_id)
    await pool.execute("insert into payloads (id, job_id, body) values (gen_random_uuid(), $1, '')", ended.job_id)
    await pool.execute("alter table errors rename to elsewhere")
    try:
        await forget(pool)
    finally:
        await pool.execute("alter table elsewhere rename to errors")

    assert await pool.fetchval("select count(*) from payloads") == 0
