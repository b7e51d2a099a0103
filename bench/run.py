"""One run of the benchmark: for each variant a fresh system, calibrated, measured, checked and taken down."""

import asyncio
import os
import platform
import pstats
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any, Final, TypeVar

from bench.calibration import Calibration, CalibrationOrder
from bench.measure import OUTPUTS, Measurement, Say
from bench.readings import cpu_model, filesystem_of
from bench.results import BenchResult, Durability, Machine, Plan, VariantResult
from bench.servers import read_durability
from bench.system import (
    REPOSITORY,
    ProfiledService,
    System,
    running_servers,
    running_system,
    start_helper,
    stop_helper,
)
from bench.workload import Variant
from common.errors import StackError
from headrace.local.server import Report
from headrace.local.stack import Stack

_CALIBRATION_BOUND_S: Final = 120.0
_START_AND_STOP_S: Final = 300.0
_PROFILE_LINES: Final = 30
_GIT_S: Final = 10.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found:
    """What one variant gave."""

    result: VariantResult
    durability: Durability
    machine: Machine


async def run(plan: Plan, variants: Sequence[Variant], environ: Mapping[str, str], say: Say) -> BenchResult:
    """Measure each variant. Raises StackError when something did not start or ended, TimeoutError at the bound."""
    commit = await commit_id()
    found = []
    for variant in variants:
        async with asyncio.timeout(_bound_s(plan)):
            found.append(await _variant(variant, plan, environ, commit, say))
    return BenchResult(
        at=datetime.now(UTC),
        machine=found[0].machine,
        durability=found[0].durability,
        plan=plan,
        variants=tuple(each.result for each in found),
    )


def _bound_s(plan: Plan) -> float:
    """Twice what a variant should take, and the time to start and stop it."""
    loads_s = plan.rounds * (plan.warmup_s + plan.seconds) + 2 * plan.latency_s
    return _START_AND_STOP_S + 2 * loads_s + (plan.rounds + 2) * 60.0


async def _variant(variant: Variant, plan: Plan, environ: Mapping[str, str], commit: str, say: Say) -> Found:
    say(f"[bold]{variant}[/]: starting servers")
    async with running_servers(environ, reporter(say)) as stack:
        say(f"{variant}: calibrating the machine")
        calibration = await _calibrate(stack, plan.calibration_s)
        say(f"{variant}: starting services")
        async with running_system(stack, variant, environ, plan.settings, plan.profiled) as system:
            durability = await read_durability(stack.endpoints.database_url, stack.endpoints.kafka_bootstrap, OUTPUTS)
            result = await watched(system, _measure(variant, system, plan, calibration, say))
        for service in system.services.values():
            if isinstance(service, ProfiledService):
                say(f"[bold]profile of {service.name}[/] (seconds of one whole run, profiler's own cost included)")
                say(_profile(service.profile))
        return Found(result, durability, machine_of(system.folder, commit))


def reporter(say: Say) -> Report:
    """Return a report of starting servers that tells only what takes long or goes wrong."""

    def report(name: str, phase: str, detail: str) -> None:
        if phase in {"fetching", "failed"}:
            say(f"{name} {phase} {detail}")

    return report


async def watched(system: System, measuring: Coroutine[Any, Any, T]) -> T:
    """Measure; a process that ends meanwhile ends the measurement."""
    watching = asyncio.create_task(system.watch())
    work = asyncio.create_task(measuring)
    try:
        await asyncio.wait({watching, work}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            watching.result()
        return await work
    finally:
        for task in (watching, work):
            task.cancel()
            with suppress(asyncio.CancelledError, StackError):
                await task


async def _measure(variant: Variant, system: System, plan: Plan, calibration: Calibration, say: Say) -> VariantResult:
    async with Measurement(system, plan, say) as measurement:
        say(f"{variant}: latency at rest, {plan.latency_rate:g} jobs/s")
        at_rest = await measurement.latency(plan.latency_s)
        rounds = []
        for number in range(1, plan.rounds + 1):
            say(f"{variant}: round {number} of {plan.rounds}, {plan.warmup_s:g} + {plan.seconds:g} s")
            rounds.append(measured := await measurement.round())
            say(f"  {measured.outputs_per_s:,.0f} jobs/s, {measured.total_cpu_ms_a_job:.3f} CPU-ms a job")
        pss_mb = measurement.pss_mb()
        say(f"{variant}: latency after load")
        after_load = await measurement.latency(plan.latency_s)
        integrity = await measurement.integrity()
    ours = [pss_mb[name] for name in system.service_pids]
    return VariantResult(
        variant=variant,
        calibration=calibration,
        latency_at_rest=at_rest,
        rounds=tuple(rounds),
        latency_after_load=after_load,
        pss_mb=pss_mb,
        headrace_pss_mb=None if None in ours else sum(each or 0.0 for each in ours),
        integrity=integrity,
    )


async def _calibrate(stack: Stack, loop_s: float) -> Calibration:
    kafka, postgres = stack.pid("kafka"), stack.pid("postgres")
    assert kafka is not None
    assert postgres is not None
    order = CalibrationOrder(
        bootstrap=stack.endpoints.kafka_bootstrap,
        database_url=stack.endpoints.database_url,
        kafka_pid=kafka,
        postgres_pid=postgres,
        loop_s=loop_s,
    )
    child = start_helper("calibration", stack.state.folder, order=order.model_dump_json())
    try:
        ended = await child.wait(_CALIBRATION_BOUND_S + 3 * loop_s)
    finally:
        await stop_helper(child)
    if not ended or child.exit_code() != 0:
        raise StackError(f"the calibration failed: {child.last_words()}", f"Its log was {child.command.log}.")
    return Calibration.model_validate_json((stack.state.folder / "calibration.out").read_text())


def _profile(path: Path) -> str:
    if not path.exists():
        return "none was written: the service did not end by itself"
    text = StringIO()
    pstats.Stats(str(path), stream=text).sort_stats("tottime").print_stats(_PROFILE_LINES)
    return text.getvalue()


def machine_of(folder: Path, commit: str) -> Machine:
    """Return where this runs."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Machine(
        cpu=cpu_model(Path("/proc/cpuinfo").read_text()),
        cpus=len(os.sched_getaffinity(0)),
        memory_mb=round(pages / 1e6),
        kernel=platform.release(),
        python=platform.python_version(),
        filesystem=filesystem_of(folder, Path("/proc/mounts").read_text()),
        commit=commit,
    )


async def commit_id() -> str:
    """Return the commit that is checked out, with a plus where files differ; unknown outside git."""

    async def git(*arguments: str) -> str:
        child = await asyncio.create_subprocess_exec(
            "git", *arguments, cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        output, _ = await asyncio.wait_for(child.communicate(), _GIT_S)
        return output.decode().strip() if child.returncode == 0 else ""

    try:
        commit = await git("rev-parse", "--short=12", "HEAD")
        changed = await git("status", "--porcelain", "--untracked-files=no")
    except (OSError, TimeoutError):
        return "unknown"
    return (commit or "unknown") + ("+" if changed else "")
