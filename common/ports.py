"""Ports: what the stages need of Postgres, as protocols that ``persistence`` implements; composition roots bind them.

Every method may raise DatabaseUnavailable; its caller waits and repeats, which is safe: each effect has a unique key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol
from uuid import UUID

from common.contracts import Lane, StepRef
from common.pipeline import Topic

# --- parking and dead letters (every stage) -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ParkedMessage:
    """A message set aside until ``not_before`` (Unix seconds; None: until it is released on command)."""

    message_id: UUID
    job_id: UUID
    tenant_id: str
    topic: Topic
    body: bytes
    not_before: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that no stage can handle, kept with its bytes. Keyed by where it stood."""

    stage: str
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    reason: str
    exception: str
    job_id: UUID | None


@dataclass(frozen=True, slots=True)
class ErrorNote:
    """Failures of one kind in one stage since the last note; ``job_id`` None: of servers, no job's fault."""

    job_id: UUID | None
    stage: str
    kind: str
    detail: str
    count: int


@dataclass(frozen=True, slots=True)
class Payload:
    """A message that is too large to travel: a reference to it does."""

    payload_id: UUID
    job_id: UUID
    body: bytes


class Parking(Protocol):
    """Sets messages aside (for a while, or as dead letters), keeps the bytes of large ones, and logs errors."""

    async def park(self, messages: Sequence[ParkedMessage]) -> None: ...

    async def set_aside(self, letters: Sequence[DeadLetter]) -> None: ...

    async def waiting_letters(self, stage: str, most: int) -> int: ...

    async def keep_payloads(self, payloads: Sequence[Payload]) -> None: ...

    async def payloads(self, ids: Sequence[UUID]) -> Mapping[UUID, bytes]: ...

    async def note_errors(self, notes: Sequence[ErrorNote]) -> None: ...


class InputStore(Protocol):
    """Gives inputs back by job, as many at a time as memory allows, and one at least."""

    async def inputs(self, job_ids: Sequence[UUID]) -> Mapping[UUID, bytes]: ...


class RecipeBundles(Protocol):
    """Recipe bundles by content hash, for versions that are no longer in a folder."""

    async def bundle(self, content_hash: str) -> Mapping[str, str] | None: ...


# --- the ledger (model layer) -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reservation:
    """One attempt about to be made: what it is for and the most it can cost (nano-USD).

    ``body`` is the message that asks for it, kept should a budget hold the job.
    """

    ref: StepRef
    max_attempts: int
    deployment: str
    model: str
    price_version: str
    prompt_hash: str
    amount_nanos: int
    body: bytes


class ReserveKind(StrEnum):
    """What the ledger answered to one reservation."""

    GRANTED = "granted"
    ANSWERED = "answered"
    FAILED = "failed"
    IN_FLIGHT = "in-flight"
    LEASED = "leased"
    SUPERSEDED = "superseded"
    CLOSED = "closed"
    EXPIRED = "expired"
    HELD = "held"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer the ledger already has: the raw bytes as received, and which deployment gave them."""

    deployment: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class ReserveDecision:
    """The ledger's answer.

    GRANTED: call now, as attempt ``attempt``; ``rebought``: the attempt before it died with its worker and may be
    paid for too. ANSWERED: do not call, ``answer`` is there. FAILED: the last attempt allowed has failed,
    ``reason`` is its error code. IN_FLIGHT: this very worker is calling already. LEASED: another live worker
    is, until ``until`` (Unix seconds). SUPERSEDED: this attempt failed and its successor is on its way. CLOSED:
    the job has ended. EXPIRED: its deadline has passed. HELD: a budget is exhausted or the job is paused (the hold
    is committed). WAIT: outstanding reservations stand in the way; try again.

    ``unused``: an attempt that this very worker has reserved, and that an answer or the end of the job has overtaken.
    ``uncalled``: attempts from the one asked for on that were given back so, and were never called.
    """

    kind: ReserveKind
    attempt: int
    answer: StoredAnswer | None = None
    until: float | None = None
    reason: str | None = None
    rebought: bool = False
    unused: int | None = None
    uncalled: int = 0


class Outcome(StrEnum):
    """How an attempt ended."""

    ANSWERED = "answered"
    FAILED = "failed"
    UNKNOWN = "unknown"


NOT_CALLED: Final = "not_called"
"""The error code of an attempt that was reserved and never called: the ledger goes on behind it."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """How one attempt ended, what it really cost, and the raw bytes that prove it.

    ``retry`` is the successor's message, parked in the same transaction; without one, an attempt that was not
    answered is the last.
    """

    ref: StepRef
    attempt: int
    outcome: Outcome
    cost_nanos: int
    raw: bytes | None = None
    model_served: str | None = None
    request_id: str | None = None
    finish_reason: str | None = None
    error_code: str | None = None
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    latency_ms: int = 0
    retry: ParkedMessage | None = None


class Ledger(Protocol):
    """Every paid call: a row committed before it is made, its raw answer before anything is made of it."""

    async def reserve(self, items: Sequence[Reservation]) -> Sequence[ReserveDecision]: ...

    async def settle(self, items: Sequence[Settlement]) -> None: ...

    async def renew_lease(self) -> None: ...


# --- the job API (ingestion) ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling: one API key of one tenant."""

    tenant_id: str
    key_id: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class NewJob:
    """One accepted job on its way into Postgres. ``input`` is the JSON as received, byte for byte."""

    job_id: UUID
    tenant_id: str
    recipe: str
    recipe_hash: str
    step: str
    lane: Lane
    input: bytes
    deadline: datetime | None = None
    budget_nanos: int | None = None
    tags: tuple[str, ...] = ()
    batch_id: UUID | None = None
    traceparent: str | None = None
    retry_of: UUID | None = None


