"""Clients that know nothing but docs/topics.md read the outputs topic: aiokafka and confluent-kafka, plain."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import confluent_kafka
import pytest
from aiokafka import AIOKafkaConsumer
from jsonschema import Draft202012Validator

from common.contracts import EventType
from common.ids import uuid7
from headrace.local.stack import Endpoints
from persistence.postgres.pool import create_pool
from persistence.postgres.records import event_row, insert_public, output_row
from persistence.postgres.wake import PUBLIC_TOKEN, notify
from tests.contract.test_public_topics import JOB, LINEAGE, NOW, SCHEMAS
from tests.integration.relay.relay_world import World, new_world

pytestmark = pytest.mark.stack

OUTPUTS = 25


@pytest.fixture
async def world(endpoints: Endpoints) -> AsyncIterator[World]:
    async with new_world(endpoints) as fresh:
        yield fresh


async def published(world: World) -> dict[str, UUID]:
    """Publish outputs and an event as the writer and the relay do; return the outputs' ids by job."""
    jobs = [(uuid7(), number) for number in range(OUTPUTS)]
    records = []
    for job_id, number in jobs:
        job = replace(JOB, job_id=job_id, tags=(f"n{number}",))
        records.append(output_row(job, json.dumps({"n": number, "text": "é\n"}), LINEAGE, NOW, world.prefix, 1))
    event = event_row(replace(JOB, job_id=uuid7()), EventType.EXPIRED, None, NOW, world.prefix, 1)
    pool = await create_pool(world.database_url, size=2, application="test")
    async with world.relaying():
        async with pool.acquire() as lent:
            await insert_public(lent, [*records, event])
            await notify(lent, {PUBLIC_TOKEN})
        await world.until_rows(0)
    pool.terminate()
    return {str(row.job_id): row.record_id for row in records}


def is_by_the_contract(key: bytes, value: bytes, headers: dict[str, str], prefix: str) -> tuple[str, str]:
    """Hold a record to docs/topics.md; return its subject and id."""
    body = json.loads(value)
    schema = json.loads((SCHEMAS / "outputs.schema.json").read_text())
    assert list(Draft202012Validator(schema).iter_errors(body)) == []
    assert headers["ce_specversion"] == "1.0"
    assert headers["ce_type"] == "headrace.output"
    assert headers["ce_source"] == prefix
    assert headers["content-type"] == "application/json"
    assert key.decode() == headers["ce_subject"] == body["job_id"]
    UUID(headers["ce_id"])
    return headers["ce_subject"], headers["ce_id"]


async def test_aiokafka_reads_outputs_by_the_page_alone(world: World) -> None:
    expected = await published(world)
    consumer = AIOKafkaConsumer(
        f"{world.prefix}.outputs",
        bootstrap_servers=world.bootstrap,
        group_id=f"my-team-{uuid4()}",
        isolation_level="read_committed",
        auto_offset_reset="earliest",
    )

    await consumer.start()
    seen: dict[str, UUID] = {}
    async with asyncio.timeout(30):
        while len(seen) < OUTPUTS:
            record = await consumer.getone()
            headers = {name: text.decode() for name, text in record.headers}
            subject, event_id = is_by_the_contract(record.key, record.value, headers, world.prefix)
            seen[subject] = UUID(event_id)
    await consumer.stop()

    assert seen == expected


async def test_confluent_kafka_reads_outputs_by_the_page_alone(world: World) -> None:
    expected = await published(world)

    seen = await asyncio.to_thread(_read_with_confluent, world.bootstrap, world.prefix)

    assert seen == expected


def _read_with_confluent(bootstrap: str, prefix: str) -> dict[str, UUID]:
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"my-team-{uuid4()}",
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([f"{prefix}.outputs"])
    seen: dict[str, UUID] = {}
    for _ in range(10_000):
        # Its annotations allow shapes that a polled message never has.
        message: Any = consumer.poll(0.1)
        if message is None:
            continue
        assert message.error() is None
        headers = {name: text.decode() for name, text in message.headers()}
        subject, event_id = is_by_the_contract(message.key(), message.value(), headers, prefix)
        seen[subject] = UUID(event_id)
        if len(seen) == OUTPUTS:
            break
    consumer.close()
    return seen
