"""Examples of money and control in the OpenAPI document. A test holds each against its model."""

from typing import Any, Final

from ingestion.examples import RESPONSE_EXAMPLES

_RETRY: Final = "01a0b2f9-1c6d-7e8f-9a0b-1c2d3e4f5a70"
_BATCH: Final = "01a0b2f4-5c6d-7e8f-8a0b-1c2d3e4f5a6c"
_OPERATION_ID: Final = "01a0b2fa-5c6d-7e8f-8a0b-1c2d3e4f5a71"
_BUDGET: Final[dict[str, Any]] = {
    "tenant": "acme",
    "scope": "recipe",
    "key": "ticket-triage",
    "window": "day",
    "limit_usd": "5.000000000",
    "settled_usd": "4.991200000",
    "reserved_usd": "0.004200000",
    "available_usd": "0.004600000",
    "held_jobs": 12,
    "window_end": "2026-11-22T00:00:00Z",
    "created_at": "2026-11-20T08:00:00Z",
}
_OPERATION: Final[dict[str, Any]] = {
    "id": _OPERATION_ID,
    "action": "cancel",
    "filter": {
        "state": None,
        "recipe": None,
        "lane": None,
        "batch_id": _BATCH,
        "tag": None,
        "created_before": None,
        "created_after": None,
    },
    "state": "running",
    "scanned": 3000,
    "matched": 3000,
    "changed": 2981,
    "created_at": "2026-11-21T10:05:00Z",
    "finished_at": None,
    "links": {"self": f"/api/v1/operations/{_OPERATION_ID}"},
}
_HELD: Final[dict[str, Any]] = {
    **RESPONSE_EXAMPLES["get", "/api/v1/jobs/{job_id}"],
    "state": "held",
    "hold_reason": "paused",
    "finished_at": None,
    "output": None,
    "lineage": None,
}

PUT_BUDGET: Final = {"scope": "recipe", "key": "ticket-triage", "window": "day", "limit_usd": "6"}
BEGIN_OPERATION: Final = {"action": "retry", "filter": {"state": "failed", "recipe": "ticket-triage", "tag": "march"}}

CONTROL_EXAMPLES: Final[dict[tuple[str, str], Any]] = {
    ("get", "/api/v1/budgets"): {"budgets": [_BUDGET], "next_after": None},
    ("put", "/api/v1/budgets"): {**_BUDGET, "limit_usd": "6.000000000", "available_usd": "1.004600000"},
    ("delete", "/api/v1/budgets"): {"removed": True},
    ("get", "/api/v1/usage"): {
        "first": "2026-11-01",
        "last": "2026-11-21",
        "group_by": ["recipe"],
        "usage": [
            {
                "tenant": "acme",
                "recipe": "ticket-triage@1.0.0",
                "day": None,
                "attempts": 1000,
                "answered": 990,
                "failed": 8,
                "unknown": 2,
                "rebought": 1,
                "input_tokens": 412000,
                "cached_tokens": 0,
                "output_tokens": 38000,
                "cost_usd": "0.148000000",
                "estimated_usd": "0.001400000",
            }
        ],
    },
    ("post", "/api/v1/jobs/{job_id}/pause"): _HELD,
    ("post", "/api/v1/jobs/{job_id}/resume"): {**_HELD, "state": "queued", "hold_reason": None},
    ("post", "/api/v1/jobs/{job_id}/retry"): {
        **RESPONSE_EXAMPLES["post", "/api/v1/jobs"],
        "id": _RETRY,
    },
    ("post", "/api/v1/batches/{batch_id}/{action}"): _OPERATION,
    ("post", "/api/v1/operations"): _OPERATION,
    ("get", "/api/v1/operations/{operation_id}"): {
        **_OPERATION,
        "state": "done",
        "finished_at": "2026-11-21T10:05:01Z",
    },
}
