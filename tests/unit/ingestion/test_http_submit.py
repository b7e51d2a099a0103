"""POST /jobs and /batches as callers meet them: statuses, headers, problem documents, nothing half-accepted."""

import asyncio
import json
from typing import Any
from uuid import UUID

import pytest
from multidict import CIMultiDictProxy

from common.errors import DatabaseUnavailable
from ingestion.admission import AdmittedJob
from ingestion.models import BatchAccepted, JobAccepted, ProblemDocument
from ingestion.problems import refuse
from tests.unit.ingestion.doubles import OTHER_SECRET, READER_SECRET, SECRET
from tests.unit.ingestion.harness import Api, running_api

JOB = {"recipe": "greet", "input": {"name": "Ada"}}
JSON = {"content-type": "application/json"}
NDJSON = {"content-type": "application/x-ndjson"}


async def post(
    api: Api, path: str, body: bytes | str, headers: dict[str, str] | None = None
) -> tuple[int, CIMultiDictProxy[str], dict[str, Any]]:
    async with api.client.post(api.url + path, data=body, headers=headers or JSON) as response:
        return response.status, response.headers, json.loads(await response.read())


def is_problem(answer: tuple[int, CIMultiDictProxy[str], dict[str, Any]], status: int, code: str) -> dict[str, Any]:
    """Hold an answer to what every problem promises."""
    got, headers, body = answer
    assert (got, body["code"]) == (status, code), body
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-request-id"] == body["request_id"]
    assert body["status"] == status
    assert "Traceback" not in json.dumps(body)
    ProblemDocument.model_validate(body)
    return body


async def test_a_job_is_accepted_with_its_address(api: Api) -> None:
    status, headers, body = await post(api, "/api/v1/jobs", json.dumps(JOB))

    accepted = JobAccepted.model_validate(body)
    assert (status, accepted.state, accepted.recipe) == (202, "queued", "greet@1.1.0")
    assert headers["location"] == f"/api/v1/jobs/{accepted.id}" == accepted.links.self
    assert api.jobs.kept[accepted.id].input == b'{"name": "Ada"}'
    assert api.jobs.kept[accepted.id].tenant_id == "acme"


async def test_the_same_key_and_body_are_the_same_job(api: Api) -> None:
    headers = {**JSON, "idempotency-key": "order 17"}
    _, first_headers, first = await post(api, "/api/v1/jobs", json.dumps(JOB), headers)
    api.jobs.end(UUID(first["id"]))

    status, second_headers, second = await post(api, "/api/v1/jobs", json.dumps(JOB), headers)

    assert (status, second["id"], second["state"]) == (202, first["id"], "succeeded")
    assert "idempotency-replayed" not in first_headers
    assert second_headers["idempotency-replayed"] == "true"
    assert len(api.jobs.kept) == 1


async def test_the_same_key_with_another_body_is_refused(api: Api) -> None:
    headers = {**JSON, "idempotency-key": "order 17"}
    await post(api, "/api/v1/jobs", json.dumps(JOB), headers)

    answer = await post(api, "/api/v1/jobs", json.dumps({**JOB, "lane": "bulk"}), headers)
    batch = await post(api, "/api/v1/batches", json.dumps(JOB), {**NDJSON, "idempotency-key": "order 17"})

    is_problem(answer, 422, "idempotency_key_reuse")
    is_problem(batch, 422, "idempotency_key_reuse")
    assert len(api.jobs.kept) == 1


async def test_another_tenants_key_of_that_name_is_another_key(api: Api) -> None:
    headers = {**JSON, "idempotency-key": "order 17"}
    _, _, mine = await post(api, "/api/v1/jobs", json.dumps(JOB), headers)
    _, _, theirs = await post(
        api, "/api/v1/jobs", json.dumps(JOB), {**headers, "authorization": f"Bearer {OTHER_SECRET}"}
    )

    assert mine["id"] != theirs["id"]


