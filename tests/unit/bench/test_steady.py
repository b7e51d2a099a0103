"""When memory grows, when a table stays bounded, and how little a short or noisy run may say."""

from datetime import UTC, datetime
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bench.results import Durability, Integrity, Machine, settings_of
from bench.sampling import KEPT, PARKED, PASSING, Sample, TableSize, metric_sum
from bench.soaked import SoakPlan, SoakResult, levels, show, trends
from bench.steady import Level, Trend, counted, level, settle_s, thirds, trend

RUN_S = 600.0
TIMES_S = [5.0 * number for number in range(121)]


def readings(start_mb: float, mb_a_minute: float) -> list[tuple[float, float]]:
    return [(at_s, start_mb + mb_a_minute * at_s / 60) for at_s in TIMES_S]


def found(values: list[tuple[float, float]]) -> Trend:
    result = trend(counted(values, RUN_S))
    assert result is not None
    return result


def test_a_leak_of_one_and_a_half_megabytes_a_minute_is_growing() -> None:
    leak = found(readings(80.0, 1.5))

    assert leak.mb_a_minute == pytest.approx(1.5)
    assert leak.percent_an_hour == pytest.approx(100 * 90 / leak.mean_mb)
    assert leak.growing


def test_constant_memory_is_flat() -> None:
    assert not found(readings(80.0, 0.0)).growing


def test_a_cache_that_warms_in_the_first_two_minutes_is_flat() -> None:
    warming = [(at_s, 60.0 + 40.0 * min(1.0, at_s / 110)) for at_s in TIMES_S]

    assert found(warming).mb_a_minute == pytest.approx(0.0, abs=1e-9)


def test_one_step_long_past_is_flat_although_its_slope_is_not() -> None:
    stepped = [(at_s, 100.0 if at_s < 200 else 112.0) for at_s in TIMES_S]

    step = found(stepped)

    assert step.mb_a_minute >= 1.0
    assert not step.growing


def test_a_spike_of_a_worker_that_comes_and_goes_does_not_count_as_growth() -> None:
    spiked = [(at_s, 100.0 + (64.0 if at_s % 60 == 0 else 0.0)) for at_s in TIMES_S]

    assert found(spiked).growth == pytest.approx(0.0)
    assert found(spiked).greatest_mb == 164.0


def test_a_large_process_that_grows_by_less_than_its_share_is_flat() -> None:
    assert not found(readings(400.0, 1.5)).growing


def test_a_small_process_that_doubles_slowly_is_flat() -> None:
    assert not found(readings(2.0, 0.3)).growing


def test_too_few_readings_say_nothing() -> None:
    assert trend([(0.0, 1.0), (5.0, 9.0)]) is None
    assert trend([]) is None


def test_of_a_short_run_half_is_left_out() -> None:
    assert settle_s(600.0) == 120.0
    assert settle_s(60.0) == 30.0
    assert counted([(29.0, 1.0), (30.0, 2.0), (61.0, 3.0)], 60.0) == [(30.0, 2.0)]


@given(st.lists(st.floats(min_value=0, max_value=1e5), min_size=1, max_size=100, unique=True))
def test_thirds_hold_each_reading_once_and_in_order(times_s: list[float]) -> None:
    values = [(at_s, at_s) for at_s in sorted(times_s)]

    first, middle, last = thirds(values)

    assert first + middle + last == sorted(times_s)
    assert last


def test_a_level_is_the_most_of_the_first_and_of_the_last_third() -> None:
    assert level([(0.0, 3.0), (1.0, 7.0), (5.0, 90.0), (8.0, 2.0), (9.0, 4.0)]) == Level(first=7.0, last=4.0)
    assert level([]) == Level(first=0.0, last=0.0)


def test_a_backlog_that_grows_through_ten_minutes_is_not_bounded() -> None:
    backlog = level(counted([(at_s, 100 * at_s) for at_s in TIMES_S], RUN_S))

    assert not backlog.bounded(500.0)


