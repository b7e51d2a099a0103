"""Percentiles, medians, comparisons and the verdict on integrity."""

from datetime import UTC, datetime
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bench.calibration import Calibration, Loop
from bench.figures import median_round, percentile, percentiles_ms, spread
from bench.results import (
    BenchResult,
    Durability,
    Integrity,
    Latency,
    Machine,
    Plan,
    Round,
    VariantResult,
    compare,
)
from bench.tables import show, show_comparison

SAMPLES = st.lists(st.floats(min_value=0, max_value=1e6), min_size=1, max_size=200)


@given(SAMPLES, st.floats(min_value=0.01, max_value=1.0))
def test_a_percentile_is_measured_and_splits_the_values(values: list[float], share: float) -> None:
    ordered = sorted(values)

    found = percentile(ordered, share)

    assert found in ordered
    assert sum(value <= found for value in ordered) >= share * len(ordered)


@given(SAMPLES)
def test_percentiles_rise(values: list[float]) -> None:
    found = percentiles_ms(values)

    assert found is not None
    assert found.p50 <= found.p95 <= found.p99 <= found.greatest


def test_of_nothing_there_are_no_percentiles() -> None:
    assert percentiles_ms([]) is None


def test_the_median_round_is_a_real_one() -> None:
    assert median_round([30.0, 10.0, 20.0]) == 2
    assert median_round([10.0, 20.0]) == 0


def test_spread_is_relative_to_the_median() -> None:
    assert spread([90.0, 100.0, 115.0]) == pytest.approx(0.25)
    assert spread([0.0, 0.0]) == 0.0


INTACT = Integrity(
    accepted=10,
    outputs=10,
    missing=0,
    twice=0,
    strangers=0,
    jobs=10,
    attempts=10,
    not_succeeded=0,
    dead_letters=0,
    outbox_rows_left=0,
    posts_without_answer=0,
)


def test_integrity_holds_when_each_job_came_out_once_and_was_paid_once() -> None:
    assert INTACT.holds


@pytest.mark.parametrize(
    "fault",
    [
        {"missing": 1},
        {"twice": 1},
        {"strangers": 1},
        {"attempts": 11},
        {"jobs": 9, "attempts": 9},
        {"jobs": 11, "attempts": 11},
        {"not_succeeded": 1},
        {"dead_letters": 1},
    ],
)
def test_any_fault_breaks_it(fault: dict[str, int]) -> None:
    assert not INTACT.model_copy(update=fault).holds


def test_a_post_without_answer_may_have_made_a_job() -> None:
    unsure = INTACT.model_copy(update={"posts_without_answer": 1, "jobs": 11, "attempts": 11, "strangers": 1})

    assert unsure.holds


def make_round(rate: float, cpu_ms: float) -> Round:
    return Round(
        seconds=10.0,
        outputs=int(rate * 10),
        accepted=int(rate * 10),
        outputs_per_s=rate,
        accepted_per_s=rate,
        cpu_ms_a_job={"ingestion": cpu_ms, "kafka": 0.0},
        total_cpu_ms_a_job=cpu_ms,
        uncounted_cpu_ms_a_job={"watcher": 0.01},
        machine_busy_share=0.99,
        machine_stolen_s=0.0,
        strangers_busy_share=0.02,
        commits_a_job=0.3,
        wal_bytes_a_job=9000.0,
        posted=1,
        refused={},
        unknown=0,
    )


def make_result(*rounds: Round) -> BenchResult:
    loop = Loop(per_s=1000.0, client_cpu_ms_per_1000=1.0)
    latency = Latency(
        rate=20.0,
        cpu_ms_a_second={"kafka": 12.0},
        strangers_busy_share=0.1,
        accepted=percentiles_ms([0.002, 0.003]),
        result=None,
    )
    variant = VariantResult(
        variant="zero",
        calibration=Calibration(
            kafka_produce=loop,
            kafka_consume=loop,
            postgres_insert=loop,
            commit_ms_p50=0.5,
            python_json=loop,
        ),
        latency_at_rest=latency,
        rounds=rounds,
        latency_after_load=latency,
        pss_mb={"ingestion": 70.0, "kafka": None},
        headrace_pss_mb=70.0,
        integrity=INTACT,
    )
    return BenchResult(
        at=datetime(2026, 11, 21, tzinfo=UTC),
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
        plan=Plan(
            warmup_s=1,
            seconds=1,
            rounds=len(rounds),
            connections=64,
            outstanding=5000,
            latency_rate=20,
            latency_s=1,
            calibration_s=1,
            settings={"HEADRACE_POOL_SIZE": "4"},
            profiled=(),
        ),
        variants=(variant,),
    )


def test_the_median_of_the_rounds_is_what_counts() -> None:
    variant = make_result(make_round(1000, 0.9), make_round(1300, 0.7), make_round(1200, 0.8)).variants[0]

    assert variant.median_round.outputs_per_s == 1200
    assert variant.median_total_cpu_ms == pytest.approx(0.8)
    assert variant.rate_spread == pytest.approx(0.25)


def test_a_comparison_gives_ratios_and_survives_json_and_zero() -> None:
    before = make_result(make_round(1000, 1.0))
    after = BenchResult.model_validate_json(make_result(make_round(2000, 0.5)).model_dump_json())

    ratios = {each.figure: each.ratio for each in compare(before, after)}

    assert ratios["outputs/s"] == pytest.approx(2.0)
    assert ratios["CPU-ms a job"] == pytest.approx(0.5)
    assert ratios["CPU-ms a job: kafka"] is None


def test_the_tables_say_what_was_measured_and_under_which_durability() -> None:
    console = Console(width=110, file=StringIO())
    result = make_result(make_round(1234, 0.567))

    show(console, result)
    show_comparison(console, compare(result, result))

    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    for expected in ("1,234 jobs/s", "0.567", "fsync=on", "synchronous_commit=on", "Integrity holds", "1.00"):
        assert expected in text
