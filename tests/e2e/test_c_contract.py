"""Plain clients of other teams read what the whole system publishes, by docs/topics.md and its schemas alone."""

import asyncio
import json
import re
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from confluent_kafka import Consumer
from jsonschema import Draft202012Validator

from tests.e2e.whole_system import WholeSystem

pytestmark = pytest.mark.stack

DOCS = Path(__file__).parents[2] / "docs"
Record = tuple[bytes, dict[str, str], dict[str, Any]]


def documented_headers() -> set[str]:
    """The names in the first column of the page's table of headers."""
    section = (DOCS / "topics.md").read_text().split("\n## Headers")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `([^`]+)` \| ", section.split("| `ce_type` | topic")[0], re.MULTILINE))


def violations(topic: str, body: dict[str, Any]) -> list[str]:
    schema = json.loads((DOCS / "schemas" / f"{topic}.schema.json").read_text())
    return [error.message for error in Draft202012Validator(schema).iter_errors(body)]


def take(raw_headers: Any, key: Any, value: Any, left: set[str], found: list[Record]) -> None:
    """Keeps a record of the jobs that are waited for, and strikes it off."""
    headers = {name: text.decode() for name, text in raw_headers}
    if headers["ce_subject"] in left:
        left.discard(headers["ce_subject"])
        found.append((key, headers, json.loads(value)))


def read_by_confluent(bootstrap: str, topic: str, wanted: set[str]) -> list[Record]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"team-{uuid.uuid4().hex}",
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([topic])
    left = set(wanted)
    found: list[Record] = []
    try:
        while left:
            message = consumer.poll(10)
            assert message is not None, f"{len(left)} records do not come"
            assert message.error() is None
            take(message.headers(), message.key(), message.value(), left, found)
    finally:
        consumer.close()
    return found


async def read_by_aiokafka(bootstrap: str, topic: str, wanted: set[str]) -> list[Record]:
    left = set(wanted)
    found: list[Record] = []
    async with AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=f"team-{uuid.uuid4().hex}",
        isolation_level="read_committed",
        auto_offset_reset="earliest",
    ) as consumer:
        while left:
            record = await asyncio.wait_for(consumer.getone(), 10)
            take(record.headers, record.key, record.value, left, found)
    return found


@pytest.fixture(scope="module")
async def jobs(system: WholeSystem) -> set[str]:
    found = {await system.submit("note", f"contract {number}") for number in range(5)}
    await system.ended(found)
    return found


@pytest.fixture(scope="module")
async def outputs(system: WholeSystem, jobs: set[str]) -> dict[str, list[Record]]:
    return {
        "confluent-kafka": await asyncio.to_thread(read_by_confluent, system.kafka, "headrace.outputs", jobs),
        "aiokafka": await read_by_aiokafka(system.kafka, "headrace.outputs", jobs),
    }


CLIENTS = ("confluent-kafka", "aiokafka")


@pytest.mark.parametrize("client", CLIENTS)
def test_each_output_is_there_once_with_its_headers(
    outputs: dict[str, list[Record]], jobs: set[str], client: str
) -> None:
    records = outputs[client]

    assert sorted(headers["ce_subject"] for _, headers, _ in records) == sorted(jobs)
    assert len({headers["ce_id"] for _, headers, _ in records}) == len(jobs)
    for key, headers, body in records:
        assert headers.keys() == documented_headers() - {"traceparent"}
        assert headers["ce_specversion"] == "1.0"
        assert headers["ce_type"] == "headrace.output"
        assert headers["content-type"] == "application/json"
        assert datetime.fromisoformat(headers["ce_time"]).tzinfo is not None
        assert key.decode() == headers["ce_subject"] == body["job_id"]


@pytest.mark.parametrize("client", CLIENTS)
def test_each_output_satisfies_the_published_schema(outputs: dict[str, list[Record]], client: str) -> None:
    for _, _, body in outputs[client]:
        assert violations("outputs", body) == []
        assert body["output"]["note"].startswith("answered")
        assert body["recipe"] == "note@1.0.0"


def test_both_clients_see_the_same(outputs: dict[str, list[Record]]) -> None:
    first, second = ({headers["ce_id"]: body for _, headers, body in outputs[client]} for client in CLIENTS)

    assert first == second


async def test_p8_a_cancelled_job_has_one_event_and_no_output(system: WholeSystem) -> None:
    job_id = await system.submit("slow-note", "cancelled in flight")
    while not await system.attempts(job_id):
        await asyncio.sleep(0.05)
    status, cancelled = await system.post(f"/jobs/{job_id}/cancel")
    assert (status, cancelled["state"]) == (200, "cancelled")
    # The answer in flight comes after its three seconds; another such job tells when.
    after = await system.submit("slow-note", "comes later")
    await system.ended([after])

    events = await read_by_aiokafka(system.kafka, "headrace.events", {job_id})
    outputs = await read_by_aiokafka(system.kafka, "headrace.outputs", {after})

    assert [(body["type"], body["terminal"]) for _, _, body in events] == [("headrace.job.cancelled", True)]
    assert all(violations("events", body) == [] for _, _, body in events)
    assert {headers["ce_subject"] for _, headers, _ in outputs} == {after}
    assert [attempt["state"] for attempt in await system.attempts(job_id)] == ["answered"]
    assert (await system.get(f"/jobs/{job_id}"))["state"] == "cancelled"


async def test_a_wrong_answer_is_asked_again_with_its_faults(system: WholeSystem) -> None:
    job_id = await system.submit("second-try", "forgetful")
    job = (await system.ended([job_id]))[job_id]

    attempts = await system.attempts(job_id)

    assert job["output"] == {"note": "now as asked"}
    assert [attempt["verdict"] for attempt in attempts] == ["re-ask", "accept"]
    assert attempts[0]["violations"]
    assert job["attempts"] == job["lineage"]["attempts"] == 2


async def test_an_output_that_does_not_hold_against_its_input_is_asked_again(system: WholeSystem) -> None:
    job_id = await system.submit("invoice-check", "Ott, painter\nStairs 86.00\nDue 86.00")
    job = (await system.ended([job_id]))[job_id]

    attempts = await system.attempts(job_id)

    assert job["output"]["lines"] == [{"quote": "Stairs 86.00", "item": "Stairs", "amount": 86.0}]
    assert [attempt["verdict"] for attempt in attempts] == ["re-ask", "accept"]
    assert {fault["pointer"] for fault in attempts[0]["violations"]} == {"/total", "/lines"}
    assert job["lineage"]["validation"] == "lossless-repair"
