"""The OpenAPI document: what FastAPI knows of its routes, and the plain ASGI routes beside them. Pure.

Every answer with a body is described by a model, every error by the problem document with its codes.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from ingestion import models
from ingestion.control_examples import CONTROL_EXAMPLES
from ingestion.control_models import BudgetRequest, OperationRequest
from ingestion.examples import BATCH_EXAMPLES, JOB_EXAMPLES, RESPONSE_EXAMPLES
from ingestion.problems import CONTENT_TYPE, PROBLEMS

_REF: Final = "#/components/schemas/{model}"
_DESCRIPTION: Final = (
    "Submit a job, one run of a recipe on an input, and poll, wait or subscribe for its one schema-valid output. "
    "Errors are problem documents with a stable `code`; money is decimal US dollars in strings; an "
    "`Idempotency-Key` makes a submission safe to repeat."
)
_ANYWHERE: Final = (
    "unauthorized",
    "forbidden",
    "invalid_parameter",
    "internal_error",
    "starting",
    "overloaded",
    "storage_unavailable",
)
_PLAIN_MODELS: Final[tuple[type[BaseModel], ...]] = (
    models.JobRequest,
    models.JobAccepted,
    models.BatchAccepted,
    BudgetRequest,
    OperationRequest,
    models.ServiceHealth,
    models.ProblemDocument,
)
_EXAMPLES: Final = {**RESPONSE_EXAMPLES, **CONTROL_EXAMPLES}
_REQUEST_ID: Final = {
    "X-Request-Id": {
        "description": "Names this request in our logs; yours if you sent one",
        "schema": {"type": "string"},
    }
}
_LOCATION: Final = {"Location": {"description": "Where to poll", "schema": {"type": "string"}}}
_REPLAYED: Final = {
    "Idempotency-Replayed": {
        "description": "There if this key and body were accepted before: nothing new was made",
        "schema": {"type": "string", "enum": ["true"]},
    }
}


def problems(*codes: str) -> dict[int | str, dict[str, Any]]:
    """Return the responses of these problems by status, with those that every route with a key may give."""
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys((*codes, *_ANYWHERE)):
        by_status.setdefault(PROBLEMS[code].status, []).append(code)
    return {status: _problem_response(status, listed) for status, listed in sorted(by_status.items())}


def build_document(app: FastAPI, version: str) -> dict[str, Any]:
    """Return the whole document."""
    document = get_openapi(
        title="Headrace",
        version=version,
        description=_DESCRIPTION,
        routes=app.routes,
        tags=[{"name": name} for name in ("jobs", "batches", "recipes", "search", "money", "operations", "service")],
    )
    schemas = document["components"]["schemas"]
    _, definitions = models_json_schema([(model, "validation") for model in _PLAIN_MODELS], ref_template=_REF)
    schemas.update(definitions["$defs"])
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    paths = document["paths"]
    paths.setdefault("/api/v1/jobs", {})["post"] = _submit_job()
    paths.setdefault("/api/v1/batches", {})["post"] = _submit_batch()
    paths.update(_service_paths())
    for path, operations in paths.items():
        for method, operation in operations.items():
            _finish(path, method, operation)
    return document


def _problem_response(status: int, codes: Sequence[str]) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": "; ".join(f"`{code}`: {PROBLEMS[code].title}" for code in codes),
        "content": {CONTENT_TYPE: {"schema": {"$ref": _REF.format(model="ProblemDocument")}}},
    }
    headers = {}
    if any(PROBLEMS[code].retry_after_s is not None for code in codes):
        headers["Retry-After"] = {"description": "Seconds", "schema": {"type": "integer"}}
    if status == 401:
        headers["WWW-Authenticate"] = {"schema": {"type": "string"}}
    if headers:
        response["headers"] = headers
    return response


def _body(schema: Mapping[str, Any], examples: Mapping[str, Any]) -> dict[str, Any]:
    return {"schema": schema, "examples": examples}


def _accepted(model: str) -> dict[str, Any]:
    return {
        "description": "Committed: it survives any crash from here on",
        "headers": {**_LOCATION, **_REPLAYED},
        "content": {"application/json": {"schema": {"$ref": _REF.format(model=model)}}},
    }


_SUBMIT_PARAMETERS: Final = [
    {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "The same key and body: the same job. The same key, another body: refused.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
    },
    {
        "name": "traceparent",
        "in": "header",
        "required": False,
        "description": "W3C trace context; travels with the job when it is valid, and is ignored otherwise",
        "schema": {"type": "string"},
    },
]
_SUBMIT_PROBLEMS: Final = (
    "malformed_json",
    "request_timeout",
    "input_too_large",
    "unsupported_media_type",
    "unknown_recipe",
    "invalid_input",
    "idempotency_key_reuse",
)


def _submit_job() -> dict[str, Any]:
    request = {"$ref": _REF.format(model="JobRequest")}
    return {
        "tags": ["jobs"],
        "summary": "Submit a job",
        "description": "202 means that the job is committed. 503 says that it may be: repeat it with the same "
        "`Idempotency-Key`. Unknown fields are refused; faults of the input point into it.",
        "operationId": "submit_job",
        "security": [{"key": []}],
        "parameters": _SUBMIT_PARAMETERS,
        "requestBody": {"required": True, "content": {"application/json": _body(request, JOB_EXAMPLES)}},
        "responses": {"202": _accepted("JobAccepted"), **_by_text(problems(*_SUBMIT_PROBLEMS, "invalid_job"))},
    }


def _submit_batch() -> dict[str, Any]:
    array = {"type": "array", "minItems": 1, "items": {"$ref": _REF.format(model="JobRequest")}}
    lines = {"type": "string", "description": "One job a line"}
    return {
        "tags": ["batches"],
        "summary": "Submit many jobs, all or nothing",
        "description": "A JSON array of jobs, or NDJSON. Each fault names the job's index or line.",
        "operationId": "submit_batch",
        "security": [{"key": []}],
        "parameters": _SUBMIT_PARAMETERS,
        "requestBody": {
            "required": True,
            "content": {
                "application/json": _body(array, BATCH_EXAMPLES["array"]),
                "application/x-ndjson": _body(lines, BATCH_EXAMPLES["lines"]),
            },
        },
        "responses": {
            "202": _accepted("BatchAccepted"),
            **_by_text(problems(*_SUBMIT_PROBLEMS, "request_too_large", "batch_too_large", "invalid_batch")),
        },
    }


def _service_paths() -> dict[str, Any]:
    health = {"application/json": {"schema": {"$ref": _REF.format(model="ServiceHealth")}}}
    status = {
        "application/json": {
            "schema": {"type": "object", "properties": {"status": {"type": "string"}, "reason": {"type": "string"}}}
        }
    }
    return {
        "/api/v1/health": {
            "get": _service("Show the dependencies", "health", {"200": health, "503": health}),
        },
        "/health/live": {"get": _service("Whether the process turns", "live", {"200": status})},
        "/health/ready": {"get": _service("Whether to send requests", "ready", {"200": status, "503": status})},
        "/metrics": {
            "get": _service(
                "Prometheus metrics, for callers on this machine unless set",
                "metrics",
                {"200": {"text/plain": {"schema": {"type": "string"}}}, "403": status},
            )
        },
    }


def _service(summary: str, name: str, contents: Mapping[str, Any]) -> dict[str, Any]:
    words = {"200": "Yes", "403": "Not from there", "503": "No"}
    return {
        "tags": ["service"],
        "summary": summary,
        "operationId": name,
        "security": [],
        "responses": {code: {"description": words[code], "content": content} for code, content in contents.items()},
    }


def _by_text(responses: Mapping[int | str, Any]) -> dict[str, Any]:
    return {str(status): response for status, response in responses.items()}


def _finish(path: str, method: str, operation: dict[str, Any]) -> None:
    """Add what every answer has, and the example of its success."""
    for status, response in operation["responses"].items():
        response["headers"] = {**_REQUEST_ID, **response.get("headers", {})}
        example = _EXAMPLES.get((method, path)) if status.startswith("2") else None
        if example is not None:
            response["content"]["application/json"]["example"] = example
