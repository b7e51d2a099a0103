"""The OpenAPI document: complete, sound in itself, and true of the running API.

``UPDATE_DOCS=1 pytest tests/contract/test_openapi.py`` writes docs/openapi.json anew.
"""

import json
import os
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator
from prometheus_client import CollectorRegistry

from ingestion import models
from ingestion.admission import FIELDS
from ingestion.app import build_fastapi
from ingestion.httpmetrics import HttpMetrics
from ingestion.openapi import build_document
from ingestion.problems import PROBLEMS
from ingestion.services import Opening
from tests.unit.ingestion.doubles import READER_SECRET
from tests.unit.ingestion.harness import Api, running_api

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "docs" / "openapi.json"
METHODS = ("get", "post", "put", "patch", "delete")


def built() -> dict[str, Any]:
    app = build_fastapi(Opening(), HttpMetrics(CollectorRegistry()), "0.1.0")
    return json.loads(json.dumps(build_document(app, "0.1.0")))  # type: ignore[no-any-return]


DOCUMENT = built()


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def test_the_document_in_docs_is_this_one() -> None:
    text = json.dumps(DOCUMENT, indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE_DOCS"):
        KEPT.write_text(text)

    assert KEPT.read_text() == text, "run UPDATE_DOCS=1 pytest tests/contract/test_openapi.py and look at the change"


def test_every_route_of_the_issue_is_there() -> None:
    assert {(method, path) for method, path, _ in operations()} == {
        ("post", "/api/v1/jobs"),
        ("get", "/api/v1/jobs"),
        ("get", "/api/v1/jobs/{job_id}"),
        ("get", "/api/v1/jobs/{job_id}/attempts"),
        ("post", "/api/v1/jobs/{job_id}/cancel"),
        ("post", "/api/v1/jobs/{job_id}/pause"),
        ("post", "/api/v1/jobs/{job_id}/resume"),
        ("post", "/api/v1/jobs/{job_id}/retry"),
        ("post", "/api/v1/batches/{batch_id}/{action}"),
        ("post", "/api/v1/operations"),
        ("get", "/api/v1/operations/{operation_id}"),
        ("get", "/api/v1/budgets"),
        ("put", "/api/v1/budgets"),
        ("delete", "/api/v1/budgets"),
        ("get", "/api/v1/usage"),
        ("get", "/api/v1/jobs/{job_id}/errors"),
        ("get", "/api/v1/errors"),
        ("get", "/api/v1/dead-letters"),
        ("get", "/api/v1/dead-letters/{letter_id}"),
        ("put", "/api/v1/dead-letters/{letter_id}/value"),
        ("post", "/api/v1/dead-letters/{letter_id}/replay"),
        ("post", "/api/v1/dead-letters/{letter_id}/discard"),
        ("post", "/api/v1/batches"),
        ("get", "/api/v1/batches/{batch_id}"),
        ("get", "/api/v1/recipes"),
        ("get", "/api/v1/recipes/{name}"),
        ("get", "/api/v1/search"),
        ("get", "/api/v1/health"),
        ("get", "/health/live"),
        ("get", "/health/ready"),
        ("get", "/metrics"),
    }


def test_every_reference_leads_somewhere() -> None:
    text = json.dumps(DOCUMENT)

    for name in re.findall(r'"#/components/schemas/([^"]+)"', text):
        assert name in DOCUMENT["components"]["schemas"]
    assert "#/$defs" not in text
    assert "HTTPValidationError" not in text


def test_every_operation_is_named_described_and_keyed() -> None:
    ids = [operation["operationId"] for _, _, operation in operations()]

    assert len(set(ids)) == len(ids)
    for method, path, operation in operations():
        assert operation["summary"], (method, path)
        assert operation["tags"], (method, path)
        templated = set(re.findall(r"{(\w+)}", path))
        declared = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
        assert templated == declared
        keyed = path.startswith("/api/v1/") and path != "/api/v1/health"
        assert bool(operation.get("security")) is keyed, path


def test_every_error_is_a_problem_and_every_code_is_told() -> None:
    for _, path, operation in operations():
        for status, response in operation["responses"].items():
            if status >= "400" and path.startswith("/api/v1/") and path != "/api/v1/health":
                assert list(response["content"]) == ["application/problem+json"]
    told = set(re.findall(r"`([a-z_]+)`: ", json.dumps(DOCUMENT["paths"])))
    # Unknown methods have no operation to stand at.
    assert told == PROBLEMS.keys() - {"method_not_allowed"}


def test_docs_tell_every_code() -> None:
    text = (ROOT / "docs" / "api.md").read_text()

    told = dict(re.findall(r"^\| `([a-z_]+)` \| (\d+) \|", text, re.MULTILINE))

    assert told == {code: str(problem.status) for code, problem in PROBLEMS.items()}


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": DOCUMENT["components"]})


def test_every_example_satisfies_its_schema() -> None:
    for method, path, operation in operations():
        bodies = [operation["requestBody"]] if "requestBody" in operation else []
        contents = [content for body in bodies for content in body["content"].values()]
        contents += [c for response in operation["responses"].values() for c in response.get("content", {}).values()]
        for content in contents:
            examples = [example["value"] for example in content.get("examples", {}).values()]
            examples += [content["example"]] if "example" in content else []
            for example in examples:
                assert not list(validator(content["schema"]).iter_errors(example)), (method, path)


@pytest.mark.parametrize(("method", "path"), [(m, p) for m, p, _ in operations() if p.startswith("/api/v1")])
def test_every_success_has_an_example(method: str, path: str) -> None:
    responses = DOCUMENT["paths"][path][method]["responses"]
    success = next(response for status, response in responses.items() if status.startswith("2"))

    assert "example" in success["content"]["application/json"]


@pytest.fixture(scope="module")
async def api() -> AsyncIterator[Api]:
    async with running_api() as running:
        yield running


async def test_what_the_api_answers_is_what_the_document_says(api: Api) -> None:
    job = {"recipe": "greet", "input": {"name": "Ada"}}
    async with api.client.post(api.url + "/api/v1/jobs", json=job) as response:
        job_id = (await response.json())["id"]
    async with api.client.post(api.url + "/api/v1/batches", json=[job]) as response:
        batch_id = (await response.json())["id"]
    reader = {"authorization": f"Bearer {READER_SECRET}"}
    requests: list[tuple[str, str, str, dict[str, Any]]] = [
        ("post", "/api/v1/jobs", "", {"json": job}),
        ("post", "/api/v1/jobs", "", {"json": {}}),
        ("post", "/api/v1/jobs", "", {"data": b"{"}),
        ("post", "/api/v1/jobs", "", {"data": b"{", "headers": {"content-type": "application/json"}}),
        ("post", "/api/v1/jobs", "", {"json": job, "headers": {"authorization": ""}}),
        ("post", "/api/v1/jobs", "", {"json": job, "headers": reader}),
        ("post", "/api/v1/jobs", "", {"json": {**job, "input": "x" * 5000}}),
        ("post", "/api/v1/batches", "", {"json": [job] * 2}),
        ("post", "/api/v1/batches", "", {"json": [job, {}]}),
        ("post", "/api/v1/batches", "", {"json": [job] * 30}),
        ("get", "/api/v1/jobs", "?limit=1", {}),
        ("get", "/api/v1/jobs", "?limit=no", {}),
        ("get", "/api/v1/jobs", "", {"headers": reader}),
        ("get", "/api/v1/jobs/{job_id}", job_id, {}),
        ("get", "/api/v1/jobs/{job_id}", job_id, {"headers": {"if-none-match": "*"}}),
        ("get", "/api/v1/jobs/{job_id}", str(UUID(int=1)), {}),
        ("get", "/api/v1/jobs/{job_id}/attempts", job_id, {}),
        ("post", "/api/v1/jobs/{job_id}/cancel", job_id, {}),
        ("get", "/api/v1/jobs/{job_id}", job_id, {}),
        ("get", "/api/v1/batches/{batch_id}", batch_id, {}),
        ("get", "/api/v1/recipes", "", {}),
        ("get", "/api/v1/recipes/{name}", "greet", {}),
        ("get", "/api/v1/recipes/{name}", "nobody", {}),
        ("get", "/api/v1/search", "?q=hi", {}),
        ("get", "/api/v1/search", "", {}),
        ("get", "/api/v1/health", "", {}),
        ("get", "/health/live", "", {}),
        ("get", "/health/ready", "", {}),
    ]

    for method, template, value, options in requests:
        templated = "{" in template
        path = re.sub(r"{\w+}", value, template) if templated else template + value
        async with api.client.request(method, api.url + path, **options) as response:
            text = await response.read()
        documented = DOCUMENT["paths"][template][method]["responses"][str(response.status)]
        assert response.headers["x-request-id"]
        if not text:
            assert "content" not in documented
            continue
        schema = documented["content"][response.headers["content-type"]]["schema"]
        assert not list(validator(schema).iter_errors(json.loads(text))), (method, path, text)


def test_the_documented_fields_of_a_job_are_those_that_are_taken() -> None:
    assert set(models.JobRequest.model_fields) == FIELDS
