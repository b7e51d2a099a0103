"""What a soak found: trends and levels out of its samples, what broke, and the tables for people."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.table import Table

from bench.results import Durability, Integrity, Machine
from bench.sampling import DEAD_LETTERS, KEPT, OUTBOX, Sample
from bench.steady import (
    BOUNDED_BYTES,
    BOUNDED_ROWS_S,
    MEMORY_RULE,
    OUTBOX_RULE,
    Level,
    Readings,
    Trend,
    counted,
    level,
    settle_s,
    trend,
)
from bench.tables import show_durability, show_integrity


class _Found(BaseModel):
    model_config = ConfigDict(frozen=True)


class TableLevels(_Found):
    """One table in the first and the last third. ``dead`` rows wait for vacuum."""

    rows: Level
    dead: Level
    bytes: Level


class SoakPlan(_Found):
    """How long, how fast, and how fast it would go: ``sustained_rate`` is None where the rate was given."""

    seconds: float
    rate: float
    sustained_rate: float | None
    every_s: float
    connections: int
    settings: Mapping[str, str]


class Levels(_Found):
    """What should stay where it is. Bytes, and steps in Kafka that are not finished."""

    tables: Mapping[str, TableLevels]
    kafka_bytes: Level
    unfinished_steps: Level


class SoakResult(_Found):
    """One soak. ``processes``: None where the kernel did not let us look, or the run was too short."""

    at: datetime
    machine: Machine
    durability: Durability
    plan: SoakPlan
    accepted: int
    refused: Mapping[str, int]
    processes: Mapping[str, Trend | None]
    levels: Levels
    integrity: Integrity
    samples: tuple[Sample, ...]

    @property
    def broken(self) -> list[str]:
        """What did not hold, in words; the exit code says whether there is any."""
        outbox, letters = self.levels.tables[OUTBOX], self.levels.tables[DEAD_LETTERS]
        checks = {
            "integrity": self.integrity.holds,
            "the outbox's rows are not bounded": outbox.rows.bounded(BOUNDED_ROWS_S * self.plan.rate),
            "the outbox's bytes are not bounded": outbox.bytes.bounded(BOUNDED_BYTES),
            "there are dead letters": not (letters.rows.first or letters.rows.last),
        }
        return [words for words, holds in checks.items() if not holds]


def trends(samples: Sequence[Sample], run_s: float) -> dict[str, Trend | None]:
    """Return the trend of every process's own memory."""
    names = samples[0].own_mb if samples else ()
    return {name: _trend_of(samples, name, run_s) for name in names}


def _trend_of(samples: Sequence[Sample], name: str, run_s: float) -> Trend | None:
    values = [(sample.at_s, sample.own_mb.get(name)) for sample in samples]
    known = [(at_s, value) for at_s, value in values if value is not None]
    return trend(counted(known, run_s)) if len(known) == len(values) else None


def levels(samples: Sequence[Sample], run_s: float) -> Levels:
    """Return the levels of everything else."""

    def of(value: Callable[[Sample], float]) -> Level:
        readings: Readings = [(sample.at_s, value(sample)) for sample in samples]
        return level(counted(readings, run_s))

    def of_table(name: str) -> TableLevels:
        return TableLevels(
            rows=of(lambda sample: sample.tables[name].rows),
            dead=of(lambda sample: sample.tables[name].dead),
            bytes=of(lambda sample: sample.tables[name].bytes),
        )

    return Levels(
        tables={name: of_table(name) for name in (samples[0].tables if samples else ())},
        kafka_bytes=of(lambda sample: sample.kafka_bytes),
        unfinished_steps=of(lambda sample: sample.unfinished_steps),
    )


def show(console: Console, result: SoakResult) -> None:
    """Print everything that was found."""
    plan = result.plan
    show_durability(console, result.machine, result.durability)
    sustained = "given" if plan.sustained_rate is None else f"half of {plan.sustained_rate:,.0f} sustained"
    lines = [
        f"[bold]{plan.rate:,.0f} jobs/s[/] ({sustained}) for {plan.seconds / 60:g} min, read every {plan.every_s:g} s; "
        f"the first {settle_s(plan.seconds):.0f} s are left out below; "
        f"{result.accepted:,} accepted" + (f", refused {dict(result.refused)}" if result.refused else ""),
        *(f"setting tried: {name}={value}" for name, value in plan.settings.items()),
    ]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)
    console.print(_processes(result))
    console.print(MEMORY_RULE, highlight=False, soft_wrap=True)
    console.print(_levels(result.levels))
    console.print(OUTBOX_RULE, highlight=False, soft_wrap=True)
    show_integrity(console, result.integrity)
    for words in result.broken:
        console.print(f"[bold red]BROKEN: {words}[/]", highlight=False)


def _processes(result: SoakResult) -> Table:
    table = Table("own memory (anonymous)")
    for column in ("MB a minute", "% an hour", "last third", "greatest MB", "end MB", "end PSS MB", ""):
        table.add_column(column, justify="right")
    for name, found in result.processes.items():
        if found is None:
            table.add_row(name, *["-"] * 6, "not known")
            continue
        pss_mb = result.samples[-1].pss_mb[name]
        table.add_row(
            name,
            f"{found.mb_a_minute:+.2f}",
            f"{found.percent_an_hour:+.0f}",
            f"{found.growth:+.1%}",
            f"{found.greatest_mb:.1f}",
            f"{found.last_mb:.1f}",
            "-" if pss_mb is None else f"{pss_mb:.1f}",
            "[bold red]growing[/]" if found.growing else "flat",
        )
    return table


def _levels(found: Levels) -> Table:
    table = Table("most in the first and last third")
    for column in ("rows", "dead rows", "MB"):
        table.add_column(column, justify="right")
    for name, sizes in found.tables.items():
        size = _pair((sizes.bytes.first / 1e6, sizes.bytes.last / 1e6), ".1f") if sizes.bytes.last else "-"
        title = f"{name} [dim](kept with its job)[/]" if name in KEPT else name
        table.add_row(title, _pair(_both(sizes.rows)), _pair(_both(sizes.dead)), size)
    table.add_section()
    kafka = found.kafka_bytes
    table.add_row("Kafka's folder", "-", "-", _pair((kafka.first / 1e6, kafka.last / 1e6), ".1f"))
    table.add_row("unfinished steps in Kafka", _pair(_both(found.unfinished_steps)), "-", "-")
    return table


def _both(found: Level) -> tuple[float, float]:
    return found.first, found.last


def _pair(values: Iterable[float], shape: str = ".0f") -> str:
    return " → ".join(f"{value:,{shape}}" for value in values)
