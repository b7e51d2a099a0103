"""A prompt above 256 KiB goes through the pipeline by reference."""

import aiohttp
import asyncpg
import orjson
import pytest

from common.payloads import INLINE_BYTES
from persistence.postgres.payloads import erase_payloads
from tests.chaos.healing import healed
from tests.integration.recovery.conftest import Pipeline

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]

ENDS_WITHIN_S = 60


async def test_a_large_prompt_travels_by_reference_and_is_erased_with_its_job(
    pipeline: Pipeline, database: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    body = orjson.dumps({"recipe": "long-echo", "input": {"marker": "m9999999x", "text": "word " * 100_000}})
    headers = {"authorization": f"Bearer {pipeline.system.api_key}", "content-type": "application/json"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{pipeline.system.api}/jobs", data=body) as answer,
    ):
        assert answer.status == 202, await answer.text()
        job_id = (await answer.json())["id"]

    assert await healed(pipeline.tail, {job_id: ""}, ENDS_WITHIN_S) is not None

    assert job_id in pipeline.tail.outputs
    kept = await database.fetch("select octet_length(body) as size from payloads where job_id = $1", job_id)
    assert [row["size"] > INLINE_BYTES for row in kept] == [True]
    await erase_payloads(database, [job_id])
    assert await database.fetchval("select count(*) from payloads where job_id = $1", job_id) == 0
