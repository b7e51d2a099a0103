"""Wakes of the releaser and the controller: what is told is understood, and what is not wakes everything."""

from hypothesis import given
from hypothesis import strategies as st

from persistence.control_wakes import ControlWakes
from persistence.postgres.control_wake import ControlWake, budget_token, read_payload


@given(st.sets(st.integers(1, 2**62), max_size=20), st.booleans())
def test_what_is_told_is_understood(budgets: set[int], operations: bool) -> None:
    tokens = [budget_token(b) for b in budgets] + (["o"] if operations else [])
    if tokens:
        wake = ControlWake(everything=False, operations=operations, budgets=frozenset(budgets))
        assert read_payload(",".join(tokens)) == wake


@given(st.text().filter(lambda text: text not in {"o"} and not text[1:].isdecimal()))
def test_what_is_not_understood_wakes_everything(payload: str) -> None:
    assert read_payload(payload).everything


def test_wakes_add_up_until_they_are_taken() -> None:
    wakes = ControlWakes()
    # Whoever begins looks at everything
    assert wakes.take_budgets() is None
    wakes.tell(ControlWake(budgets=frozenset({1})))
    wakes.tell(ControlWake(budgets=frozenset({2})))
    assert wakes.money.is_set()
    assert not wakes.operations.is_set()
    assert wakes.take_budgets() == {1, 2}
    assert wakes.take_budgets() == set()
    assert not wakes.money.is_set()
    wakes.tell(ControlWake(budgets=frozenset({3})))
    wakes.tell(ControlWake(everything=True))
    assert wakes.take_budgets() is None
    assert wakes.operations.is_set()
