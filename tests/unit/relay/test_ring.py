"""Round robin over tenants, as pure turns."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from persistence.relay.ring import Given, Ring


class Queues:
    """Rows by tenant, released through a ring as the relay does it."""

    def __init__(self, waiting: dict[str, int]) -> None:
        self.waiting = Counter(waiting)
        self.ring: Ring[int] = Ring()
        self.ring.refresh(waiting)
        self.served: Counter[str] = Counter()

    def release(self, limit: int) -> int:
        turns = self.ring.plan(limit)
        given: dict[str, Given[int]] = {}
        for tenant, rows, _ in turns:
            taken = min(rows, self.waiting[tenant])
            self.waiting[tenant] -= taken
            self.served[tenant] += taken
            if taken:
                given[tenant] = Given(taken, self.served[tenant])
        self.ring.settle(turns, given)
        return sum(gift.rows for gift in given.values())


TENANTS = st.dictionaries(st.sampled_from([f"t{n}" for n in range(30)]), st.integers(1, 400), min_size=1)
LIMITS = st.lists(st.integers(1, 60), min_size=1, max_size=60)


@given(TENANTS, LIMITS)
def test_a_release_never_passes_its_limit(waiting: dict[str, int], limits: list[int]) -> None:
    queues = Queues(waiting)

    for limit in limits:
        turns = queues.ring.plan(limit)
        assert sum(turn.rows for turn in turns) <= limit
        assert all(turn.rows > 0 for turn in turns)
        assert len({turn.tenant_id for turn in turns}) == len(turns)
        queues.ring.settle(turns, {})


@given(TENANTS, st.integers(1, 60))
def test_every_row_goes_out_in_the_end(waiting: dict[str, int], limit: int) -> None:
    queues = Queues(waiting)

    while len(queues.ring):
        queues.release(limit)

    assert queues.served == Counter(waiting)


@settings(max_examples=60)
@given(st.integers(2, 25), LIMITS)
def test_tenants_with_enough_rows_are_served_alike(tenants: int, limits: list[int]) -> None:
    queues = Queues({f"t{n}": 1_000_000 for n in range(tenants)})

    for limit in limits:
        queues.release(limit)

    served = [queues.served[f"t{n}"] for n in range(tenants)]
    assert max(served) - min(served) <= 1


@given(st.integers(1, 20), st.integers(1, 50))
def test_a_flood_of_one_tenant_does_not_hold_up_the_others(others: int, limit: int) -> None:
    queues = Queues({"flood": 1_000_000} | {f"t{n}": 3 for n in range(others)})

    rounds = 0
    while any(queues.waiting[f"t{n}"] for n in range(others)):
        queues.release(limit)
        rounds += 1

    assert rounds <= 3 * (others + 1) / limit + 4


def test_a_release_that_one_tenant_can_fill_is_filled() -> None:
    queues = Queues({"only": 10_000})

    assert queues.release(500) == 500


def test_a_tenant_goes_on_behind_its_cursor_until_a_wake() -> None:
    ring: Ring[int] = Ring()
    ring.wake("a")

    first = ring.plan(2)
    ring.settle(first, {"a": Given(2, 17)})
    second = ring.plan(2)
    ring.settle(second, {"a": Given(2, 29)})
    ring.wake("a")
    third = ring.plan(2)

    assert [turn.after for turn in (*first, *second, *third)] == [None, 17, None]


def test_a_refresh_forgets_cursors_and_brings_in_who_was_missed() -> None:
    ring: Ring[int] = Ring()
    ring.wake("a")
    ring.settle(ring.plan(1), {"a": Given(1, 5)})

    ring.refresh(["a", "b"])

    assert {turn.tenant_id: turn.after for turn in ring.plan(2)} == {"a": None, "b": None}
