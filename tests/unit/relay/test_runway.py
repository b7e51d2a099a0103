"""The runway: what may be released between two measures of the lag."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from common.contracts.internal import LANES
from persistence.relay.metrics import RelayMetrics
from persistence.relay.runway import INTERIOR_LANE, Runway, Unfinished, readers

METRIC = "headrace_relay_unfinished_steps"


def runway(limit: int = 100, shards: int = 1, registry: CollectorRegistry | None = None) -> Runway:
    measured = RelayMetrics(registry or CollectorRegistry()).unfinished
    return Runway(limit, shards=shards, roused=asyncio.Event(), measured=measured)


def test_nothing_may_go_before_the_first_measure() -> None:
    assert [runway().allowance(lane) for lane in range(4)] == [0, 0, 0, 0]


def test_what_was_measured_is_told() -> None:
    registry = CollectorRegistry()
    free = runway(registry=registry)

    free.update(Unfinished((1, 2, 3), 4), free.snapshot())

    told = {lane: registry.get_sample_value(METRIC, {"lane": lane}) for lane in (*LANES, "all")}
    assert told == {"interactive": 1, "standard": 2, "bulk": 3, "all": 4}


def test_an_empty_kafka_gives_each_lane_the_whole_runway() -> None:
    free = runway()

    free.update(Unfinished((0, 0, 0), 0), free.snapshot())

    assert [free.allowance(lane) for lane in range(3)] == [100, 100, 100]


def test_a_full_lane_does_not_hold_up_another() -> None:
    free = runway()

    free.update(Unfinished((0, 140, 30), 10), free.snapshot())

    assert [free.allowance(lane) for lane in range(3)] == [90, 0, 60]


def test_parked_messages_have_a_runway_of_their_own_when_every_lane_is_full() -> None:
    free = runway()

    free.update(Unfinished((100, 100, 100), 0), free.snapshot())

    assert free.allowance(INTERIOR_LANE) == 100


def test_what_is_released_while_measuring_is_subtracted_from_the_new_measure() -> None:
    free = runway()
    free.update(Unfinished((0, 0, 0), 0), free.snapshot())
    free.released(0, 10)

    before = free.snapshot()
    free.released(0, 7)
    free.update(Unfinished((10, 0, 0), 0), before)

    assert free.allowance(0) == 83


def test_shards_share_the_runway() -> None:
    free = runway(limit=100, shards=4)

    free.update(Unfinished((0, 0, 0), 0), free.snapshot())

    assert free.allowance(0) == 25


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), max_size=30))
def test_a_lane_never_has_more_in_kafka_than_its_runway(rounds: list[tuple[int, int]]) -> None:
    free = runway(limit=300)
    unfinished = 0
    for wanted, consumed in rounds:
        free.update(Unfinished((unfinished, 0, 0), 0), free.snapshot())
        rows = min(wanted, free.allowance(0))
        free.released(0, rows)
        unfinished += rows
        assert unfinished <= 300
        unfinished -= min(unfinished, consumed)


def test_every_group_between_release_and_ending_counts() -> None:
    groups = {reader.group: sorted(reader.lane_of) for reader in readers("x")}

    assert groups == {
        "x.prompt_engine": ["x.steps.bulk", "x.steps.interactive", "x.steps.standard"],
        "x.model_layer": ["x.prompts.bulk", "x.prompts.interactive", "x.prompts.standard"],
        "x.output_validation": ["x.completions"],
        "x.persistence": ["x.verdicts"],
    }
