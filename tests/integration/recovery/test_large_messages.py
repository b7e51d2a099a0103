"""What is too large for a message goes through the pipeline by reference, or is read where it is kept."""

import aiohttp
import asyncpg
import orjson
import pytest

from common.payloads import INLINE_BYTES
from common.settings import Settings
from persistence.postgres.payloads import sweep_payloads
from persistence.postgres.pool import create_pool
from tests.chaos.healing import healed
from tests.integration.recovery.conftest import Pipeline

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]

ENDS_WITHIN_S = 60
LARGEST_BYTES = Settings.model_fields["input_limit_bytes"].default


async def submit(pipeline: Pipeline, recipe: str, text: str) -> str:
    body = orjson.dumps({"recipe": recipe, "input": {"marker": "m9999999x", "text": text}})
    headers = {"authorization": f"Bearer {pipeline.system.api_key}", "content-type": "application/json"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{pipeline.system.api}/jobs", data=body) as answer,
    ):
        assert answer.status == 202, await answer.text()
        return str((await answer.json())["id"])


async def test_a_large_prompt_travels_by_reference_and_is_erased_after_its_end(
    pipeline: Pipeline, database: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    job_id = await submit(pipeline, "long-echo", "word " * 100_000)

    assert await healed(pipeline.tail, {job_id: ""}, ENDS_WITHIN_S) is not None

    assert job_id in pipeline.tail.outputs
    kept = await database.fetch("select octet_length(body) as size from payloads where job_id = $1", job_id)
    assert [row["size"] > INLINE_BYTES for row in kept] == [True]
    await database.execute("update jobs set finished_at = finished_at - interval '2 hours' where id = $1", job_id)
    pool = await create_pool(pipeline.system.stack.endpoints.database_url, size=1, application="test")
    await sweep_payloads(pool)
    pool.terminate()
    assert await database.fetchval("select count(*) from payloads where job_id = $1", job_id) == 0


async def test_an_input_of_16_mib_is_taken_by_default_and_worked_on(pipeline: Pipeline) -> None:
    text = "x" * (LARGEST_BYTES - 1000)
    job_ids = [await submit(pipeline, "first-words", text) for _ in range(3)]

    assert await healed(pipeline.tail, dict.fromkeys(job_ids, ""), ENDS_WITHIN_S) is not None

    assert set(job_ids) <= pipeline.tail.outputs.keys()


async def test_a_prompt_that_would_be_larger_than_prompts_may_be_ends_its_job_with_the_reason(
    pipeline: Pipeline, database: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    job_id = await submit(pipeline, "long-echo", "word " * 1_000_000)

    assert await healed(pipeline.tail, {job_id: ""}, ENDS_WITHIN_S) is not None

    failure = await database.fetchrow("select failure_code, failure_detail from jobs where id = $1", job_id)
    assert failure is not None
    assert failure["failure_code"] == "render_budget"
    assert "characters" in failure["failure_detail"]
