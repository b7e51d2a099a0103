"""Examples in the OpenAPI document. A test holds each against its model."""

from typing import Any, Final

_JOB: Final = "01a0b2f4-5c6d-7e8f-9a0b-1c2d3e4f5a6b"
_BATCH: Final = "01a0b2f4-5c6d-7e8f-8a0b-1c2d3e4f5a6c"
_HASH: Final = "5f2b1c0de8a94b7c9d3e1f6a8b0c4d2e5f2b1c0de8a94b7c9d3e1f6a8b0c4d2e"
_INPUT: Final = {"subject": "Charged twice", "body": "I was charged twice for my March invoice. Please refund one."}
_OUTPUT: Final = {"category": "billing", "urgency": "high", "summary": "Charged twice for one invoice."}
_LINKS: Final = {
    "self": f"/api/v1/jobs/{_JOB}",
    "attempts": f"/api/v1/jobs/{_JOB}/attempts",
    "cancel": f"/api/v1/jobs/{_JOB}/cancel",
}
_REQUEST: Final = {"recipe": "ticket-triage", "input": _INPUT}

JOB_EXAMPLES: Final[dict[str, Any]] = {
    "shortest": {"summary": "The newest version of a recipe", "value": _REQUEST},
    "bounded": {
        "summary": "A given version, with a deadline, a budget and tags",
        "value": {
            "recipe": "ticket-triage@1.0.0",
            "input": _INPUT,
            "lane": "interactive",
            "deadline": "2027-01-31T12:00:00Z",
            "budget_usd": "0.05",
            "tags": ["mail", "march"],
        },
    },
}

BATCH_EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "array": {"two": {"summary": "Two jobs", "value": [_REQUEST, {**_REQUEST, "lane": "bulk"}]}},
    "lines": {
        "two": {
            "summary": "Two jobs, one a line",
            "value": '{"recipe":"ticket-triage","input":{"subject":"Help","body":"It does not start."}}\n'
            '{"recipe":"ticket-triage","input":{"subject":"Hi","body":"Thank you!"},"lane":"bulk"}\n',
        }
    },
}

_SUMMARY: Final[dict[str, Any]] = {
    "id": _JOB,
    "state": "succeeded",
    "recipe": "ticket-triage@1.0.0",
    "lane": "standard",
    "revision": 2,
    "batch_id": None,
    "tags": ["mail"],
    "created_at": "2026-11-21T10:00:00.123456Z",
    "finished_at": "2026-11-21T10:00:02.654321Z",
    "deadline": None,
    "budget_usd": "0.050000000",
    "attempts": 1,
    "cost_usd": "0.000148000",
    "usage": {"input_tokens": 412, "output_tokens": 38},
    "hold_reason": None,
    "failure": None,
    "retry_of": None,
    "links": _LINKS,
}
_DETAIL: Final[dict[str, Any]] = {
    **_SUMMARY,
    "output": _OUTPUT,
    "lineage": {
        "recipe_hash": _HASH,
        "prompt_hash": _HASH,
        "deployment": "smollm2-135m",
        "model_served": "smollm2-135m",
        "price_version": "2026-11-01",
        "attempts": 1,
        "input_tokens": 412,
        "output_tokens": 38,
        "cost_usd": "0.000148000",
        "validation": "strict",
        "accepted_at": "2026-11-21T10:00:00.123456Z",
        "finished_at": "2026-11-21T10:00:02.654321Z",
    },
}
_ATTEMPT: Final[dict[str, Any]] = {
    "step": "triage",
    "item": 0,
    "attempt": 1,
    "state": "answered",
    "verdict": "accept",
    "deployment": "smollm2-135m",
    "model": "smollm2-135m",
    "model_served": "smollm2-135m",
    "prompt_hash": _HASH,
    "reserved_usd": "0.000700000",
    "cost_usd": "0.000148000",
    "price_version": "2026-11-01",
    "input_tokens": 412,
    "cached_tokens": 0,
    "output_tokens": 38,
    "latency_ms": 911,
    "finish_reason": "stop",
    "error_code": None,
    "request_id": "chatcmpl-123",
    "violations": [],
    "extraction": {
        "strict": False,
        "confidence": "lossless-repair",
        "repairs": [
            {"kind": "fence-removed", "start": 0, "end": 8},
            {"kind": "fence-removed", "start": 97, "end": 101},
        ],
        "candidates": 1,
        "reason": "fenced-block: 1 of 1 candidates would do",
    },
    "started_at": "2026-11-21T10:00:00.223456Z",
    "ended_at": "2026-11-21T10:00:01.134456Z",
}
_RECIPE: Final[dict[str, Any]] = {
    "name": "ticket-triage",
    "version": "1.0.0",
    "reference": "ticket-triage@1.0.0",
    "description": "Sorts a support ticket by category and urgency.",
    "content_hash": _HASH,
    "newest": True,
}
_OBJECT_SCHEMA: Final = {"type": "object", "required": ["body"], "properties": {"body": {"type": "string"}}}
_LETTER: Final[dict[str, Any]] = {
    "id": 42,
    "state": "open",
    "stage": "output_validation",
    "topic": "headrace.completions",
    "partition": 2,
    "offset": 1017,
    "job_id": _JOB,
    "reason": "not a Completion message: attempt: missing",
    "exception": "UndecodableMessage",
    "count": 1,
    "edited": False,
    "size_bytes": 311,
    "created_at": "2026-11-21T10:00:01.134456Z",
    "ended_at": None,
}
_LETTER_DETAIL: Final[dict[str, Any]] = {
    **_LETTER,
    "key": {"text": _JOB, "base64": None},
    "value": {"text": "{}", "base64": None},
    "original": {"text": "{}", "base64": None},
    "headers": [{"name": "traceparent", "value": {"text": "00-…", "base64": None}}],
}
_ERRORS: Final[dict[str, Any]] = {
    "errors": [
        {
            "job_id": _JOB,
            "stage": "output_validation",
            "kind": "UndecodableMessage",
            "detail": "not a Completion message: attempt: missing",
            "count": 1,
            "first_at": "2026-11-21T10:00:01.134456Z",
            "last_at": "2026-11-21T10:00:01.134456Z",
        }
    ]
}

