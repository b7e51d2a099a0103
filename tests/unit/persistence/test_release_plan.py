"""Which jobs on hold go on: oldest first, as many as fit, never more."""

from hypothesis import given
from hypothesis import strategies as st

from common.ids import uuid7
from persistence.release_plan import Waiting, plan_releases
from persistence.reserve_decision import BudgetFacts

TENANT = ("t", "tenant", "")
RECIPE = ("t", "recipe", "card")


def waiting(amount: int, budget_id: int = 1, *, nested: bool = False) -> Waiting:
    return Waiting((uuid7(), uuid7()), amount, budget_id, (TENANT, RECIPE) if nested else (TENANT,))


def budget(limit: int, settled: int = 0, reserved: int = 0, *, recipe: bool = False) -> BudgetFacts:
    tenant, scope, key = RECIPE if recipe else TENANT
    return BudgetFacts(2 if recipe else 1, tenant, scope, key, limit, settled, reserved)


def test_the_oldest_that_fit_go() -> None:
    queue = [waiting(2), waiting(2), waiting(2)]
    plan = plan_releases([], queue, [budget(5, settled=1)])
    assert plan.release == [queue[0].message, queue[1].message]
    assert plan.refile == []


def test_a_small_one_goes_past_a_large_one_that_does_not_fit() -> None:
    large, small = waiting(9), waiting(1)
    assert plan_releases([], [large, small], [budget(5)]).release == [small.message]


def test_what_is_on_its_way_and_in_flight_has_its_room() -> None:
    first, second = waiting(1), waiting(1)
    plan = plan_releases([waiting(2)], [first, second], [budget(4, reserved=1)])
    assert plan.release == [first.message]


def test_without_a_budget_all_go() -> None:
    queue = [waiting(10**12), waiting(1)]
    assert plan_releases([], queue, []).release == [item.message for item in queue]


def test_one_that_another_exhausted_budget_stops_waits_for_that_one_and_says_so() -> None:
    item = waiting(2, nested=True)
    plan = plan_releases([], [item], [budget(9), budget(3, settled=2, recipe=True)])
    [(message, budget_id, reason)] = plan.refile
    assert (message, budget_id) == (item.message, 2)
    assert reason is not None
    assert reason.startswith("budget_exhausted: the recipe's budget")


def test_one_that_calls_in_flight_stop_elsewhere_waits_for_those_with_its_reason_unchanged() -> None:
    item = waiting(2, nested=True)
    plan = plan_releases([], [item], [budget(9), budget(3, reserved=2, recipe=True)])
    assert plan.refile == [(item.message, 2, None)]


AMOUNTS = st.lists(st.integers(0, 8), max_size=12)


@given(AMOUNTS, AMOUNTS, st.integers(0, 30), st.integers(0, 30), st.integers(0, 10), st.integers(0, 10))
def test_no_pass_gives_more_room_away_than_there_is(
    travelling: list[int], standing: list[int], limit: int, other: int, settled: int, reserved: int
) -> None:
    budgets = [budget(limit, settled, reserved), budget(other, recipe=True)]
    in_transit = [waiting(amount, nested=True) for amount in travelling]
    queue = [waiting(amount, nested=True) for amount in standing]
    plan = plan_releases(in_transit, queue, budgets)
    released = set(plan.release)
    given = sum(item.amount_nanos for item in queue if item.message in released)
    if given:
        assert settled + reserved + sum(travelling) + given <= limit
        assert sum(travelling) + given <= other
    # Nobody who is left would still fit
    for item in queue:
        if item.message not in released:
            left = min(limit - settled - reserved, other) - sum(travelling) - given
            assert item.amount_nanos > left
    # And each is released, filed elsewhere, or left where it is: never two of these
    assert released.isdisjoint(message for message, _, _ in plan.refile)
