"""Ports of money and control, as protocols that ``persistence`` implements: budgets, usage, and what is done to jobs.

Every method may raise DatabaseUnavailable; repeating it is safe.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from common.ports import JobView


class BudgetScope(StrEnum):
    """What a budget counts: all of a tenant, one recipe by name, one batch, one job."""

    TENANT = "tenant"
    RECIPE = "recipe"
    BATCH = "batch"
    JOB = "job"


class Window(StrEnum):
    """Over what time a budget's limit counts. Days and months are UTC's."""

    TOTAL = "total"
    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class BudgetKey:
    """Names one budget. ``key``: empty for a tenant, a recipe's name, or the id of a batch or job."""

    tenant_id: str
    scope: BudgetScope
    key: str
    window: Window


@dataclass(frozen=True, slots=True)
class BudgetView:
    """One budget in its present window; ``window_end`` None: it never ends. ``held_jobs`` wait for it."""

    budget_id: int
    key: BudgetKey
    limit_nanos: int
    settled_nanos: int
    reserved_nanos: int
    held_jobs: int
    window_end: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class BudgetFilter:
    """Which budgets to list. Those of single jobs only when asked for."""

    tenant_id: str | None = None
    scope: BudgetScope | None = None
    key: str | None = None
    window: Window | None = None


class Budgets(Protocol):
    """What operators set and see. A limit that is raised, or a budget removed, releases held jobs by itself."""

    async def budgets(self, wanted: BudgetFilter, *, after: int, limit: int) -> Sequence[BudgetView]: ...

    async def put(self, key: BudgetKey, limit_nanos: int) -> BudgetView | None: ...

    async def remove(self, key: BudgetKey) -> bool: ...


class UsageGroup(StrEnum):
    """What usage may be told apart by."""

    TENANT = "tenant"
    RECIPE = "recipe"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class UsageRow:
    """Calls that have ended, summed. ``unknown`` ones are charged whole: ``estimated_nanos`` of the cost.

    ``rebought``: calls made again because the worker of the first died (they are in ``attempts`` too, once ended).
    """

    tenant_id: str | None
    recipe: str | None
    day: date | None
    attempts: int
    answered: int
    failed: int
    unknown: int
    rebought: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost_nanos: int
    estimated_nanos: int


class Usage(Protocol):
    """What was used, by the UTC day on which calls ended."""

    async def usage(
        self, tenant_id: str | None, first: date, last: date, group_by: frozenset[UsageGroup]
    ) -> Sequence[UsageRow]: ...


class Action(StrEnum):
    """What can be done to jobs."""

    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs an operation is for: all given conditions hold."""

    state: str | None = None
    recipe: str | None = None
    lane: str | None = None
    batch_id: UUID | None = None
    tag: str | None = None
    created_before: datetime | None = None
    created_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class OperationView:
    """An action on many jobs: how many it has looked at, how many of them were meant, how many it changed."""

    operation_id: UUID
    action: Action
    filter: JobFilter
    scanned: int
    matched: int
    changed: int
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Retried:
    """What a retry came to. ``job``: the new job, or the one that another retry has made and that is not lost yet.

    None: there was nothing to retry, for the job is ``state``.
    """

    state: str
    job: JobView | None
    created: bool = False


class JobControl(Protocol):
    """What is done to jobs. Everything is the tenant's own; another's is not there (None)."""

    async def pause(self, tenant_id: str, job_id: UUID) -> JobView | None: ...

    async def resume(self, tenant_id: str, job_id: UUID) -> JobView | None: ...

    async def retry(self, tenant_id: str, job_id: UUID) -> Retried | None: ...

    async def begin(self, tenant_id: str, action: Action, wanted: JobFilter) -> OperationView: ...

    async def operation(self, tenant_id: str, operation_id: UUID) -> OperationView | None: ...
