"""Budgets for operators, over all tenants; usage for everybody, over their own tenant unless they are operators."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from common.control_ports import BudgetFilter, BudgetKey, Budgets, BudgetScope, Usage, UsageGroup, Window
from common.errors import Fault
from common.ports import Principal
from ingestion import control_views as views
from ingestion.control_examples import PUT_BUDGET
from ingestion.control_models import Budget, BudgetPage, BudgetRemoved, BudgetRequest, UsageList
from ingestion.money import nanos_from_usd
from ingestion.openapi import problems
from ingestion.problems import parameter_fault, refuse
from ingestion.routes import Bound, OperatorKey, UsageKey, json_answer
from ingestion.services import Services
from ingestion.small_body import read_model, takes

LONGEST_USAGE: Final = timedelta(days=400)
MOST_GROUPS: Final = 10_000
_GROUPS: Final = r"((tenant|recipe|day)(,(tenant|recipe|day))*)?"

Tenant = Annotated[str | None, Query(min_length=1, max_length=200)]
Key = Annotated[str, Query(max_length=200, description="a recipe's name, or the id of a batch or a job")]

router = APIRouter(prefix="/api/v1", tags=["money"])


@router.get(
    "/budgets",
    summary="List budgets and how they stand",
    response_model=BudgetPage,
    responses=problems(),
)
async def list_budgets(
    services: Bound,
    principal: OperatorKey,
    tenant: Tenant = None,
    scope: Annotated[BudgetScope | None, Query(description="budgets of single jobs only when asked for")] = None,
    key: Annotated[str | None, Query(max_length=200)] = None,
    window: Window | None = None,
    after: Annotated[int, Query(ge=0, le=2**63 - 1, description="next_after of the previous page")] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """Return limits with what is settled, reserved and left in their present windows, and who waits for them."""
    del principal
    wanted = BudgetFilter(tenant, scope, key, window)
    found = await _budgets(services).budgets(wanted, after=after, limit=limit + 1)
    page = found[:limit]
    following = page[-1].budget_id if len(found) > limit else None
    return json_answer({"budgets": [views.budget(view) for view in page], "next_after": following})


@router.put(
    "/budgets",
    summary="Set a budget",
    response_model=Budget,
    responses=problems("not_found", "malformed_json", "request_timeout", "request_too_large", "invalid_request_body"),
    openapi_extra=takes(BudgetRequest, PUT_BUDGET),
)
async def put_budget(request: Request, services: Bound, principal: OperatorKey) -> Response:
    """Set the limit of a scope and window. Jobs on hold for it go on by themselves, as many as fit.

    A job can have a budget only if it was submitted with one, a batch only once it is there.
    """
    body = await read_model(request, BudgetRequest)
    named = _named(body.tenant or principal.tenant_id, body.scope, body.key, body.window)
    view = await _budgets(services).put(named, _limit(body.limit_usd))
    if view is None and body.scope is BudgetScope.BATCH:
        raise refuse("not_found", f"The tenant {named.tenant_id} has no batch with this id.")
    if view is None:
        raise refuse("not_found", "There is no such job, it was submitted without a budget, or its budget was removed.")
    return json_answer(views.budget(view))


@router.delete(
    "/budgets",
    summary="Remove a budget",
    response_model=BudgetRemoved,
    responses=problems("not_found"),
)
async def remove_budget(
    services: Bound,
    principal: OperatorKey,
    scope: BudgetScope,
    key: Key = "",
    window: Window = Window.TOTAL,
    tenant: Tenant = None,
) -> Response:
    """Remove the limit of a scope and window. Jobs on hold for it go on by themselves."""
    if not await _budgets(services).remove(_named(tenant or principal.tenant_id, scope, key, window)):
        raise refuse("not_found", "There is no such budget.")
    return json_answer({"removed": True})


@router.get(
    "/usage",
    summary="Show what was used",
    response_model=UsageList,
    responses=problems(),
)
async def show_usage(
    services: Bound,
    principal: UsageKey,
    first: Annotated[date | None, Query(alias="from", description="UTC day; default: the first of this month")] = None,
    last: Annotated[date | None, Query(alias="to", description="UTC day, included; default: today")] = None,
    group_by: Annotated[
        str, Query(json_schema_extra={"pattern": f"^{_GROUPS}$"}, description="tenant, recipe, day")
    ] = "",
    tenant: Annotated[str | None, Query(min_length=1, max_length=200, description="for operators")] = None,
) -> Response:
    """Return sums over ended calls: your tenant's; for operators all tenants', or one's."""
    today = datetime.now(UTC).date()
    begins, ends = first or (last or today).replace(day=1), last or today
    if not timedelta() <= ends - begins <= LONGEST_USAGE:
        fault = parameter_fault("from", f"must be before 'to', by at most {LONGEST_USAGE.days} days")
        raise refuse("invalid_parameter", "These days cannot be summed.", faults=[fault])
    if re.fullmatch(_GROUPS, group_by) is None:
        fault = parameter_fault("group_by", "takes tenant, recipe and day, joined by commas")
        raise refuse("invalid_parameter", "Usage cannot be grouped by this.", faults=[fault])
    groups = frozenset(UsageGroup(name) for name in group_by.split(",") if name)
    rows = await _usage(services).usage(_whose(principal, tenant), begins, ends, groups)
    if len(rows) > MOST_GROUPS:
        fault = parameter_fault("group_by", f"makes more than {MOST_GROUPS} groups: ask for fewer days")
        raise refuse("invalid_parameter", "There are too many groups.", faults=[fault])
    told = {"first": begins, "last": ends, "group_by": sorted(groups), "usage": [views.usage(row) for row in rows]}
    return json_answer(told)


def _whose(principal: Principal, tenant: str | None) -> str | None:
    """Return the tenant whose usage may be told; None: all of them."""
    if "operator" in principal.scopes:
        return tenant
    if tenant not in {None, principal.tenant_id}:
        raise refuse("forbidden", "Another tenant's usage needs a key with the scope 'operator'.")
    return principal.tenant_id


def _named(tenant_id: str, scope: BudgetScope, key: str, window: Window) -> BudgetKey:
    problem = None
    if scope is BudgetScope.TENANT and key:
        problem = "is empty for a tenant"
    elif scope is BudgetScope.RECIPE and (not key or "@" in key):
        problem = "is a recipe's name, without a version"
    elif scope in {BudgetScope.BATCH, BudgetScope.JOB}:
        try:
            key = str(UUID(key))
        except ValueError:
            problem = f"is the id of a {scope.value}"
    if problem is not None:
        raise refuse("invalid_parameter", "There can be no such budget.", faults=[parameter_fault("key", problem)])
    return BudgetKey(tenant_id, scope, key, window)


def _limit(text: str) -> int:
    try:
        return nanos_from_usd(text, may_be_zero=True)
    except ValueError as error:
        fault = Fault("/limit_usd", str(error))
        raise refuse("invalid_request_body", "The limit cannot be used.", faults=[fault]) from None


def _budgets(services: Services) -> Budgets:
    assert services.budgets is not None  # noqa: S101 - the composition root binds it; only doubles leave it out
    return services.budgets


def _usage(services: Services) -> Usage:
    assert services.usage is not None  # noqa: S101 - as above
    return services.usage
