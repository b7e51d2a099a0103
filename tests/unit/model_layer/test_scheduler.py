"""The scheduler is fair by lane and tenant, keeps deadlines, and loses nothing."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts import Lane
from model_layer.scheduler import Scheduler

lanes = st.sampled_from(list(Lane))


def _drained(scheduler: Scheduler[str]) -> list[str]:
    items = []
    while (item := scheduler.pop()) is not None:
        items.append(item)
    return items


def test_an_empty_scheduler_gives_nothing() -> None:
    scheduler: Scheduler[str] = Scheduler()
    assert scheduler.pop() is None
    assert len(scheduler) == 0


def test_busy_lanes_share_slots_by_weight() -> None:
    scheduler: Scheduler[str] = Scheduler()
    for lane in Lane:
        for _ in range(100):
            scheduler.push(lane.value, lane=lane, tenant_id="t")
    taken = Counter(scheduler.pop() for _ in range(48))
    assert taken == {"interactive": 32, "standard": 12, "bulk": 4}


def test_a_lane_that_was_idle_does_not_claim_the_slots_it_missed() -> None:
    scheduler: Scheduler[str] = Scheduler()
    for _ in range(200):
        scheduler.push("bulk", lane=Lane.BULK, tenant_id="t")
    for _ in range(100):
        scheduler.pop()
    for _ in range(100):
        scheduler.push("interactive", lane=Lane.INTERACTIVE, tenant_id="t")
    taken = Counter(scheduler.pop() for _ in range(90))
    assert abs(taken["interactive"] - 80) <= 1


def test_tenants_of_a_lane_take_turns_however_much_one_has_queued() -> None:
    scheduler: Scheduler[str] = Scheduler()
    for number in range(4):
        scheduler.push(f"loud-{number}", lane=Lane.BULK, tenant_id="loud")
    scheduler.push("quiet-0", lane=Lane.BULK, tenant_id="quiet")
    assert _drained(scheduler)[:2] == ["loud-0", "quiet-0"]


def test_a_tenants_items_come_earliest_deadline_first_then_in_order_of_arrival() -> None:
    scheduler: Scheduler[str] = Scheduler()
    for item, deadline in [("open-1", None), ("late", 9.0), ("soon", 1.0), ("open-2", None), ("late-2", 9.0)]:
        scheduler.push(item, lane=Lane.STANDARD, tenant_id="t", deadline=deadline)
    assert _drained(scheduler) == ["soon", "late", "late-2", "open-1", "open-2"]


def test_items_need_not_be_comparable() -> None:
    scheduler: Scheduler[dict[str, int]] = Scheduler()
    scheduler.push({}, lane=Lane.BULK, tenant_id="t", deadline=1.0)
    scheduler.push({}, lane=Lane.BULK, tenant_id="t", deadline=1.0)
    assert scheduler.pop() == {}


@given(st.lists(st.tuples(lanes, st.sampled_from("abc"), st.none() | st.floats(0, 9)), max_size=80))
def test_everything_pushed_comes_out_once(pushed: list[tuple[Lane, str, float | None]]) -> None:
    scheduler: Scheduler[str] = Scheduler()
    for number, (lane, tenant_id, deadline) in enumerate(pushed):
        scheduler.push(str(number), lane=lane, tenant_id=tenant_id, deadline=deadline)
    assert len(scheduler) == len(pushed)
    assert sum(scheduler.waiting(lane) for lane in Lane) == len(pushed)
    assert sorted(_drained(scheduler), key=int) == [str(number) for number in range(len(pushed))]
    assert len(scheduler) == 0


@given(st.lists(lanes | st.none(), max_size=200))
def test_no_waiting_lane_is_passed_over_for_more_than_a_round(pushes: list[Lane | None]) -> None:
    """None pops. A round is the sum of the weights: 12 slots."""
    scheduler: Scheduler[Lane] = Scheduler()
    passed_over: Counter[Lane] = Counter()
    for push in pushes:
        if push is not None:
            scheduler.push(push, lane=push, tenant_id="t")
            continue
        waiting = [lane for lane in Lane if scheduler.waiting(lane)]
        taken = scheduler.pop()
        for lane in Lane:
            passed_over[lane] = passed_over[lane] + 1 if lane in waiting and lane is not taken else 0
            assert passed_over[lane] <= 12


def test_a_weight_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Scheduler({Lane.BULK: 0})
