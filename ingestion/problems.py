"""Every error the API answers, as ``application/problem+json`` (RFC 9457) with a stable ``code``. Pure.

``PROBLEMS`` is the closed list: nothing answers with a code that is not in it, and docs/api.md tells each.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from common.errors import Fault, RequestError

CONTENT_TYPE: Final = "application/problem+json"
MOST_FAULTS: Final = 100


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of error: its status, what it is called, and whether the same request may succeed later."""

    status: int
    title: str
    retry_after_s: int | None = None


PROBLEMS: Final[Mapping[str, Problem]] = {
    "malformed_json": Problem(400, "The body is not acceptable JSON"),
    "unauthorized": Problem(401, "A valid API key is needed"),
    "forbidden": Problem(403, "The API key lacks a scope"),
    "not_found": Problem(404, "There is no such thing here"),
    "method_not_allowed": Problem(405, "The method is not allowed here"),
    "request_timeout": Problem(408, "The body did not arrive in time"),
    "job_ended": Problem(409, "The job has already ended"),
    "not_retryable": Problem(409, "The job cannot be run again"),
    "dead_letter_conflict": Problem(409, "The dead letter cannot be used so"),
    "input_too_large": Problem(413, "The input is too large"),
    "request_too_large": Problem(413, "The request is too large"),
    "batch_too_large": Problem(413, "The batch has too many jobs"),
    "unsupported_media_type": Problem(415, "The content type is not supported"),
    "invalid_job": Problem(422, "The job cannot be accepted"),
    "unknown_recipe": Problem(422, "There is no such recipe"),
    "invalid_input": Problem(422, "The input does not satisfy the recipe's schema"),
    "invalid_batch": Problem(422, "The batch cannot be accepted"),
    "invalid_request_body": Problem(422, "The body cannot be used"),
    "invalid_parameter": Problem(422, "A parameter cannot be used"),
    "idempotency_key_reuse": Problem(422, "The idempotency key was used for another body"),
    "internal_error": Problem(500, "Something went wrong here"),
    "overloaded": Problem(503, "There is more to do than can be taken now", retry_after_s=1),
    "starting": Problem(503, "The service is starting", retry_after_s=1),
    "storage_unavailable": Problem(503, "The database is not answering", retry_after_s=2),
    "search_unavailable": Problem(503, "Search is not answering", retry_after_s=5),
}


@dataclass(frozen=True, slots=True)
class BatchFault(Fault):
    """A fault in one job of a batch: its place from 0, and for NDJSON its line from 1."""

    index: int = 0
    line: int | None = None


def refuse(
    code: str,
    detail: str,
    *,
    faults: Iterable[Fault] = (),
    headers: Mapping[str, str] | None = None,
) -> RequestError:
    """Return the error to raise for a problem of the list."""
    problem = PROBLEMS[code]
    extra = dict(headers or {})
    if problem.retry_after_s is not None:
        extra.setdefault("retry-after", str(problem.retry_after_s))
    return RequestError(problem.status, code, detail, faults=tuple(faults), headers=extra)


def parameter_fault(name: str, detail: str) -> Fault:
    """Return the fault of a query, path or header parameter (a JSON Pointer never begins with '?')."""
    return Fault("?" + name, detail)


def document(error: RequestError, request_id: str) -> bytes:
    """Return the problem document. It tells at most 100 faults, and how many there are."""
    body: dict[str, Any] = {
        "type": f"urn:headrace:problem:{error.code}",
        "title": PROBLEMS[error.code].title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "request_id": request_id,
    }
    if error.faults:
        body["errors"] = [_told(fault) for fault in error.faults[:MOST_FAULTS]]
        if len(error.faults) > MOST_FAULTS:
            body["errors_omitted"] = len(error.faults) - MOST_FAULTS
    return orjson.dumps(body)


def raw_headers(error: RequestError, request_id: str) -> list[tuple[bytes, bytes]]:
    """Return the headers of the problem's response, without its length."""
    return [
        (b"content-type", CONTENT_TYPE.encode()),
        (b"cache-control", b"no-store"),
        (b"x-request-id", request_id.encode()),
        *((name.encode(), value.encode()) for name, value in error.headers.items()),
    ]


def _told(fault: Fault) -> dict[str, Any]:
    if fault.pointer.startswith("?"):
        told: dict[str, Any] = {"parameter": fault.pointer[1:], "detail": fault.detail}
    else:
        told = {"pointer": fault.pointer, "detail": fault.detail}
    if fault.keyword:
        told["keyword"] = fault.keyword
    if isinstance(fault, BatchFault):
        told["index"] = fault.index
        if fault.line is not None:
            told["line"] = fault.line
    return told