RESPONSE_EXAMPLES: Final[dict[tuple[str, str], Any]] = {
    ("post", "/api/v1/jobs"): {"id": _JOB, "state": "queued", "recipe": "ticket-triage@1.0.0", "links": _LINKS},
    ("post", "/api/v1/batches"): {
        "id": _BATCH,
        "total": 1,
        "jobs": [_JOB],
        "links": {"self": f"/api/v1/batches/{_BATCH}"},
    },
    ("get", "/api/v1/jobs/{job_id}"): _DETAIL,
    ("get", "/api/v1/jobs"): {"jobs": [_SUMMARY], "next_cursor": None},
    ("get", "/api/v1/jobs/{job_id}/attempts"): {"attempts": [_ATTEMPT]},
    ("post", "/api/v1/jobs/{job_id}/cancel"): {
        **_SUMMARY,
        "state": "cancelled",
        "output": None,
        "lineage": None,
    },
    ("get", "/api/v1/batches/{batch_id}"): {
        "id": _BATCH,
        "total": 3,
        "states": {"open": 1, "succeeded": 2},
        "cost_usd": "0.000296000",
        "created_at": "2026-11-21T10:00:00.123456Z",
        "links": {"self": f"/api/v1/batches/{_BATCH}"},
    },
    ("get", "/api/v1/recipes"): {"recipes": [_RECIPE]},
    ("get", "/api/v1/recipes/{name}"): {
        "name": "ticket-triage",
        "versions": [{**_RECIPE, "input_schema": _OBJECT_SCHEMA, "output_schema": {"type": "object"}}],
    },
    ("get", "/api/v1/dead-letters"): {"dead_letters": [_LETTER], "next_before": None},
    ("get", "/api/v1/dead-letters/{letter_id}"): _LETTER_DETAIL,
    ("put", "/api/v1/dead-letters/{letter_id}/value"): {**_LETTER_DETAIL, "edited": True},
    ("post", "/api/v1/dead-letters/{letter_id}/replay"): {**_LETTER, "state": "replayed"},
    ("post", "/api/v1/dead-letters/{letter_id}/discard"): {**_LETTER, "state": "discarded"},
    ("get", "/api/v1/jobs/{job_id}/errors"): _ERRORS,
    ("get", "/api/v1/errors"): _ERRORS,
    ("get", "/api/v1/search"): {
        "total": 1,
        "hits": [
            {
                "job_id": _JOB,
                "recipe": "ticket-triage@1.0.0",
                "score": 1.3,
                "output": _OUTPUT,
                "highlights": ["Charged twice for one <em>invoice</em>."],
                "finished_at": "2026-11-21T10:00:02.654321Z",
                "links": _LINKS,
            }
        ],
    },
    ("get", "/api/v1/health"): {
        "status": "degraded",
        "dependencies": {
            "postgres": {"state": "up", "needed": True, "reason": None},
            "elasticsearch": {"state": "not-configured", "needed": False, "reason": None},
        },
    },
}
