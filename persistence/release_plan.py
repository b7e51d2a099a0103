"""Which jobs on hold for a budget may go on, pure: oldest first, as many as fit with what is already on its way."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from persistence.reserve_decision import BudgetFacts, exhausted_reason

Scope = tuple[str, str, str]
Message = tuple[UUID, UUID]  # job, message


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message on hold, or released and not yet at the ledger. ``budget_id``: in whose way it was found to stand."""

    message: Message
    amount_nanos: int
    budget_id: int
    scopes: tuple[Scope, ...]


@dataclass(slots=True)
class ReleasePlan:
    """``refile``: another budget stands in the way now; with a reason where that one is exhausted."""

    release: list[Message] = field(default_factory=list)
    refile: list[tuple[Message, int, str | None]] = field(default_factory=list)


def scopes_of_job(tenant_id: str, recipe: str, batch_id: UUID | None, job_id: UUID) -> tuple[Scope, ...]:
    """Return (tenant, scope, key) of every budget that may apply to a job."""
    scopes = [(tenant_id, "tenant", ""), (tenant_id, "recipe", recipe.partition("@")[0])]
    if batch_id is not None:
        scopes.append((tenant_id, "batch", str(batch_id)))
    return (*scopes, (tenant_id, "job", str(job_id)))


def plan_releases(
    in_transit: Iterable[Waiting], waiting: Iterable[Waiting], budgets: Iterable[BudgetFacts]
) -> ReleasePlan:
    """Plan one pass. Budgets are moved in place: what is let go takes its room at once."""
    by_scope: dict[Scope, list[BudgetFacts]] = {}
    for budget in budgets:
        by_scope.setdefault((budget.tenant_id, budget.scope, budget.scope_key), []).append(budget)
    plan = ReleasePlan()
    for item in in_transit:
        _take(item, by_scope)
    for item in waiting:
        applying = [b for scope in item.scopes for b in by_scope.get(scope, ())]
        exhausted = next((b for b in applying if b.spent_up(item.amount_nanos)), None)
        blocking = exhausted or next((b for b in applying if b.taken_up(item.amount_nanos)), None)
        if blocking is None:
            plan.release.append(item.message)
            _take(item, by_scope)
        elif blocking.budget_id != item.budget_id:
            reason = exhausted_reason(exhausted, item.amount_nanos) if exhausted else None
            plan.refile.append((item.message, blocking.budget_id, reason))
    return plan


def _take(item: Waiting, by_scope: dict[Scope, list[BudgetFacts]]) -> None:
    for scope in item.scopes:
        for budget in by_scope.get(scope, ()):
            budget.reserved_nanos += item.amount_nanos
