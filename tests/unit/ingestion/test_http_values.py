"""Values that no column of Postgres can take are refused at the door, named, and are never a 500."""

import asyncio
import io
import json
from typing import Any
from uuid import UUID

import pytest

from common.telemetry import configure_logging
from tests.unit.ingestion.columns import Refused, told
from tests.unit.ingestion.doubles import OPERATOR_SECRET
from tests.unit.ingestion.harness import Api

OPERATOR = {"authorization": f"Bearer {OPERATOR_SECRET}"}


async def ask(api: Api, method: str, path: str, **options: Any) -> tuple[int, dict[str, Any]]:
    url = f"{api.url}/api/v1/{path}"
    async with api.client.request(method, url, headers=OPERATOR, **options) as response:
        return response.status, await response.json(content_type=None)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("from=9999-12-01&to=9999-12-31", 200),
        ("from=0001-01-01&to=0001-01-01", 200),
        ("from=0001-01-01&to=9999-12-31", 422),
        ("from=9999-12-31&to=0001-01-01", 422),
        ("to=9999-12-31", 200),
    ],
)
async def test_usage_of_the_first_and_last_days_there_are(api: Api, query: str, status: int) -> None:
    assert (await ask(api, "GET", f"usage?{query}"))[0] == status


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00", "2026-01-01T00:00:00", "tomorrow"]
)
@pytest.mark.parametrize("name", ["created_before", "created_after"])
async def test_a_time_that_utc_does_not_have_is_refused(api: Api, name: str, moment: str) -> None:
    body = {"action": "cancel", "filter": {name: moment}}

    status, problem = await ask(api, "POST", "operations", json=body)

    assert (status, problem["code"], told(problem)) == (422, "invalid_request_body", [f"/filter/{name}"])


async def test_times_of_a_filter_are_told_in_utc(api: Api) -> None:
    body = {"action": "cancel", "filter": {"created_before": "2026-01-01T00:00:00+02:00"}}

    status, operation = await ask(api, "POST", "operations", json=body)

    assert (status, operation["filter"]["created_before"]) == (202, "2025-12-31T22:00:00+00:00")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (f"dead-letters?before={2**63}", "before"),
        ("dead-letters?before=" + "9" * 5000, "before"),
        (f"dead-letters/{2**63}", "letter_id"),
        (f"budgets?after={2**63}", "after"),
        (f"errors?hours={2**63}", "hours"),
        (f"jobs?limit={2**63}", "limit"),
    ],
)
async def test_a_number_beyond_its_column_is_refused(api: Api, path: str, name: str) -> None:
    status, problem = await ask(api, "GET", path)

    assert (status, problem["code"], told(problem)) == (422, "invalid_parameter", [name])


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "jobs?recipe=%00", "recipe"),
        ("GET", "jobs?limit=1&recipe=greet%00x", "recipe"),
        ("GET", "jobs?cursor=%00", "cursor"),
        ("GET", "search?q=a%00b", "q"),
        ("GET", "search?q=a&recipe=%00", "recipe"),
        ("GET", "usage?tenant=a%00", "tenant"),
        ("GET", "budgets?tenant=%00", "tenant"),
        ("GET", "budgets?key=%00", "key"),
        ("DELETE", "budgets?scope=recipe&key=a%00", "key"),
        ("DELETE", "budgets?scope=tenant&tenant=%00", "tenant"),
        ("GET", "dead-letters?stage=%00", "stage"),
        ("GET", "errors?stage=%00", "stage"),
    ],
)
async def test_a_nul_in_a_parameter_is_refused(api: Api, method: str, path: str, name: str) -> None:
    status, problem = await ask(api, method, path)

    assert (status, problem["code"], told(problem)) == (422, "invalid_parameter", [name])


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "operations", {"action": "cancel", "filter": {"tag": "a\0"}}),
        ("POST", "operations", {"action": "cancel", "filter": {"recipe": "\0"}}),
        ("PUT", "budgets", {"scope": "recipe", "key": "a\0", "limit_usd": "1"}),
        ("PUT", "budgets", {"scope": "tenant", "tenant": "\0", "limit_usd": "1"}),
        ("PUT", "budgets", {"scope": "tenant", "limit_usd": "1\0"}),
        ("POST", "jobs", {"recipe": "greet", "input": {"name": "A"}, "tags": ["a\0"]}),
        ("POST", "jobs", {"recipe": "greet\0", "input": {"name": "A"}}),
    ],
)
async def test_a_nul_in_a_body_is_refused(api: Api, method: str, path: str, body: dict[str, Any]) -> None:
    status, problem = await ask(api, method, path, json=body)

    assert (status, problem["code"]) == (400, "malformed_json")
    assert problem["errors"][0]["keyword"] == "nul"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"NaN", b'"\\ud800"', b"\xff", b'{"action":1,"action":2}', b"[" * 60_000]
)
async def test_a_small_body_that_is_no_object_is_refused(api: Api, body: bytes) -> None:
    assert (await ask(api, "POST", "operations", data=body))[0] in {400, 422}


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_gets_past_every_check_is_told_without_the_value(api: Api, method: str) -> None:
    api.jobs.trouble = Refused("invalid input: 'hunter2'")
    lines = io.StringIO()
    configure_logging("door", stream=lines)
    job = {"recipe": "greet", "input": {"name": "A"}}

    asked = ("jobs", {"json": job}) if method == "POST" else (f"jobs/{UUID(int=1)}", {})
    status, problem = await ask(api, method, asked[0], **asked[1])

    configure_logging("test", stream=io.StringIO())
    assert (status, problem["code"]) == (422, "invalid_parameter")
    assert "hunter2" not in json.dumps(problem) + lines.getvalue()
    told_of = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [(line["event"], line["sqlstate"]) for line in told_of] == [("request.value_refused", "22000")]


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "dead-letters/1/value"), ("PUT", "budgets"), ("POST", "operations"), ("POST", "jobs")]
)
async def test_a_caller_that_goes_in_the_middle_of_its_body_is_no_error_of_ours(
    api: Api, method: str, path: str
) -> None:
    lines = io.StringIO()
    configure_logging("door", stream=lines)
    before = answered(api)
    _, writer = await asyncio.open_connection("127.0.0.1", api.port)
    head = f"{method} /api/v1/{path} HTTP/1.1\r\nhost: a\r\nauthorization: {OPERATOR['authorization']}\r\n"
    writer.write(f"{head}content-type: application/json\r\ncontent-length: 100\r\n\r\n{{".encode())
    await writer.drain()
    writer.close()

    async with asyncio.timeout(5):
        while answered(api) == before:
            await asyncio.sleep(0.01)

    configure_logging("test", stream=io.StringIO())
    assert lines.getvalue() == ""


def answered(api: Api) -> float:
    """Return how many requests have been dealt with."""
    samples = (s for family in api.registry.collect() for s in family.samples)
    return sum(s.value for s in samples if s.name == "headrace_http_request_seconds_count")
