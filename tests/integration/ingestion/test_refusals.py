"""Everything a caller can get wrong, against the real process: clear problems, no 500, nothing in Postgres."""

import json
from dataclasses import dataclass
from uuid import UUID

import pytest

from persistence.postgres.pool import Pool
from tests.integration.ingestion.conftest import JOB, TICKET, Ingestion

pytestmark = pytest.mark.stack

GOOD = json.dumps(JOB).encode()
JSON = "application/json"
NDJSON = "application/x-ndjson"


@dataclass(frozen=True)
class Bad:
    """One bad request, and the problem it must get."""

    body: bytes
    status: int
    code: str
    path: str = "/api/v1/jobs"
    content_type: str = JSON
    pointer: str | None = None
    line: int | None = None
    authorization: str | None = None


def job(part: bytes) -> bytes:
    return b'{"recipe":"ticket-triage","input":{"subject":"s","body":' + part + b"}}"


BATCHES = "/api/v1/batches"
BAD = [
    Bad(b"", 400, "malformed_json"),
    Bad(b"{nonsense", 400, "malformed_json"),
    Bad(GOOD[:-1], 400, "malformed_json"),
    Bad(job(b"NaN"), 400, "malformed_json", pointer="/input/body"),
    Bad(job(b"-Infinity"), 400, "malformed_json"),
    Bad(job(b"[" * 64 + b"]" * 64), 400, "malformed_json"),
    Bad(job(b"[" * 200_000), 400, "malformed_json"),
    Bad(job(b'"\\ud800"'), 400, "malformed_json"),
    Bad(job(b'"\\udc00\\ud800"'), 400, "malformed_json"),
    Bad(job(b'"a\\u0000b"'), 400, "malformed_json"),
    Bad(job(b'"\x00"'), 400, "malformed_json"),
    Bad(job(b'"\xff\xfe"'), 400, "malformed_json"),
    Bad(job(b'"b","body":"c"'), 400, "malformed_json"),
    Bad(b'{"recipe":"ticket-triage","recipe":"ticket-triage","input":{}}', 400, "malformed_json"),
    Bad(b"[]", 422, "invalid_job"),
    Bad(b"{}", 422, "invalid_job", pointer="/recipe"),
    Bad(b'{"recipe":"nobody","input":{}}', 422, "unknown_recipe", pointer="/recipe"),
    Bad(b'{"recipe":"ticket-triage@9.9.9","input":{}}', 422, "unknown_recipe", pointer="/recipe"),
    Bad(json.dumps({**JOB, "surprise": 1}).encode(), 422, "invalid_job", pointer="/surprise"),
    Bad(json.dumps({**JOB, "deadline": "2020-01-01T00:00:00Z"}).encode(), 422, "invalid_job", pointer="/deadline"),
    Bad(json.dumps({**JOB, "budget_usd": 0}).encode(), 422, "invalid_job", pointer="/budget_usd"),
    Bad(job(b"5"), 422, "invalid_input", pointer="/input/body"),
    Bad(job(b'""'), 422, "invalid_input", pointer="/input/body"),
    Bad(b'{"recipe":"ticket-triage","input":"text"}', 422, "invalid_input", pointer="/input"),
    Bad(job(b'"' + b"x" * (16 * 1024 * 1024) + b'"'), 413, "input_too_large", pointer="/input"),
    Bad(job(b'"' + b"x" * (18 << 20) + b'"'), 413, "input_too_large", pointer="/input"),
    Bad(GOOD, 415, "unsupported_media_type", content_type="text/plain"),
    Bad(GOOD, 415, "unsupported_media_type", content_type="application/json; charset=latin1"),
    Bad(GOOD, 401, "unauthorized", authorization=""),
    Bad(GOOD, 401, "unauthorized", authorization="Bearer hr_" + "w" * 43),
    Bad(b"[" + GOOD + b"," + job(b"5") + b"]", 422, "invalid_input", BATCHES, pointer="/1/input/body"),
    Bad(b"[" + GOOD + b",", 400, "malformed_json", BATCHES),
    Bad(b"[]", 422, "invalid_batch", BATCHES),
    Bad(GOOD, 422, "invalid_batch", BATCHES),
    Bad(GOOD + b"\n" + GOOD[:20] + b"\n" + GOOD, 400, "malformed_json", BATCHES, NDJSON, line=2),
    Bad(GOOD + b"\n\n" + job(b"5"), 422, "invalid_input", BATCHES, NDJSON, "/input/body", 3),
    Bad(GOOD + b"\r\n" + job(b'"a\\u0000"') + b"\r\n", 400, "malformed_json", BATCHES, NDJSON, line=2),
    Bad((GOOD + b"\n") * 10_001, 413, "batch_too_large", BATCHES, NDJSON),
    Bad(b" " * ((64 << 20) + 1), 413, "request_too_large", BATCHES),
    Bad(GOOD, 415, "unsupported_media_type", BATCHES, "text/csv"),
]


