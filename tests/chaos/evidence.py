"""What a run leaves behind, as values: what clients were told, what the API and the topics say, which calls came in.

Times are Unix seconds of one machine's clock. Money is nano-USD.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

TERMINAL = frozenset({"succeeded", "failed", "cancelled", "expired"})


@dataclass(frozen=True, slots=True)
class Accepted:
    """One 202: the job a client was promised. ``marker`` is the client's own name for it."""

    marker: str
    job_id: str
    at: float
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A cancel that was answered with 200: the job is cancelled from then on."""

    job_id: str
    at: float


@dataclass(frozen=True, slots=True)
class Paused:
    """A pause: from its confirmation until the resume was asked for."""

    job_id: str
    since: float
    until: float


@dataclass(frozen=True, slots=True)
class JobSeen:
    """One job as ``GET /jobs/{id}`` shows it."""

    job_id: str
    state: str
    output: Any = None
    revision: int = 2
    cost_nanos: int = 0
    hold_reason: str | None = None
    failure_code: str | None = None
    finished_at: float | None = None


@dataclass(frozen=True, slots=True)
class AttemptSeen:
    """One row of the ledger as ``GET /jobs/{id}/attempts`` shows it. ``request_id`` names the call."""

    job_id: str
    attempt: int
    state: str
    started_at: float
    ended_at: float | None
    reserved_nanos: int
    cost_nanos: int | None
    request_id: str | None = None
    error_code: str | None = None


@dataclass(frozen=True, slots=True)
class OutputSeen:
    """One record of the outputs topic, read committed."""

    job_id: str
    record_id: str
    partition: int
    offset: int
    output: Any
    revision: int = 2


@dataclass(frozen=True, slots=True)
class EventSeen:
    """One record of the events topic, read committed."""

    job_id: str
    record_id: str
    partition: int
    offset: int
    kind: str
    sequence: int
    terminal: bool


@dataclass(frozen=True, slots=True)
class CallSeen:
    """One call as the model server's log has it. ``whole``: its answer went out complete."""

    call_id: str
    marker: str
    number: int
    at: float
    fault: str
    whole: bool
    cost_nanos: int = 0
    output: Any = None


@dataclass(frozen=True, slots=True)
class FaultSeen:
    """One fault of the nemesis: what was done to whom, from when to when."""

    action: str
    target: str
    at: float
    until: float


@dataclass(frozen=True, slots=True)
class BudgetSeen:
    """One budget as ``GET /budgets`` shows it."""

    scope: str
    key: str
    settled_nanos: int
    reserved_nanos: int


@dataclass(frozen=True, slots=True)
class UsageSeen:
    """What ``GET /usage`` sums up for the whole run."""

    attempts: int
    rebought: int
    cost_nanos: int


@dataclass(frozen=True, slots=True)
class Interval:
    """From one confirmed moment to the next request."""

    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything the checker may know.

    ``broke``: when the tenant's budget was 0. ``documents``: search documents by job; None: search was not running.
    """

    accepted: Sequence[Accepted]
    cancelled: Sequence[Cancelled]
    jobs: Mapping[str, JobSeen]
    attempts: Mapping[str, Sequence[AttemptSeen]]
    outputs: Sequence[OutputSeen]
    events: Sequence[EventSeen]
    calls: Sequence[CallSeen]
    faults: Sequence[FaultSeen] = ()
    pauses: Sequence[Paused] = ()
    broke: Sequence[Interval] = ()
    budgets: Sequence[BudgetSeen] = ()
    usage: UsageSeen | None = None
    dead_letters: Sequence[str] = ()
    strangers: Sequence[str] = ()
    documents: Mapping[str, Any] | None = None
    sampled: frozenset[str] = field(default_factory=frozenset)
