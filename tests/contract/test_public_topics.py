"""The written contract of ``outputs`` and ``events``: docs/topics.md and the JSON Schemas beside it.

``UPDATE_DOCS=1 pytest tests/contract/test_public_topics.py`` writes docs/schemas anew. The baseline in
``tests/contract/baseline`` is what consumers were promised first; it is never edited, only added to.
"""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import BaseModel

from common.contracts import DeadLetterRecord, EventRecord, EventType, Failure, Lane, OutputRecord
from common.ports import DeadLetter
from persistence.postgres.dead_letters import letter_row
from persistence.postgres.records import JobRow, PublicRow, event_row, output_row
from persistence.postgres.states import JobState

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "docs" / "schemas"
BASELINE = Path(__file__).parent / "baseline"
MODELS: dict[str, type[BaseModel]] = {
    "outputs": OutputRecord,
    "events": EventRecord,
    "dead-letters": DeadLetterRecord,
}
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
JOB_ID = UUID("01a0b2f4-5c6d-7e8f-9a0b-1c2d3e4f5a6b")


def schema_of(topic: str) -> dict[str, Any]:
    schema = MODELS[topic].model_json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:headrace:schema:{topic}:1",
        **schema,
    }


@pytest.mark.parametrize("topic", MODELS)
def test_the_schemas_in_docs_are_those_of_the_models(topic: str) -> None:
    text = json.dumps(schema_of(topic), indent=2, ensure_ascii=False) + "\n"
    kept = SCHEMAS / f"{topic}.schema.json"
    if os.environ.get("UPDATE_DOCS"):
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(text)

    assert kept.read_text() == text, "run UPDATE_DOCS=1 pytest tests/contract/test_public_topics.py"


def broken_promises(old: Any, new: Any, where: str) -> Iterator[str]:
    """Compare what consumers were promised with what they get: fields may be added, nothing else may change."""
    old, new = _bare(old), _bare(new)
    if old.keys() - {"properties", "required", "enum", "$defs"} != new.keys() - {
        "properties",
        "required",
        "enum",
        "$defs",
    }:
        yield f"{where}: {old.keys() ^ new.keys()}"
    for name, promised in old.items():
        match name:
            case "properties" | "$defs":
                for part, schema in promised.items():
                    if part not in new.get(name, {}):
                        yield f"{where}/{name}/{part} is gone"
                    else:
                        yield from broken_promises(schema, new[name][part], f"{where}/{name}/{part}")
            case "required" | "enum":
                # A required field stays required; a known value stays known. New ones may come.
                yield from (f"{where}/{name}: {item} is gone" for item in promised if item not in new.get(name, ()))
            case _:
                if new.get(name) != promised:
                    yield f"{where}/{name}: {promised} became {new.get(name)}"


def _bare(schema: Any) -> dict[str, Any]:
    prose = {"description", "title", "examples", "$id", "$schema"}
    return {name: value for name, value in schema.items() if name not in prose}


@pytest.mark.parametrize("topic", MODELS)
def test_what_consumers_were_promised_still_holds(topic: str) -> None:
    baseline = json.loads((BASELINE / f"{topic}.schema.json").read_text())

    assert list(broken_promises(baseline, schema_of(topic), topic)) == []


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        (lambda s: s["properties"].update(new={"type": "string"}), 0),
        (lambda s: s["$defs"]["Lane"]["enum"].append("night"), 0),
        (lambda s: s["properties"]["revision"].update(description="other words"), 0),
        (lambda s: s["properties"].pop("tags"), 1),
        (lambda s: s["properties"]["revision"].update(type="string"), 1),
        (lambda s: s["properties"]["revision"].update(maximum=5), 1),
        (lambda s: s["required"].remove("lineage"), 1),
        (lambda s: s["$defs"]["Lane"]["enum"].remove("bulk"), 1),
        (lambda s: s["$defs"]["Lineage"]["properties"].pop("cost_usd"), 1),
    ],
)
def test_the_comparison_knows_what_breaks_a_consumer(change: Any, broken: int) -> None:
    changed = schema_of("outputs")

    change(changed)

    assert bool(list(broken_promises(schema_of("outputs"), changed, ""))) == bool(broken)


JOB = JobRow(
    job_id=JOB_ID,
    tenant_id="acme",
    batch_id=None,
    recipe="ticket-triage@1.0.0",
    recipe_hash="r",
    lane=Lane.STANDARD,
    tags=("mail",),
    state=JobState.OPEN,
    revision=1,
    event_seq=0,
    created_at=NOW,
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
)
LETTER = DeadLetter("prompt_engine", "headrace.steps.bulk", 1, 17, b"k", b"v", (), "no Step", "Bad", JOB_ID)
LINEAGE = {
    "recipe_hash": "r", "prompt_hash": "p", "deployment": "d", "model_served": "m", "price_version": "v",
    "attempts": 1, "input_tokens": 5, "output_tokens": 6, "cost_usd": "0.000000001", "validation": "strict",
    "accepted_at": NOW.isoformat(), "finished_at": NOW.isoformat(),
}  # fmt: skip


def rows() -> list[tuple[str, str, PublicRow]]:
    failure = Failure(code="answer_invalid", detail="no valid answer")
    return [
        ("outputs", "headrace.output", output_row(JOB, '{"a": [1.0, "é"]}', LINEAGE, NOW, "headrace", 1)),
        ("events", "headrace.job.failed", event_row(JOB, EventType.FAILED, failure, NOW, "headrace", 1)),
        ("events", "headrace.job.cancelled", event_row(JOB, EventType.CANCELLED, None, NOW, "headrace", 1)),
        ("events", "headrace.job.held", event_row(JOB, EventType.HELD, None, NOW, "headrace", 1)),
        ("dead-letters", "headrace.dead-letter", letter_row(7, LETTER, NOW, "headrace", 1)),
    ]


@pytest.mark.parametrize(("topic", "kind", "row"), rows())
def test_what_is_written_satisfies_the_written_contract(topic: str, kind: str, row: PublicRow) -> None:
    schema = json.loads((SCHEMAS / f"{topic}.schema.json").read_text())
    checker = Draft202012Validator(schema, format_checker=FormatChecker())

    headers = dict(json.loads(row.headers))
    assert list(checker.iter_errors(json.loads(row.body))) == []
    assert headers == {
        "ce_specversion": "1.0",
        "ce_id": str(row.record_id),
        "ce_type": kind,
        "ce_source": "headrace",
        "ce_subject": str(JOB_ID),
        "ce_time": "2026-11-21T12:00:00+00:00",
        "content-type": "application/json",
    } | ({"traceparent": JOB.traceparent} if topic != "dead-letters" else {})


def test_ids_are_the_same_however_often_a_record_is_made() -> None:
    assert [row.record_id for _, _, row in rows()] == [row.record_id for _, _, row in rows()]


def test_the_page_names_every_header_and_type() -> None:
    page = (ROOT / "docs" / "topics.md").read_text()

    for name in dict(json.loads(rows()[0][2].headers)):
        assert f"`{name}`" in page
    for kind in ("headrace.output", "headrace.dead-letter", *EventType):
        assert f"`{kind}`" in page