async def test_each_mistake_gets_its_problem_and_leaves_nothing(ingestion: Ingestion, pool: Pool) -> None:
    for bad in BAD:
        headers = {"content-type": bad.content_type}
        if bad.authorization is not None:
            headers["authorization"] = bad.authorization
        async with ingestion.client.post(ingestion.url + bad.path, data=bad.body, headers=headers) as response:
            problem = await response.json(content_type=None)

        shown = (bad.body[:80], problem)
        assert (response.status, problem["code"]) == (bad.status, bad.code), shown
        assert response.headers["content-type"] == "application/problem+json", shown
        if bad.pointer is not None:
            assert bad.pointer in [error.get("pointer") for error in problem["errors"]], shown
        if bad.line is not None:
            assert bad.line in [error.get("line") for error in problem["errors"]], shown

    for table in ("jobs", "job_inputs", "outbox", "batches", "idempotency", "steps", "budgets"):
        assert await pool.fetchval(f"select count(*) from {table}") == 0, table
    assert not [line for line in ingestion.lines if '"level":"error"' in line]


async def test_another_tenants_jobs_and_batches_are_not_there(ingestion: Ingestion, other_key: str) -> None:
    async with ingestion.client.post(ingestion.url + "/api/v1/batches", json=[JOB]) as response:
        batch = await response.json()
    other = {"authorization": f"Bearer {other_key}"}
    job_id = batch["jobs"][0]
    asked = [
        ("GET", f"/api/v1/jobs/{job_id}"),
        ("GET", f"/api/v1/jobs/{job_id}/attempts"),
        ("POST", f"/api/v1/jobs/{job_id}/cancel"),
        ("GET", f"/api/v1/batches/{batch['id']}"),
        ("GET", f"/api/v1/jobs/{UUID(int=0)}"),
    ]

    for method, path in asked:
        async with ingestion.client.request(method, ingestion.url + path, headers=other) as response:
            assert (response.status, (await response.json(content_type=None))["code"]) == (404, "not_found"), path
    async with ingestion.client.get(ingestion.url + "/api/v1/jobs", headers=other) as response:
        assert (await response.json())["jobs"] == []


async def test_what_is_accepted_is_stored_as_it_came(ingestion: Ingestion, pool: Pool) -> None:
    received = b'{ "subject": "\\u00e9 \xc3\xa9",\t"body":"1.0"}'
    body = (
        b'{"budget_usd":0.1,"tags":["a\xc3\xa9","b"],"lane":"bulk","input":'
        + received
        + b',"recipe":"ticket-triage@1.0.0"}'
    )
    headers = {"content-type": JSON, "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}

    async with ingestion.client.post(ingestion.url + "/api/v1/jobs", data=body, headers=headers) as response:
        job_id = UUID((await response.json())["id"])
    async with ingestion.client.get(f"{ingestion.url}/api/v1/jobs/{job_id}") as response:
        shown = await response.json()

    assert await pool.fetchval("select body from job_inputs where job_id = $1", job_id) == received
    row = await pool.fetchrow("select * from jobs where id = $1", job_id)
    assert row is not None
    assert (row["tenant_id"], row["lane"], row["tags"], row["budget_nanos"]) == ("acme", 2, ["aé", "b"], 100_000_000)
    assert row["traceparent"] == headers["traceparent"]
    assert (shown["state"], shown["budget_usd"], shown["tags"]) == ("queued", "0.100000000", ["aé", "b"])


async def test_ten_thousand_jobs_are_one_batch(ingestion: Ingestion, pool: Pool) -> None:
    lines = b"\n".join(
        json.dumps({"recipe": "ticket-triage", "input": {**TICKET, "subject": f"n{n}"}}).encode() for n in range(10_000)
    )
    headers = {"content-type": NDJSON, "idempotency-key": "large"}

    async with ingestion.client.post(ingestion.url + BATCHES, data=lines, headers=headers) as response:
        batch = await response.json()
    async with ingestion.client.get(f"{ingestion.url}/api/v1/batches/{batch['id']}") as shown:
        progress = await shown.json()

    assert (response.status, batch["total"], len(batch["jobs"])) == (202, 10_000, 10_000)
    assert (progress["total"], sum(progress["states"].values())) == (10_000, 10_000)
    first = await pool.fetchval("select body from job_inputs where job_id = $1", UUID(batch["jobs"][0]))
    assert json.loads(first)["subject"] == "n0"
    assert await pool.fetchval("select count(*) from outbox") == 10_000