@pytest.mark.parametrize("key", ["", "x" * 256, "caf\u00e9"])
async def test_an_idempotency_key_is_printable_and_bounded(api: Api, key: str) -> None:
    answer = await post(api, "/api/v1/jobs", json.dumps(JOB), {**JSON, "idempotency-key": key})

    assert is_problem(answer, 422, "invalid_parameter")["errors"][0]["parameter"] == "Idempotency-Key"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", True),
        ("00-00000000000000000000000000000000-b7ad6b7169203331-01", False),
        ("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", False),
        ("nonsense", False),
    ],
)
async def test_a_valid_traceparent_travels_with_the_job(api: Api, given: str, kept: bool) -> None:
    _, _, body = await post(api, "/api/v1/jobs", json.dumps(JOB), {**JSON, "traceparent": given})

    assert api.jobs.kept[UUID(body["id"])].traceparent == (given if kept else None)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed_json"),
        (b'{"recipe":"greet","input":NaN}', 400, "malformed_json"),
        (b'{"recipe":"greet","input":{"name":"\\ud800"}}', 400, "malformed_json"),
        (b'{"recipe":"greet","input":{"name":"a\\u0000"}}', 400, "malformed_json"),
        (b'{"recipe":"greet","input":' + b"[" * 80 + b"]" * 80 + b"}", 400, "malformed_json"),
        (b'{"recipe":"greet","recipe":"greet","input":{"name":"A"}}', 400, "malformed_json"),
        (b'{"recipe":"nobody","input":{}}', 422, "unknown_recipe"),
        (b'{"recipe":"greet","input":{"name":5}}', 422, "invalid_input"),
        (b'{"recipe":"greet"}', 422, "invalid_job"),
        (b"[1]", 422, "invalid_job"),
        (b'{"recipe":"greet","input":{"name":"' + b"x" * 5000 + b'"}}', 413, "input_too_large"),
        (b'{"recipe":"greet","input":{"name":"' + b"x" * 200_000 + b'"}}', 413, "input_too_large"),
    ],
)
async def test_what_cannot_be_accepted_leaves_nothing(api: Api, body: bytes, status: int, code: str) -> None:
    is_problem(await post(api, "/api/v1/jobs", body), status, code)
    is_problem(await post(api, "/api/v1/batches", b"[" + body + b"]"), *_of_batch(status, code))
    is_problem(
        await post(api, "/api/v1/batches", json.dumps(JOB).encode() + b"\n" + body, NDJSON), *_of_batch(status, code)
    )

    assert not api.jobs.kept
    assert not api.jobs.flushes