@dataclass(frozen=True, slots=True)
class IdempotencyClaim:
    """A caller's key and the hash of what it asked for; ``target_id`` is the job or batch it would make."""

    tenant_id: str
    key: str
    body_hash: bytes
    target_id: UUID


@dataclass(frozen=True, slots=True)
class Submission:
    """One POST: one job, or a batch of them, all or nothing."""

    jobs: tuple[NewJob, ...]
    claim: IdempotencyClaim | None = None
    batch_id: UUID | None = None


class SubmitKind(StrEnum):
    """What became of a submission."""

    CREATED = "created"
    REPEATED = "repeated"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class SubmitResult:
    """CREATED or REPEATED (same key, same body): ``target_id`` stands. CONFLICT: same key, other body."""

    kind: SubmitKind
    target_id: UUID


@dataclass(frozen=True, slots=True)
class JobView:
    """One job as the API shows it."""

    job_id: UUID
    tenant_id: str
    state: str
    recipe: str
    lane: Lane
    revision: int
    created_at: datetime
    finished_at: datetime | None
    batch_id: UUID | None
    tags: tuple[str, ...]
    deadline: datetime | None
    budget_nanos: int | None
    attempts: int
    cost_nanos: int
    input_tokens: int
    output_tokens: int
    hold_reason: str | None
    failure_code: str | None
    failure_detail: str | None
    output: bytes | None
    lineage: Mapping[str, Any] | None
    retry_of: UUID | None = None


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One row of the ledger as the API shows it."""

    step: str
    item: int
    attempt: int
    state: str
    deployment: str
    model: str
    model_served: str | None
    prompt_hash: str
    reserved_nanos: int
    cost_nanos: int | None
    price_version: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    latency_ms: int | None
    finish_reason: str | None
    error_code: str | None
    request_id: str | None
    verdict: str | None
    violations: Sequence[Mapping[str, Any]]
    extraction: Mapping[str, Any] | None
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class BatchView:
    """One batch: how many of its jobs are in which state."""

    batch_id: UUID
    tenant_id: str
    total: int
    states: Mapping[str, int]
    created_at: datetime
    cost_nanos: int


class JobStore(Protocol):
    """Accepts, shows, lists (some, and the id before which more may be) and cancels jobs, a tenant's own alone."""

    async def submit(self, submissions: Sequence[Submission]) -> Sequence[SubmitResult]: ...

    async def claimed(self, claim: IdempotencyClaim) -> SubmitResult | None: ...

    async def job(self, tenant_id: str, job_id: UUID) -> JobView | None: ...

    async def jobs(
        self, tenant_id: str, *, state: str | None, recipe: str | None, before: UUID | None, limit: int
    ) -> tuple[Sequence[JobView], UUID | None]: ...

    async def batch(self, tenant_id: str, batch_id: UUID) -> BatchView | None: ...

    async def attempts(self, tenant_id: str, job_id: UUID) -> Sequence[AttemptView] | None: ...

    async def cancel(self, tenant_id: str, job_id: UUID) -> JobView | None: ...


class KeyStore(Protocol):
    """API keys by the SHA-256 of their secret."""

    async def principal(self, key_hash: bytes) -> Principal | None: ...


class RecipeRegistry(Protocol):
    """Publishes recipe versions once. Raises RecipeError where a published version would change."""

    async def publish(self, name: str, version: str, content_hash: str, bundle: Mapping[str, str]) -> None: ...


class JobEndings(Protocol):
    """Tells when jobs end, for long polls. Best effort: who waits also looks from time to time."""

    async def wait(self, job_id: UUID, timeout_s: float) -> bool: ...


class HealthProbe(Protocol):
    """One dependency a service really needs. Raises InfrastructureError with the reason when it is away."""

    @property
    def name(self) -> str: ...

    async def check(self) -> None: ...
