"""The reserve decision, pure: what the ledger answers to each reservation, given what was read under locks.

Items are decided in order; what one is granted counts against the next. The fast path in Postgres
(``reserve_try_3``) accepts exactly the batches that this accepts whole.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from common.ports import NOT_CALLED, Reservation, ReserveDecision, ReserveKind, StoredAnswer
from persistence.postgres.states import AttemptState, HoldKind, JobState

LEASE_EXPIRED = "lease_expired"
BUDGET_EXHAUSTED = "budget_exhausted"
PAUSED = "paused"

AttemptKey = tuple[UUID, str, int]


@dataclass(frozen=True, slots=True)
class JobFacts:
    """A job as read under its lock. ``expired``: its deadline has passed, in Postgres time."""

    state: JobState
    expired: bool
    held: bool
    paused: bool = False


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
    """A budget as read under its lock, in its present window; the amounts move as the batch is decided.

    ``ends_at``: when the window ends, None for a total.
    """

    budget_id: int
    tenant_id: str
    scope: str
    scope_key: str
    limit_nanos: int
    settled_nanos: int
    reserved_nanos: int
    window: str = "total"
    ends_at: datetime | None = None

    def spent_up(self, amount_nanos: int) -> bool:
        """Return whether settled spend alone leaves no room for the amount."""
        return self.settled_nanos + amount_nanos > self.limit_nanos

    def taken_up(self, amount_nanos: int) -> bool:
        """Return whether settled spend and outstanding reservations leave no room for the amount."""
        return self.settled_nanos + self.reserved_nanos + amount_nanos > self.limit_nanos


@dataclass(frozen=True, slots=True)
class Held:
    """A reservation that is set aside, and the budget in whose way it stands."""

    item: Reservation
    kind: HoldKind
    reason: str
    budget_id: int | None = None


@dataclass(slots=True)
class Decided:
    """What is to be written: attempts granted and abandoned, budgets moved, holds made and ended.

    ``abandoned``: reserved by workers that died; they may have been sent, so they are charged whole.
    ``rebought``: granted after an abandoned attempt of the same step: maybe paid for twice (P3).
    """

    decisions: list[ReserveDecision] = field(default_factory=list)
    granted: list[tuple[Reservation, int, tuple[int, ...]]] = field(default_factory=list)
    abandoned: list[tuple[Reservation, AttemptFacts]] = field(default_factory=list)
    rebought: list[Reservation] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    released: list[Reservation] = field(default_factory=list)


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
        rows = attempts.get(key, {})
        attempt, answer, uncalled = _walk(item, rows, worker, by_id, decided)
        if job is None or job.state is not JobState.OPEN:
            answer = ReserveDecision(ReserveKind.CLOSED, item.ref.attempt, unused=_unused(rows, worker))
        if answer is None and (key, attempt) in taken:
            answer = ReserveDecision(ReserveKind.IN_FLIGHT, attempt)
        if answer is None and job is not None:
            answer = _admit(item, attempt, job, by_scope, decided)
        assert answer is not None  # noqa: S101 - a job that is not there is CLOSED above
        if answer.kind is ReserveKind.GRANTED:
            taken.add((key, attempt))
            if _follows_abandoned(key, attempt, attempts, decided):
                decided.rebought.append(item)
                answer = ReserveDecision(ReserveKind.GRANTED, attempt, rebought=True)
        if uncalled:
            answer = replace(answer, uncalled=uncalled)
        decided.decisions.append(answer)
    return decided


def _walk(
    item: Reservation,
    rows: Mapping[int, AttemptFacts],
    worker: UUID,
    budgets: Mapping[int, BudgetFacts],
    decided: Decided,
) -> tuple[int, ReserveDecision | None, int]:
    """Follow the ledger from the attempt asked for to the one to be made, or to what is already there.

    Returns its number, the answer if it is there, and how many attempts on the way were never called.
    """
    attempt, uncalled = item.ref.attempt, 0
    while (row := rows.get(attempt)) is not None:
        found = None
        if row.state is AttemptState.ANSWERED:
            stored = StoredAnswer(row.deployment, row.raw or b"")
            unused = _unused(rows, worker)
            found = ReserveDecision(ReserveKind.ANSWERED, attempt, answer=stored, unused=unused)
        elif row.state is AttemptState.RESERVED and row.worker == worker:
            found = ReserveDecision(ReserveKind.IN_FLIGHT, attempt)
        elif row.state is AttemptState.RESERVED and row.lease_until is not None:
            found = ReserveDecision(ReserveKind.LEASED, attempt, until=row.lease_until)
        elif row.state is AttemptState.RESERVED:
            _abandon(item, row, budgets, decided)
        elif row.error_code == NOT_CALLED:
            uncalled += 1
        elif row.final:
            found = ReserveDecision(ReserveKind.FAILED, attempt, reason=row.error_code or "unknown")
        elif row.error_code != LEASE_EXPIRED:
            found = ReserveDecision(ReserveKind.SUPERSEDED, attempt)
        if found is not None:
            return attempt, found, uncalled
        attempt += 1
    if attempt - uncalled > item.max_attempts:
        return attempt, ReserveDecision(ReserveKind.FAILED, attempt, reason="attempts_exhausted"), uncalled
    return attempt, None, uncalled


def _unused(rows: Mapping[int, AttemptFacts], worker: UUID) -> int | None:
    """Return what this worker has reserved of a step that needs no call."""
    mine = (row.attempt for row in rows.values() if row.state is AttemptState.RESERVED and row.worker == worker)
    return max(mine, default=None)


def _abandon(item: Reservation, row: AttemptFacts, budgets: Mapping[int, BudgetFacts], decided: Decided) -> None:
    """Its worker died: it may have been sent, so it is charged whole, once, and the step goes on."""
    key = (item.ref.job_id, item.ref.step, item.ref.item)
    if any((i.ref.job_id, i.ref.step, i.ref.item) == key and r.attempt == row.attempt for i, r in decided.abandoned):
        return
    decided.abandoned.append((item, row))
    for budget_id in row.budget_ids:
        if (budget := budgets.get(budget_id)) is not None:
            budget.reserved_nanos -= row.reserved_nanos
            budget.settled_nanos += row.reserved_nanos


def _follows_abandoned(
    key: AttemptKey, attempt: int, attempts: Mapping[AttemptKey, Mapping[int, AttemptFacts]], decided: Decided
) -> bool:
    before = attempts.get(key, {}).get(attempt - 1)
    if before is None:
        return False
    if before.state is AttemptState.RESERVED:
        return any(row is before for _, row in decided.abandoned)
    return before.state is AttemptState.UNKNOWN and before.error_code == LEASE_EXPIRED


def _admit(
    item: Reservation,
    attempt: int,
    job: JobFacts,
    by_scope: Mapping[tuple[str, str, str], list[BudgetFacts]],
    decided: Decided,
) -> ReserveDecision:
    """Decide about a call that is not made yet: the job's own state first, then its budgets."""
    if job.expired:
        return ReserveDecision(ReserveKind.EXPIRED, attempt)
    if job.paused:
        decided.held.append(Held(item, HoldKind.PAUSED, PAUSED))
        return ReserveDecision(ReserveKind.HELD, attempt, reason=PAUSED)
    budgets = [b for scope in scopes_of(item) for b in by_scope.get(scope, ())]
    amount = item.amount_nanos
    exhausted = next((b for b in budgets if b.spent_up(amount)), None)
    if exhausted is not None:
        reason = exhausted_reason(exhausted, amount)
        decided.held.append(Held(item, HoldKind.BUDGET, reason, exhausted.budget_id))
        return ReserveDecision(ReserveKind.HELD, attempt, reason=reason)
    if job.held:
        decided.released.append(item)
    for budget in budgets:
        if budget.taken_up(amount):
            return ReserveDecision(ReserveKind.WAIT, attempt, reason=f"{budget.scope} budget: calls in flight")
    for budget in budgets:
        budget.reserved_nanos += amount
    decided.granted.append((item, attempt, tuple(sorted(b.budget_id for b in budgets))))
    return ReserveDecision(ReserveKind.GRANTED, attempt)


def exhausted_reason(budget: BudgetFacts, amount_nanos: int) -> str:
    """Return which budget is exhausted and what would release the job, for people."""
    each = {"day": " a day", "month": " a month"}.get(budget.window, "")
    left = max(0, budget.limit_nanos - budget.settled_nanos)
    told = (
        f"{BUDGET_EXHAUSTED}: the {budget.scope}'s budget of {_usd(budget.limit_nanos)} USD{each} has {_usd(left)}"
        f" left; this call may cost up to {_usd(amount_nanos)}. It goes on when the limit is raised"
    )
    if budget.ends_at is not None and amount_nanos <= budget.limit_nanos:
        told += f", or at {budget.ends_at:%Y-%m-%d %H:%M} UTC"
    return told


def _usd(nanos: int) -> str:
    whole, rest = divmod(nanos, 1_000_000_000)
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".")
