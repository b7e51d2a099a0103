"""What an operator does by hand, through the command line: repair, dead letters, errors."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer

from tests.integration.recovery.conftest import Pipeline, until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(150)]


async def headrace(pipeline: Pipeline, *arguments: str) -> str:
    """Run a command against the pipeline; return what it prints."""
    ours = {
        **pipeline.system.environment,
        "HEADRACE_URL": pipeline.system.api.removesuffix("/api/v1"),
        "HEADRACE_API_KEY": pipeline.system.api_key,
        "COLUMNS": "200",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "headrace",
        *arguments,
        env={**os.environ, **ours},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def set_aside(pipeline: Pipeline) -> dict[str, Any]:
    """Poison a topic; return the letter."""
    async with AIOKafkaProducer(bootstrap_servers=pipeline.system.stack.endpoints.kafka_bootstrap) as producer:
        await producer.send_and_wait(pipeline.system.topic("verdicts"), b"no message", b"no job")
    found: list[dict[str, Any]] = []

    async def there() -> bool:
        answer = json.loads(await headrace(pipeline, "dead-letters", "list", "--stage", "persistence", "--json"))
        found[:] = answer["dead_letters"]
        return bool(found)

    await until(there)
    return found[0]


async def test_a_letter_is_listed_shown_and_discarded_and_the_error_is_logged(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    number = str((await set_aside(pipeline))["id"])
    (tmp_path / "new.json").write_text("{}")

    shown = json.loads(await headrace(pipeline, "dead-letters", "show", number))
    listed = await headrace(pipeline, "dead-letters", "list")
    discarded = await headrace(pipeline, "dead-letters", "discard", "--stage", "persistence")

    assert (shown["value"]["text"], shown["key"]["text"], shown["job_id"]) == ("no message", "no job", None)
    assert number in listed
    assert f"{number} discarded." in discarded

    async def logged() -> bool:
        return "UndecodableMessage" in await headrace(pipeline, "errors", "--stage", "persistence")

    await until(logged)


async def test_repair_publishes_a_lost_job_again(
    pipeline: Pipeline, database: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    calm = json.loads(await headrace(pipeline, "repair", "--json"))
    (job_id,) = await pipeline.load.submit(1, over_s=0.1)
    await until(lambda: _ended(pipeline, job_id))
    # As if its verdict had been lost: the job is open, its answer is in the ledger, and nothing is on its way.
    await database.execute("update attempts set started_at = now() - interval '1 hour' where job_id = $1", job_id)
    await database.execute("update attempts set ended_at = started_at where job_id = $1", job_id)
    await database.execute("update steps set state = 0, accepted_attempt = null where job_id = $1", job_id)
    await database.execute("update jobs set state = 0, finished_at = null where id = $1", job_id)

    repaired = json.loads(await headrace(pipeline, "repair", "--json"))
    await until(lambda: _state_is(database, job_id, 1))

    assert calm["published"] == 0
    assert set(repaired) == {"topics", "published", "given_up"}
    assert await database.fetchval("select count(*) from attempts where job_id = $1", job_id) == 1


async def _ended(pipeline: Pipeline, job_id: str) -> bool:
    return job_id in pipeline.tail.ended


async def _state_is(database: "asyncpg.Connection[asyncpg.Record]", job_id: str, state: int) -> bool:
    return bool(await database.fetchval("select state = $2 from jobs where id = $1", job_id, state))
