"""The reserve decision, pure: what the ledger answers to each reservation, given what was read under locks.

Items are decided in order; what one is granted counts against the next. The fast path in Postgres
(``reserve_try_1``) accepts exactly the batches that this accepts whole.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from common.ports import Reservation, ReserveDecision, ReserveKind, StoredAnswer
from persistence.postgres.states import AttemptState, JobState

LEASE_EXPIRED = "lease_expired"
BUDGET_EXHAUSTED = "budget_exhausted"

AttemptKey = tuple[UUID, str, int]


@dataclass(frozen=True, slots=True)
class JobFacts:
    """A job as read under its lock. ``expired``: its deadline has passed, in Postgres time."""

    state: JobState
    expired: bool
    held: bool


@dataclass(frozen=True, slots=True)
class AttemptFacts:
    """A ledger row as read under its lock. ``lease_until``: Unix seconds, None when the lease has ended."""

    attempt: int
    state: AttemptState
    worker: UUID
    lease_until: float | None
    reserved_nanos: int
    budget_ids: tuple[int, ...]
    deployment: str
    raw: bytes | None
    final: bool
    error_code: str | None


@dataclass(slots=True)
class BudgetFacts:
    """A budget as read under its lock; ``settled`` and ``reserved`` move as the batch is decided."""

    budget_id: int
    tenant_id: str
    scope: str
    scope_key: str
    limit_nanos: int
    settled_nanos: int
    reserved_nanos: int


@dataclass(slots=True)
class Decided:
    """What is to be written: attempts granted, attempts abandoned by dead workers, budgets moved, holds."""

    decisions: list[ReserveDecision] = field(default_factory=list)
    granted: list[tuple[Reservation, int, tuple[int, ...]]] = field(default_factory=list)
    abandoned: list[tuple[AttemptKey, AttemptFacts]] = field(default_factory=list)
    held: list[tuple[Reservation, str]] = field(default_factory=list)
    released: set[UUID] = field(default_factory=set)


def scopes_of(item: Reservation) -> list[tuple[str, str, str]]:
    """Return (tenant, scope, key) of every budget that may apply to a reservation."""
    ref = item.ref
    scopes = [
        (ref.tenant_id, "tenant", ""),
        (ref.tenant_id, "recipe", ref.recipe.partition("@")[0]),
    ]
    if ref.batch_id is not None:
        scopes.append((ref.tenant_id, "batch", str(ref.batch_id)))
    if ref.budgeted:
        scopes.append((ref.tenant_id, "job", str(ref.job_id)))
    return scopes


def decide(
    items: Iterable[Reservation],
    jobs: Mapping[UUID, JobFacts],
    attempts: Mapping[AttemptKey, Mapping[int, AttemptFacts]],
    budgets: Iterable[BudgetFacts],
    worker: UUID,
) -> Decided:
    """Decide a micro-batch. Budgets are moved in place."""
    by_scope: dict[tuple[str, str, str], list[BudgetFacts]] = {}
    for budget in budgets:
        by_scope.setdefault((budget.tenant_id, budget.scope, budget.scope_key), []).append(budget)
    by_id = {b.budget_id: b for found in by_scope.values() for b in found}
    decided = Decided()
    taken: set[tuple[AttemptKey, int]] = set()
    for item in items:
        job = jobs.get(item.ref.job_id)
        key = (item.ref.job_id, item.ref.step, item.ref.item)
        if job is None or job.state is not JobState.OPEN:
            decided.decisions.append(ReserveDecision(ReserveKind.CLOSED, item.ref.attempt))
            continue
        attempt, answer = _walk(item, attempts.get(key, {}), worker, by_id, decided)
        if answer is None and (key, attempt) in taken:
            answer = ReserveDecision(ReserveKind.IN_FLIGHT, attempt)
        if answer is None and job.expired:
            answer = ReserveDecision(ReserveKind.EXPIRED, attempt)
        if answer is None:
            answer = _spend(item, attempt, by_scope, decided, held_before=job.held)
        if answer.kind is ReserveKind.GRANTED:
            taken.add((key, attempt))
        decided.decisions.append(answer)
    return decided


def _walk(
    item: Reservation,
    rows: Mapping[int, AttemptFacts],
    worker: UUID,
    budgets: Mapping[int, BudgetFacts],
    decided: Decided,
) -> tuple[int, ReserveDecision | None]:
    """Follow the ledger from the attempt asked for to the one to be made, or to what is already there."""
    attempt = item.ref.attempt
    while (row := rows.get(attempt)) is not None:
        if row.state is AttemptState.ANSWERED:
            stored = StoredAnswer(row.deployment, row.raw or b"")
            return attempt, ReserveDecision(ReserveKind.ANSWERED, attempt, answer=stored)
        if row.state is AttemptState.RESERVED:
            if row.worker == worker:
                return attempt, ReserveDecision(ReserveKind.IN_FLIGHT, attempt)
            if row.lease_until is not None:
                return attempt, ReserveDecision(ReserveKind.LEASED, attempt, until=row.lease_until)
            # Its worker died: it may have been sent, so it is charged whole, and the step goes on.
            decided.abandoned.append(((item.ref.job_id, item.ref.step, item.ref.item), row))
            for budget_id in row.budget_ids:
                if (budget := budgets.get(budget_id)) is not None:
                    budget.reserved_nanos -= row.reserved_nanos
                    budget.settled_nanos += row.reserved_nanos
        elif row.final:
            reason = row.error_code or "unknown"
            return attempt, ReserveDecision(ReserveKind.FAILED, attempt, reason=reason)
        elif row.error_code != LEASE_EXPIRED:
            return attempt, ReserveDecision(ReserveKind.SUPERSEDED, attempt)
        attempt += 1
    if attempt > item.max_attempts:
        return attempt, ReserveDecision(ReserveKind.FAILED, attempt, reason="attempts_exhausted")
    return attempt, None


def _spend(
    item: Reservation,
    attempt: int,
    by_scope: Mapping[tuple[str, str, str], list[BudgetFacts]],
    decided: Decided,
    *,
    held_before: bool,
) -> ReserveDecision:
    budgets = [b for scope in scopes_of(item) for b in by_scope.get(scope, ())]
    for budget in budgets:
        if budget.settled_nanos + item.amount_nanos > budget.limit_nanos:
            reason = (
                f"{BUDGET_EXHAUSTED}: the {budget.scope} budget of {_usd(budget.limit_nanos)} USD has"
                f" {_usd(max(0, budget.limit_nanos - budget.settled_nanos))} left; this call may cost up to"
                f" {_usd(item.amount_nanos)}"
            )
            decided.held.append((item, reason))
            return ReserveDecision(ReserveKind.HELD, attempt, reason=reason)
    for budget in budgets:
        if budget.settled_nanos + budget.reserved_nanos + item.amount_nanos > budget.limit_nanos:
            return ReserveDecision(ReserveKind.WAIT, attempt, reason=f"{budget.scope} budget: calls in flight")
    for budget in budgets:
        budget.reserved_nanos += item.amount_nanos
    decided.granted.append((item, attempt, tuple(sorted(b.budget_id for b in budgets))))
    if held_before:
        decided.released.add(item.ref.job_id)
    return ReserveDecision(ReserveKind.GRANTED, attempt)


def _usd(nanos: int) -> str:
    return f"{nanos / 1_000_000_000:.6f}".rstrip("0").rstrip(".")
