"""Money is exact, and a reservation covers whatever the request can come to cost."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_layer.pricing import NANOS_PER_USD, Price, charge, cost, rate_from_usd, reservation
from model_layer.provider import Usage

rates = st.integers(min_value=0, max_value=10**13)
tokens = st.integers(min_value=0, max_value=10**7)
prices = st.builds(Price, rates, rates, rates, st.just("v"))


def test_a_million_tokens_cost_the_written_price() -> None:
    price = Price(rate_from_usd(Decimal("0.25")), rate_from_usd(Decimal(2)), rate_from_usd(Decimal(0)), "v")
    usage = Usage(input_tokens=10**6, cached_input_tokens=0, output_tokens=10**6, reasoning_tokens=0)
    assert cost(price, usage) == 2_250_000_000 == Decimal("2.25") * NANOS_PER_USD


def test_cached_tokens_are_part_of_the_input_and_cost_their_own_rate() -> None:
    price = Price(input_rate=1_000_000, output_rate=0, cached_input_rate=100_000, version="v")
    usage = Usage(input_tokens=100, cached_input_tokens=40, output_tokens=0, reasoning_tokens=0)
    assert cost(price, usage) == 60 + 4


def test_reasoning_tokens_are_part_of_the_output_and_are_not_counted_twice() -> None:
    price = Price(input_rate=0, output_rate=1_000_000, cached_input_rate=0, version="v")
    usage = Usage(input_tokens=0, cached_input_tokens=0, output_tokens=50, reasoning_tokens=45)
    assert cost(price, usage) == 50


def test_the_smallest_cost_is_rounded_up_not_away() -> None:
    price = Price(input_rate=1, output_rate=0, cached_input_rate=1, version="v")
    usage = Usage(input_tokens=1, cached_input_tokens=0, output_tokens=0, reasoning_tokens=0)
    assert cost(price, usage) == 1


@given(prices, tokens, tokens, tokens, st.data())
def test_p4_a_reservation_covers_every_usage_within_its_bounds(
    price: Price, bound: int, cap: int, cached: int, data: st.DataObject
) -> None:
    read = data.draw(st.integers(min_value=0, max_value=bound))
    written = data.draw(st.integers(min_value=0, max_value=cap))
    usage = Usage(input_tokens=read, cached_input_tokens=cached, output_tokens=written, reasoning_tokens=0)
    assert 0 <= cost(price, usage) <= reservation(price, bound, cap)


def test_p3_an_answer_without_usage_is_charged_its_whole_reservation() -> None:
    price = Price(1, 1, 1, "v")
    assert charge(price, None, reserved_nanos=77) == 77
    assert charge(price, Usage(0, 0, 0, 0), reserved_nanos=77) == 0


@pytest.mark.parametrize("written", ["-1", "NaN", "Infinity", "0.0000000001"])
def test_what_is_not_a_price_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="USD per million tokens"):
        rate_from_usd(Decimal(written))