def _of_batch(status: int, code: str) -> tuple[int, str]:
    return (status, "invalid_batch") if code == "invalid_job" else (status, code)


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": ""},
        {"content-type": "application/json; charset=utf-16"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
async def test_other_content_types_are_refused(api: Api, headers: dict[str, str]) -> None:
    for path in ("/api/v1/jobs", "/api/v1/batches"):
        is_problem(await post(api, path, json.dumps(JOB), headers), 415, "unsupported_media_type")


async def test_a_charset_of_utf_8_may_be_named(api: Api) -> None:
    headers = {"content-type": 'Application/JSON; charset="UTF-8"'}

    assert (await post(api, "/api/v1/jobs", json.dumps(JOB), headers))[0] == 202


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer hr_wrong", f"Basic {SECRET}", f"Bearer hr_{'z' * 43}"])
async def test_a_missing_or_wrong_key_is_refused_before_the_body_is_looked_at(api: Api, value: str) -> None:
    answer = await post(api, "/api/v1/jobs", b"nonsense", {**JSON, "authorization": value})

    is_problem(answer, 401, "unauthorized")
    assert answer[1]["www-authenticate"].startswith("Bearer")


async def test_a_key_without_the_scope_is_forbidden(api: Api) -> None:
    answer = await post(api, "/api/v1/jobs", json.dumps(JOB), {**JSON, "authorization": f"Bearer {READER_SECRET}"})

    is_problem(answer, 403, "forbidden")


async def test_p1_an_unknown_outcome_is_a_503_that_says_how_to_repeat(api: Api) -> None:
    await post(api, "/api/v1/jobs", json.dumps(JOB))
    api.jobs.trouble = DatabaseUnavailable("gone")

    answer = await post(api, "/api/v1/jobs", json.dumps(JOB))

    body = is_problem(answer, 503, "storage_unavailable")
    assert answer[1]["retry-after"] == "2"
    assert "Idempotency-Key" in body["detail"]


async def test_a_bug_shows_nothing_but_the_requests_name(api: Api) -> None:
    api.jobs.trouble = RuntimeError("secret detail")

    answer = await post(api, "/api/v1/jobs", json.dumps(JOB), {**JSON, "x-request-id": "mine-1"})

    body = is_problem(answer, 500, "internal_error")
    assert body["request_id"] == "mine-1"
    assert "secret" not in json.dumps(body)


async def test_a_batch_is_accepted_with_the_ids_of_its_jobs_in_order(api: Api) -> None:
    jobs = [{"recipe": "greet", "input": {"name": name}} for name in ("a", "b", "c")]
    headers = {**JSON, "idempotency-key": "b"}

    status, first_headers, first = await post(api, "/api/v1/batches", json.dumps(jobs), headers)
    _, second_headers, second = await post(api, "/api/v1/batches", json.dumps(jobs), headers)

    accepted = BatchAccepted.model_validate(first)
    assert (status, accepted.total, first_headers["location"]) == (202, 3, f"/api/v1/batches/{accepted.id}")
    assert [api.jobs.kept[i].input for i in accepted.jobs] == [b'{"name": "a"}', b'{"name": "b"}', b'{"name": "c"}']
    assert {job.batch_id for job in api.jobs.kept.values()} == {accepted.id}
    assert first == second
    assert second_headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize(("path", "body"), [("/api/v1/jobs", JOB), ("/api/v1/batches", [JOB, JOB])])
async def test_p7_what_was_accepted_is_repeated_though_it_would_be_refused_today(
    api: Api, monkeypatch: pytest.MonkeyPatch, path: str, body: object
) -> None:
    headers = {**JSON, "idempotency-key": "order 18"}
    _, _, first = await post(api, path, json.dumps(body), headers)

    def gone(*_: object, **__: object) -> AdmittedJob:
        raise refuse("unknown_recipe", "It was there yesterday.")

    monkeypatch.setattr("ingestion.submit.admit", gone)
    status, second_headers, second = await post(api, path, json.dumps(body), headers)
    other = await post(api, path, json.dumps(body), {**headers, "idempotency-key": "order 19"})
    changed = await post(api, path, json.dumps(body) + " ", headers)

    assert (status, second["id"], second_headers["idempotency-replayed"]) == (202, first["id"], "true")
    assert second.get("jobs") == first.get("jobs")
    is_problem(other, 422, "unknown_recipe")
    is_problem(changed, 422, "unknown_recipe")

    api.jobs.trouble = DatabaseUnavailable("away")
    is_problem(await post(api, path, json.dumps(body), headers), 503, "storage_unavailable")


async def test_a_batch_has_limits(api: Api) -> None:
    many = await post(api, "/api/v1/batches", "\n".join([json.dumps(JOB)] * 21), NDJSON)
    large = await post(api, "/api/v1/batches", b" " * 300_000)

    is_problem(many, 413, "batch_too_large")
    is_problem(large, 413, "request_too_large")


async def raw(api: Api, head: str, *parts: bytes, gap_s: float = 0.0) -> bytes:
    """Send a request by hand and return everything that comes back until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(f"{head}\r\nhost: x\r\nauthorization: Bearer {SECRET}\r\ncontent-type: application/json\r\n".encode())
    for part in parts:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(gap_s)
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()
    return answer


async def test_a_body_that_outgrows_its_limit_while_streaming_is_cut_off(api: Api) -> None:
    chunk = b"8000\r\n" + b" " * 0x8000 + b"\r\n"

    answer = await raw(
        api, "POST /api/v1/jobs HTTP/1.1", b"transfer-encoding: chunked\r\n\r\n", *[chunk] * 4, b"0\r\n\r\n"
    )

    assert answer.startswith(b"HTTP/1.1 413")
    assert b"input_too_large" in answer
    assert b"connection: close" in answer


async def test_a_caller_that_asks_before_sending_is_told_at_once(api: Api) -> None:
    head = b"content-length: 999999999\r\nexpect: 100-continue\r\n\r\n"

    answer = await raw(api, "POST /api/v1/batches HTTP/1.1", head)

    assert answer.startswith(b"HTTP/1.1 413")


async def test_a_body_in_pieces_is_put_together(api: Api) -> None:
    body = json.dumps(JOB).encode()
    head = f"connection: close\r\ncontent-length: {len(body)}\r\n\r\n".encode()

    answer = await raw(api, "POST /api/v1/jobs HTTP/1.1", head, body[:10], body[10:], gap_s=0.02)

    assert answer.startswith(b"HTTP/1.1 202")


async def test_before_postgres_answers_requests_are_told_to_come_back() -> None:
    async with running_api(opened=False) as api:
        answer = await post(api, "/api/v1/jobs", json.dumps(JOB))
        is_problem(answer, 503, "starting")
        assert answer[1]["retry-after"] == "1"
        async with api.client.get(api.url + "/api/v1/jobs") as response:
            assert response.status == 503
        async with api.client.get(api.url + "/health/live") as response:
            assert response.status == 200
