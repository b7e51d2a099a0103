"""What one run of the benchmark found, as it is written to JSON, and how two of them compare."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Final

from pydantic import BaseModel, ConfigDict

from bench.calibration import Calibration
from bench.figures import Percentiles, median_round, spread
from bench.workload import Variant

RESULTS: Final = Path(__file__).parent / "results"


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True)


class Machine(_Result):
    """Where it ran."""

    cpu: str
    cpus: int
    memory_mb: int
    kernel: str
    python: str
    filesystem: str
    commit: str


class Durability(_Result):
    """What makes an acknowledged write last, read from the servers, not from our wishes."""

    postgres: str
    fsync: str
    synchronous_commit: str
    full_page_writes: str
    wal_sync_method: str
    overridden_by_role_or_database: bool
    kafka_acks: str = "all (interior: idempotent; public: transactions)"
    kafka_replication: int
    kafka_min_insync_replicas: str
    kafka_flush_messages: str


class Plan(_Result):
    """How it was measured."""

    warmup_s: float
    seconds: float
    rounds: int
    connections: int
    outstanding: int
    latency_rate: float
    latency_s: float
    calibration_s: float
    settings: Mapping[str, str]
    profiled: tuple[str, ...]


def settings_of(pairs: Iterable[str]) -> dict[str, str]:
    """Return the settings of ``NAME=VALUE`` words, named as the services read them."""
    settings = dict(pair.partition("=")[::2] for pair in pairs)
    return {f"HEADRACE_{name.upper().removeprefix('HEADRACE_')}": value for name, value in settings.items()}


class Round(_Result):
    """One measured window under full load. CPU is in milliseconds a job that came out in the window.

    ``strangers_busy_share``: of the machine, what neither Headrace, its servers nor the bench used.
    """

    seconds: float
    outputs: int
    accepted: int
    outputs_per_s: float
    accepted_per_s: float
    cpu_ms_a_job: Mapping[str, float]
    total_cpu_ms_a_job: float
    uncounted_cpu_ms_a_job: Mapping[str, float]
    machine_busy_share: float
    machine_stolen_s: float
    strangers_busy_share: float
    commits_a_job: float
    wal_bytes_a_job: float
    posted: int
    refused: Mapping[str, int]
    unknown: int


class Latency(_Result):
    """At a fixed rate: until the 202, and until a read_committed consumer has the record.

    ``cpu_ms_a_second`` is what all of it costs at that rate, polling included.
    """

    rate: float
    cpu_ms_a_second: Mapping[str, float]
    strangers_busy_share: float
    accepted: Percentiles | None
    result: Percentiles | None


class Integrity(_Result):
    """Whether every job that was answered with 202 came out once, and was paid once."""

    accepted: int
    outputs: int
    missing: int
    twice: int
    strangers: int
    jobs: int
    attempts: int
    not_succeeded: int
    dead_letters: int
    outbox_rows_left: int
    posts_without_answer: int

    @property
    def holds(self) -> bool:
        """Whether all of it does. A post without an answer may or may not have made a job."""
        unanswered = self.posts_without_answer
        return (
            not (self.missing or self.twice or self.dead_letters or self.not_succeeded)
            and self.attempts == self.jobs
            and self.strangers <= unanswered
            and self.accepted <= self.jobs <= self.accepted + unanswered
        )


class VariantResult(_Result):
    """All figures of one variant."""

    variant: Variant
    calibration: Calibration
    latency_at_rest: Latency
    rounds: tuple[Round, ...]
    latency_after_load: Latency
    pss_mb: Mapping[str, float | None]
    headrace_pss_mb: float | None
    integrity: Integrity

    @property
    def median_round(self) -> Round:
        """The round that is the median by outputs a second."""
        return self.rounds[median_round([each.outputs_per_s for each in self.rounds])]

    @property
    def median_total_cpu_ms(self) -> float:
        """The median over the rounds; the bar is held against it."""
        return median(each.total_cpu_ms_a_job for each in self.rounds)

    @property
    def rate_spread(self) -> float:
        """How far the rounds lie apart, as a share of the median."""
        return spread([each.outputs_per_s for each in self.rounds])


class BenchResult(_Result):
    """One run."""

    at: datetime
    machine: Machine
    durability: Durability
    plan: Plan
    variants: tuple[VariantResult, ...]


class Ratio(_Result):
    """One figure of two runs."""

    variant: str
    figure: str
    before: float
    after: float

    @property
    def ratio(self) -> float | None:
        """After by before; None where before is 0."""
        return self.after / self.before if self.before else None


def figures(result: VariantResult) -> dict[str, float]:
    """Return the figures of a variant that can be compared, by name."""
    middle = result.median_round
    found: dict[str, float | None] = {
        "outputs/s": middle.outputs_per_s,
        "CPU-ms a job": result.median_total_cpu_ms,
        **{f"CPU-ms a job: {name}": value for name, value in middle.cpu_ms_a_job.items()},
        "commits a job": middle.commits_a_job,
        "WAL bytes a job": middle.wal_bytes_a_job,
        "PSS MB of Headrace": result.headrace_pss_mb,
    }
    for name, latency in (("at rest", result.latency_at_rest), ("after load", result.latency_after_load)):
        for kind, values in (("accepted", latency.accepted), ("result", latency.result)):
            if values is not None:
                found |= {f"{kind} p50 ms, {name}": values.p50, f"{kind} p99 ms, {name}": values.p99}
    calibration = result.calibration
    found |= {
        "calibration: Kafka records/s": calibration.kafka_produce.per_s,
        "calibration: Postgres rows/s": calibration.postgres_insert.per_s,
        "calibration: commit ms p50": calibration.commit_ms_p50,
        "calibration: CPU-ms of 1,000 JSON round trips": calibration.python_json.client_cpu_ms_per_1000,
    }
    return {name: value for name, value in found.items() if value is not None}


def compare(before: BenchResult, after: BenchResult) -> Iterator[Ratio]:
    """Yield the figures both runs have."""
    then = {result.variant: figures(result) for result in before.variants}
    for result in after.variants:
        for name, value in figures(result).items():
            if (old := then.get(result.variant, {}).get(name)) is not None:
                yield Ratio(variant=result.variant, figure=name, before=old, after=value)
