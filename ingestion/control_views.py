"""Turns budgets, usage and operations into the bodies of answers. Pure."""

from typing import Any, Final

from common.control_ports import BudgetView, JobFilter, OperationView, UsageRow
from ingestion.money import usd_from_nanos

OPERATIONS: Final = "/api/v1/operations"

Body = dict[str, Any]


def budget(view: BudgetView) -> Body:
    """Return one budget in its present window."""
    return {
        "tenant": view.key.tenant_id,
        "scope": view.key.scope.value,
        "key": view.key.key,
        "window": view.key.window.value,
        "limit_usd": usd_from_nanos(view.limit_nanos),
        "settled_usd": usd_from_nanos(view.settled_nanos),
        "reserved_usd": usd_from_nanos(view.reserved_nanos),
        "available_usd": usd_from_nanos(view.limit_nanos - view.settled_nanos - view.reserved_nanos),
        "held_jobs": view.held_jobs,
        "window_end": view.window_end,
        "created_at": view.created_at,
    }


def usage(row: UsageRow) -> Body:
    """Return one group of usage."""
    return {
        "tenant": row.tenant_id,
        "recipe": row.recipe,
        "day": row.day,
        "attempts": row.attempts,
        "answered": row.answered,
        "failed": row.failed,
        "unknown": row.unknown,
        "rebought": row.rebought,
        "input_tokens": row.input_tokens,
        "cached_tokens": row.cached_tokens,
        "output_tokens": row.output_tokens,
        "cost_usd": usd_from_nanos(row.cost_nanos),
        "estimated_usd": usd_from_nanos(row.estimated_nanos),
    }


def operation(view: OperationView) -> Body:
    """Return how far an operation is."""
    return {
        "id": str(view.operation_id),
        "action": view.action.value,
        "filter": {name: getattr(view.filter, name) for name in JobFilter.__dataclass_fields__},
        "state": "running" if view.finished_at is None else "done",
        "scanned": view.scanned,
        "matched": view.matched,
        "changed": view.changed,
        "created_at": view.created_at,
        "finished_at": view.finished_at,
        "links": {"self": f"{OPERATIONS}/{view.operation_id}"},
    }
