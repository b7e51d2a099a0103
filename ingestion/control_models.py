"""What the API takes and gives about money and control, as models: budgets, usage, operations on many jobs."""

from datetime import UTC, date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from common.contracts import Lane
from common.control_ports import Action, BudgetScope, UsageGroup, Window
from ingestion.models import JobState

_USD = r"^-?\d+\.\d{9}$"


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise PydanticCustomError("time_without_offset", "needs an offset, such as Z")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("time_out_of_range", "must be within the years 1 to 9999 of UTC") from None


_Moment = Annotated[datetime, AfterValidator(_in_utc)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class BudgetRequest(_Model):
    """A limit to set. What is settled and reserved already stays."""

    tenant: str | None = Field(default=None, min_length=1, max_length=200, description="default: the key's own")
    scope: BudgetScope
    key: str = Field(
        default="", max_length=200, description="a recipe's name (all its versions), or the id of a batch or a job"
    )
    window: Window = Field(default=Window.TOTAL, description="over what time it counts; days and months are UTC's")
    limit_usd: str = Field(max_length=64, description="decimal US dollars, at most 9 places; 0 stops what costs")


class Budget(_Model):
    """A limit, and how it stands in its present window."""

    tenant: str
    scope: BudgetScope
    key: str
    window: Window
    limit_usd: str = Field(pattern=_USD)
    settled_usd: str = Field(pattern=_USD, description="what ended calls have cost in this window")
    reserved_usd: str = Field(pattern=_USD, description="the most that calls in flight may cost")
    available_usd: str = Field(
        pattern=_USD, description="what is left for new calls; negative if the limit was lowered"
    )
    held_jobs: int = Field(description="jobs on hold until this budget has room")
    window_end: datetime | None = Field(description="when it begins anew; null: never")
    created_at: datetime


class BudgetPage(_Model):
    """Budgets in the order in which they were made."""

    budgets: list[Budget]
    next_after: int | None = Field(description="give it as `after` for the next page; null: there is none")


class BudgetRemoved(_Model):
    """The limit is gone. Jobs that waited for it go on by themselves."""

    removed: Literal[True]


class UsageEntry(_Model):
    """Calls that have ended, summed. What it is not grouped by is null."""

    tenant: str | None
    recipe: str | None = Field(description="name@version")
    day: date | None = Field(description="UTC day on which the calls ended")
    attempts: int
    answered: int
    failed: int = Field(description="known not to be billed, or refused")
    unknown: int = Field(description="maybe billed, never answered: charged the most they can have cost")
    rebought: int = Field(description="calls made again because the worker of the first died in it")
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost_usd: str = Field(pattern=_USD)
    estimated_usd: str = Field(pattern=_USD, description="the part of the cost that is of unknown calls")


class UsageList(_Model):
    """Usage of these days, both included."""

    first: date
    last: date
    group_by: list[UsageGroup]
    usage: list[UsageEntry]


class OperationFilter(_Model):
    """Which jobs: all given conditions hold. At least one must be given."""

    state: JobState | None = None
    recipe: str | None = Field(default=None, min_length=1, max_length=200, description="name or name@version")
    lane: Lane | None = None
    batch_id: UUID | None = None
    tag: str | None = Field(default=None, min_length=1, max_length=64)
    created_before: _Moment | None = Field(default=None, description="RFC 3339 with offset")
    created_after: _Moment | None = Field(default=None, description="RFC 3339 with offset")


class OperationRequest(_Model):
    """An action on many jobs, done in the background."""

    action: Action
    filter: OperationFilter


class OperationLinks(_Model):
    """Where to follow it."""

    self: str


class Operation(_Model):
    """How far an action on many jobs is."""

    id: UUID
    action: Action
    filter: OperationFilter
    state: Literal["running", "done"]
    scanned: int = Field(description="jobs looked at so far")
    matched: int = Field(description="of them, those that the filter means")
    changed: int = Field(description="of those, the ones for which there was something to do")
    created_at: datetime
    finished_at: datetime | None
    links: OperationLinks
