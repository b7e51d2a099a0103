"""Work topics vanish under load; every job still ends, once, with no command given, and nothing is paid twice."""

import asyncio

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from tests.chaos.healing import healed
from tests.integration.recovery.conftest import Pipeline

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

HEALS_WITHIN_S = 120
TOPICS = ("steps.standard", "prompts.standard", "completions", "verdicts")


async def delete_topic(pipeline: Pipeline, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=pipeline.system.stack.endpoints.kafka_bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([pipeline.system.topic(name)])
    finally:
        await admin.close()


async def test_p2_each_work_topic_is_deleted_under_load_and_every_job_ends(
    pipeline: Pipeline, database: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    submitting = asyncio.create_task(pipeline.load.submit(160, over_s=12))
    for name in TOPICS:
        await asyncio.sleep(2.5)
        await delete_topic(pipeline, name)
    jobs = await submitting

    took_s = await healed(pipeline.tail, dict.fromkeys(jobs, ""), HEALS_WITHIN_S)

    assert took_s is not None, f"{len(set(jobs) - set(pipeline.tail.ended))} of {len(jobs)} have not ended"
    assert set(jobs) <= set(pipeline.tail.outputs)
    calls = await database.fetchval("select count(*) from attempts where job_id = any($1::uuid[])", jobs)
    assert calls == len(jobs)
