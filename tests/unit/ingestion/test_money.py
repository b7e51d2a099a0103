"""Dollars in, nanos counted, dollars out."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.money import nanos_from_usd, usd_from_nanos


@given(st.integers(min_value=1, max_value=10**18))
def test_what_is_told_is_read_back_the_same(nanos: int) -> None:
    assert nanos_from_usd(usd_from_nanos(nanos)) == nanos


@given(st.integers(min_value=-(10**18), max_value=10**18))
def test_nine_places_always(nanos: int) -> None:
    assert Decimal(usd_from_nanos(nanos)) * 10**9 == nanos
    assert len(usd_from_nanos(nanos).partition(".")[2]) == 9


@given(st.text(max_size=70))
def test_any_text_is_counted_or_refused_with_a_reason(text: str) -> None:
    try:
        said: object = nanos_from_usd(text)
    except ValueError as error:
        said = str(error)

    assert (isinstance(said, int) and said > 0) or str(said).startswith("must")


@pytest.mark.parametrize("text", ["0", "0.0", "-0", "0e5", "0.00000000000"])
def test_nothing_is_an_amount_only_where_it_may_be(text: str) -> None:
    assert nanos_from_usd(text, may_be_zero=True) == 0
    with pytest.raises(ValueError, match=r"^must be more than 0 and at most 1000000000$"):
        nanos_from_usd(text)


def test_where_nothing_is_an_amount_the_refusal_does_not_ask_for_more() -> None:
    with pytest.raises(ValueError, match=r"^must be 0 or more and at most 1000000000$"):
        nanos_from_usd("-1", may_be_zero=True)


def test_more_digits_than_are_counted_are_refused_not_rounded() -> None:
    with pytest.raises(ValueError, match="9 decimal places"):
        nanos_from_usd("0." + "1" * 40)


@pytest.mark.parametrize("text", ["1e-10", "1e-1000200", "9e-999999999"])
def test_less_than_is_counted_is_refused_not_taken_for_nothing(text: str) -> None:
    with pytest.raises(ValueError, match="9 decimal places"):
        nanos_from_usd(text)
