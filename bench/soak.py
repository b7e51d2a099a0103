"""``python -m bench soak``: the whole system at half its sustained rate for minutes. What grows that should not?

The scripted provider answers at once. Memory of every process and sizes of tables are read every few seconds while
an open loop posts at a fixed rate; afterwards every accepted job must have come out once.

Exit codes: 0 intact and bounded, 1 integrity broke or outbox or dead letters did not stay bounded, 2 not measured.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import asyncpg
from rich.console import Console

from bench.attended import attended
from bench.load import LoadCounts
from bench.measure import OUTPUTS, Measurement, Say
from bench.results import RESULTS, Durability, Integrity, Machine, Plan, settings_of
from bench.run import commit_id, machine_of, reporter, watched
from bench.sampling import Sample, take_sample
from bench.servers import read_durability
from bench.soaked import SoakPlan, SoakResult, levels, show, trends
from bench.system import System, running_servers, running_system
from bench.workload import Variant
from common.errors import StackError
from headrace.local.stack import plain_reason

_VARIANT: Final[Variant] = "zero"
_SUSTAINED_WARMUP_S: Final = 10.0
_SUSTAINED_S: Final = 20.0
_SHARE: Final = 0.5
_START_AND_STOP_S: Final = 420.0
_WIDTH: Final = 120


@dataclass(frozen=True, slots=True)
class _Soaked:
    rate: float
    sustained_rate: float | None
    counts: LoadCounts
    samples: tuple[Sample, ...]
    integrity: Integrity


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    top = argparse.ArgumentParser(
        prog="python -m bench soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument("--minutes", type=float, default=10.0, help="how long to load; the first two are not judged")
    top.add_argument(
        "--rate", type=float, help="jobs a second; else half of what a closed loop of 10 + 20 s sustains first"
    )
    top.add_argument("--every", type=float, default=5.0, help="seconds between two readings")
    top.add_argument("--connections", type=int, default=64, help="keep-alive connections of the load generator")
    top.add_argument("--outstanding", type=int, default=5_000, help="most jobs submitted and not yet put out")
    top.add_argument(
        "--json", type=Path, help="where to write figures and readings; else bench/results/soak-<time>.json"
    )
    top.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="try a setting: HEADRACE_<NAME>=VALUE"
    )
    return top


async def soak(options: argparse.Namespace, environ: Mapping[str, str], say: Say) -> SoakResult:
    """Run a soak. Raises StackError when something did not start or ended, TimeoutError at the bound."""
    seconds = 60 * options.minutes
    commit, settings = await commit_id(), settings_of(options.set)
    async with asyncio.timeout(_START_AND_STOP_S + 1.5 * seconds):
        say("starting servers")
        async with running_servers(environ, reporter(say)) as stack:
            say("starting services")
            async with running_system(stack, _VARIANT, environ, settings) as system:
                endpoints = stack.endpoints
                durability = await read_durability(endpoints.database_url, endpoints.kafka_bootstrap, OUTPUTS)
                machine = machine_of(system.folder, commit)
                found = await watched(system, _soaked(system, options, settings, say))
    return _result(found, options, settings, durability, machine)


def _result(
    found: _Soaked, options: argparse.Namespace, settings: Mapping[str, str], durability: Durability, machine: Machine
) -> SoakResult:
    seconds = 60 * options.minutes
    return SoakResult(
        at=datetime.now(UTC),
        machine=machine,
        durability=durability,
        plan=SoakPlan(
            seconds=seconds,
            rate=found.rate,
            sustained_rate=found.sustained_rate,
            every_s=options.every,
            connections=options.connections,
            settings=settings,
        ),
        accepted=found.counts.accepted,
        refused=found.counts.refused,
        processes=trends(found.samples, seconds),
        levels=levels(found.samples, seconds),
        integrity=found.integrity,
        samples=found.samples,
    )


async def _soaked(system: System, options: argparse.Namespace, settings: Mapping[str, str], say: Say) -> _Soaked:
    async with Measurement(system, _plan(options, settings), say) as measurement:
        rate, sustained_rate = options.rate, None
        if rate is None:
            say(f"the sustained rate: {_SUSTAINED_WARMUP_S:g} + {_SUSTAINED_S:g} s without pause")
            sustained_rate = (await measurement.round()).outputs_per_s
            rate = _SHARE * sustained_rate
        seconds = 60 * options.minutes
        say(f"{rate:,.0f} jobs/s for {options.minutes:g} min")
        samples: list[Sample] = []
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_sample(system, options.every, seconds, samples, say))
                loading = group.create_task(measurement.hold(seconds, rate))
        except BaseExceptionGroup as errors:
            raise plain_reason(errors) from None
        say("checking every job")
        return _Soaked(rate, sustained_rate, loading.result(), tuple(samples), await measurement.integrity())


async def _sample(system: System, every_s: float, seconds: float, samples: list[Sample], say: Say) -> None:
    """Read at fixed times until the load ends. Raises StackError when somebody does not answer."""
    began_s = time.monotonic()
    lent = await asyncpg.connect(system.stack.endpoints.database_url)
    try:
        while (at_s := time.monotonic() - began_s) <= seconds:
            samples.append(sample := await take_sample(system, lent, at_s))
            if int(at_s / 60) > int((at_s - every_s) / 60):
                say(f"  {at_s / 60:.0f} min: {_told(sample)}")
            await asyncio.sleep(every_s - (time.monotonic() - began_s) % every_s)
    except (OSError, EOFError, asyncpg.PostgresError) as error:
        raise StackError(f"a reading failed: {error!r}", "Look at the log of persistence and of Postgres.") from error
    finally:
        await lent.close()


def _told(sample: Sample) -> str:
    return ", ".join(f"{name} {mb:.0f}" for name, mb in sample.own_mb.items() if mb is not None) + " MB"


def _plan(options: argparse.Namespace, settings: Mapping[str, str]) -> Plan:
    return Plan(
        warmup_s=_SUSTAINED_WARMUP_S,
        seconds=_SUSTAINED_S,
        rounds=1,
        connections=options.connections,
        outstanding=options.outstanding,
        latency_rate=0.0,
        latency_s=0.0,
        calibration_s=0.0,
        settings=settings,
        profiled=(),
    )


def main(words: Sequence[str]) -> int:
    """Soak as the command line says and return the exit code."""
    options = parser().parse_args(words)
    said = Console(stderr=True)
    result = attended(lambda say: soak(options, os.environ, say), said)
    if result is None:
        return 2
    console = Console()
    show(console if console.is_terminal else Console(width=_WIDTH), result)
    path = options.json or RESULTS / f"soak-{result.at:%Y-%m-%dT%H%M%SZ}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(result.model_dump_json(indent=1) + "\n")
    said.print(f"figures: {path}", highlight=False, soft_wrap=True)
    return 1 if result.broken else 0
