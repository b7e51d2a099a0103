"""The ports behind the operators' and the control routes, with nothing in them: they hold values as Postgres would.

What no column can take is refused as asyncpg refuses it, so a route that passes it on answers 500 here, too.
"""

from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from common.control_ports import (
    Action,
    BudgetFilter,
    BudgetKey,
    BudgetView,
    JobFilter,
    OperationView,
    Retried,
    UsageGroup,
    UsageRow,
)
from common.operator_ports import ErrorView, LetterFilter, LetterView
from common.ports import JobView
from tests.unit.ingestion.doubles import NOW


class Refused(Exception):
    """What a driver raises for a value that Postgres does not take."""

    sqlstate = "22000"


def hold(*values: object) -> None:
    """Raise Refused for what a text, a bigint or a timestamptz cannot be."""
    for value in values:
        match value:
            case str() if "\0" in value:
                raise Refused(f"invalid byte sequence in {value!r}")
            case int() if not -(2**63) <= value < 2**63:
                raise Refused(f"{value} is out of int64 range")
            case datetime():
                value.astimezone(UTC)
            case dict():
                hold(*value.values())
            case _ if is_dataclass(value) and not isinstance(value, type):
                hold(asdict(value))


class Columns:
    """Budgets, Usage, JobControl, DeadLetters and Errors, empty."""

    async def budgets(self, wanted: BudgetFilter, *, after: int, limit: int) -> Sequence[BudgetView]:
        hold(wanted, after, limit)
        return []

    async def put(self, key: BudgetKey, limit_nanos: int) -> BudgetView | None:
        hold(key, limit_nanos)
        return BudgetView(1, key, limit_nanos, 0, 0, 0, None, NOW)

    async def remove(self, key: BudgetKey) -> bool:
        hold(key)
        return False

    async def usage(
        self, tenant_id: str | None, first: date, last: date, group_by: frozenset[UsageGroup]
    ) -> Sequence[UsageRow]:
        hold(tenant_id)
        return []

    async def pause(self, tenant_id: str, job_id: UUID) -> JobView | None:
        return None

    async def resume(self, tenant_id: str, job_id: UUID) -> JobView | None:
        return None

    async def retry(self, tenant_id: str, job_id: UUID) -> Retried | None:
        return None

    async def begin(self, tenant_id: str, action: Action, wanted: JobFilter) -> OperationView:
        hold(wanted)
        return OperationView(UUID(int=9), action, wanted, 0, 0, 0, NOW, None)

    async def operation(self, tenant_id: str, operation_id: UUID) -> OperationView | None:
        return None

    async def letters(self, wanted: LetterFilter, *, before: int | None, limit: int) -> Sequence[LetterView]:
        hold(wanted, before, limit)
        return []

    async def letter(self, letter_id: int) -> LetterView | None:
        hold(letter_id)
        return None

    async def edit(self, letter_id: int, value: bytes) -> LetterView | None:
        return await self.letter(letter_id)

    async def replay(self, letter_id: int) -> LetterView | None:
        return await self.letter(letter_id)

    async def discard(self, letter_id: int) -> LetterView | None:
        return await self.letter(letter_id)

    async def of_job(self, tenant_id: str, job_id: UUID) -> Sequence[ErrorView] | None:
        return None

    async def recent(self, *, since: datetime, stage: str | None, limit: int) -> Sequence[ErrorView]:
        hold(since, stage, limit)
        return []


def told(problem: dict[str, Any]) -> list[str]:
    """Return which parameters or parts of the body a problem names."""
    return [error.get("parameter") or error["pointer"] for error in problem.get("errors", ())]