def test_what_varies_or_stays_small_is_bounded() -> None:
    assert Level(first=1000.0, last=1400.0).bounded(500.0)
    assert Level(first=2.0, last=450.0).bounded(500.0)


def test_a_metric_is_summed_over_its_labels_and_told_from_its_likes() -> None:
    text = '# TYPE steps gauge\nsteps{lane="a"} 3.0\nsteps{lane="b"} 4.0\nsteps_total 99.0\n'

    assert metric_sum(text, "steps") == 7.0
    assert metric_sum(text, "absent") == 0.0


def test_settings_are_named_as_the_services_read_them() -> None:
    assert settings_of(["pool_size=4", "HEADRACE_SHARDS=2"]) == {"HEADRACE_POOL_SIZE": "4", "HEADRACE_SHARDS": "2"}


def make_sample(at_s: float, *, own_mb: float, outbox: int = 10, letters: int = 0) -> Sample:
    tables = {name: TableSize(rows=0, bytes=8192) for name in (*PASSING, *KEPT)}
    tables |= {"outbox": TableSize(rows=outbox, bytes=8192 * outbox), "dead_letters": TableSize(rows=letters)}
    return Sample(
        at_s=at_s,
        own_mb={"ingestion": own_mb, "postgres": None},
        pss_mb={"ingestion": own_mb + 9, "postgres": None},
        tables={PARKED: TableSize(rows=0)} | tables,
        kafka_bytes=1_000_000,
        unfinished_steps=3.0,
    )


def make_result(samples: list[Sample], *, missing: int = 0) -> SoakResult:
    return SoakResult(
        at=datetime(2026, 11, 25, tzinfo=UTC),
        machine=Machine(
            cpu="Fast 9", cpus=2, memory_mb=8000, kernel="6.1", python="3.11", filesystem="ext4", commit="abc"
        ),
        durability=Durability(
            postgres="18",
            fsync="on",
            synchronous_commit="on",
            full_page_writes="on",
            wal_sync_method="fdatasync",
            overridden_by_role_or_database=False,
            kafka_replication=1,
            kafka_min_insync_replicas="1",
            kafka_flush_messages="9",
        ),
        plan=SoakPlan(seconds=RUN_S, rate=300.0, sustained_rate=600.0, every_s=5.0, connections=64, settings={}),
        accepted=10,
        refused={},
        processes=trends(samples, RUN_S),
        levels=levels(samples, RUN_S),
        integrity=Integrity(
            accepted=10,
            outputs=10 - missing,
            missing=missing,
            twice=0,
            strangers=0,
            jobs=10,
            attempts=10,
            not_succeeded=0,
            dead_letters=0,
            outbox_rows_left=0,
            posts_without_answer=0,
        ),
        samples=tuple(samples),
    )


STEADY = [make_sample(at_s, own_mb=80.0) for at_s in TIMES_S]


def test_a_steady_run_breaks_nothing_and_survives_json() -> None:
    result = SoakResult.model_validate_json(make_result(STEADY).model_dump_json())

    assert result.broken == []
    assert result.processes["postgres"] is None


def test_lost_jobs_dead_letters_and_a_growing_outbox_break_a_run() -> None:
    spoilt = [make_sample(at_s, own_mb=80.0, outbox=int(100 * at_s), letters=int(at_s > 300)) for at_s in TIMES_S]

    broken = make_result(spoilt, missing=1).broken

    assert len(broken) == 4


def test_growing_memory_is_told_but_breaks_nothing() -> None:
    result = make_result([make_sample(at_s, own_mb=80 + at_s / 30) for at_s in TIMES_S])
    console = Console(width=120, file=StringIO())

    show(console, result)

    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    assert result.broken == []
    for expected in ("300 jobs/s", "half of 600 sustained", "growing", "not known", "Integrity holds", "10 → 10"):
        assert expected in text
