"""What the API takes and gives, as models: the source of the OpenAPI document and of the tests that hold answers to it.

Nothing is validated with them on the way out. Money is decimal US dollars in strings, times are RFC 3339.
"""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from common.contracts import Lane, Lineage
from ingestion.admission import LONGEST_RECIPE, LONGEST_TTL_S, MOST_TAGS

JobState = Literal["queued", "running", "held", "succeeded", "failed", "cancelled", "expired"]
TERMINAL: frozenset[str] = frozenset({"succeeded", "failed", "cancelled", "expired"})

_USD = r"^-?\d+\.\d{9}$"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class JobRequest(_Model):
    """One run of one recipe on one input."""

    recipe: str = Field(
        min_length=1, max_length=LONGEST_RECIPE, description="`name` (its newest version) or `name@version`"
    )
    input: Any = Field(description="JSON that satisfies the recipe's input schema; kept byte for byte")
    lane: Lane = Field(default=Lane.STANDARD, description="service class")
    deadline: datetime | None = Field(
        default=None, description="RFC 3339 with offset, in the future, within 366 days: no model call starts after it"
    )
    ttl_seconds: int | None = Field(
        default=None, ge=1, le=LONGEST_TTL_S, description="the deadline as seconds from now; not beside `deadline`"
    )
    budget_usd: str | float | None = Field(
        default=None, description="the most this job may cost: more than 0, at most 9 decimal places"
    )
    tags: list[str] = Field(default=[], max_length=MOST_TAGS, description="1 to 64 characters each")


class JobLinks(_Model):
    """Where to go from a job."""

    self: str
    attempts: str
    cancel: str


class JobAccepted(_Model):
    """A job that is committed. A repeated submission tells the job's state of now."""

    id: UUID
    state: JobState
    recipe: str = Field(description="name@version")
    links: JobLinks


class BatchLinks(_Model):
    """Where to go from a batch."""

    self: str


class BatchAccepted(_Model):
    """A batch that is committed, with the ids of its jobs in the order they were sent."""

    id: UUID
    total: int
    jobs: list[UUID]
    links: BatchLinks


class JobFailure(_Model):
    """Why a job failed; `code` is stable."""

    code: str
    detail: str | None


class JobUsage(_Model):
    """Tokens over all attempts."""

    input_tokens: int
    output_tokens: int


class JobSummary(_Model):
    """One job, without its output."""

    id: UUID
    state: JobState
    recipe: str
    lane: Lane
    revision: int = Field(description="rises with each change of state")
    batch_id: UUID | None
    tags: list[str]
    created_at: datetime
    finished_at: datetime | None
    deadline: datetime | None
    budget_usd: str | None = Field(pattern=_USD)
    attempts: int = Field(description="every call tried, refusals that cost nothing included")
    cost_usd: str = Field(pattern=_USD)
    usage: JobUsage
    hold_reason: str | None
    failure: JobFailure | None
    retry_of: UUID | None = Field(description="the job that this one runs again")
    links: JobLinks


class Job(JobSummary):
    """One job with its output, once it has succeeded."""

    output: Any = Field(description="valid under the recipe's output schema; null until the job succeeded")
    lineage: Lineage | None


class JobPage(_Model):
    """Jobs, newest first."""

    jobs: list[JobSummary]
    next_cursor: str | None = Field(description="give it as `cursor` for the next page; null: there is none")


class Batch(_Model):
    """How many jobs of a batch are in which state."""

    id: UUID
    total: int
    states: dict[str, int] = Field(description="`open` counts queued and running")
    cost_usd: str = Field(pattern=_USD)
    created_at: datetime
    links: BatchLinks


class AttemptViolation(BaseModel):
    """One fault of an answer."""

    pointer: str
    keyword: str
    message: str


class AttemptRepair(_Model):
    """One thing done to an answer to get at its value; ``docs/validation.md`` lists the kinds."""

    kind: str
    start: int = Field(description="first character of the answer it concerns")
    end: int = Field(description="the character behind the last")
    pointer: str | None = Field(default=None, description="where a value was read as the schema demands")


class AttemptExtraction(_Model):
    """How the value was got out of the answer."""

    strict: bool = Field(description="the answer itself was strictly valid JSON")
    confidence: str = Field(description="strict, lossless-repair or lossy-repair")
    repairs: list[AttemptRepair] = Field(description="at most the first twenty")
    candidates: int = Field(description="parts of the answer that were considered")
    reason: str = Field(description="why the chosen one won, or why none did")


class Attempt(_Model):
    """One call that was tried, as the ledger has it."""

    step: str
    item: int
    attempt: int
    state: str = Field(description="reserved, answered, failed or unknown")
    verdict: str | None
    deployment: str
    model: str
    model_served: str | None
    prompt_hash: str
    reserved_usd: str = Field(pattern=_USD)
    cost_usd: str | None = Field(pattern=_USD)
    price_version: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    latency_ms: int | None
    finish_reason: str | None
    error_code: str | None
    request_id: str | None = Field(description="the provider's")
    violations: list[AttemptViolation]
    extraction: AttemptExtraction | None = Field(description="null where no answer was judged")
    started_at: datetime
    ended_at: datetime | None


class AttemptList(_Model):
    """The ledger of one job."""

    attempts: list[Attempt]


class RecipeSummary(_Model):
    """One version of one recipe."""

    name: str
    version: str
    reference: str = Field(description="name@version")
    description: str
    content_hash: str
    newest: bool = Field(description="whether the bare name means this version")


class RecipeDetail(RecipeSummary):
    """One version with its schemas."""

    input_schema: Any
    output_schema: Any


class RecipeList(_Model):
    """The recipes there are."""

    recipes: list[RecipeSummary]


class RecipeVersions(_Model):
    """All versions of one recipe, newest first."""

    name: str
    versions: list[RecipeDetail]


class Hit(_Model):
    """One output that matches, best first. `highlights` are parts of its texts with matches in `<em>`."""

    job_id: UUID
    recipe: str
    score: float
    output: Any
    highlights: list[str]
    finished_at: str
    links: JobLinks


class SearchResult(_Model):
    """Outputs that match."""

    total: int
    hits: list[Hit]


class Dependency(_Model):
    """How one dependency answers."""

    state: Literal["up", "down", "not-configured"]
    needed: bool = Field(description="without it nothing is accepted")
    reason: str | None = None


class ServiceHealth(_Model):
    """`ok`: all answer. `degraded`: jobs are accepted. `unavailable`: they are not."""

    status: Literal["ok", "degraded", "unavailable"]
    dependencies: dict[str, Dependency]


class ProblemFault(BaseModel):
    """One place that is wrong: a JSON Pointer into the body, or the name of a parameter."""

    pointer: str | None = None
    parameter: str | None = None
    detail: str
    keyword: str | None = Field(default=None, description="JSON Schema keyword, or kind of the fault")
    index: int | None = Field(default=None, description="batches: the job's place, from 0")
    line: int | None = Field(default=None, description="NDJSON: the line, from 1")


class ProblemDocument(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="stable; see docs/api.md")
    request_id: str
    errors: list[ProblemFault] | None = None
    errors_omitted: int | None = None
