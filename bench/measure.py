"""The measurements of one variant over a running system, in order: latency at rest, rounds of load, latency after.

Owns the watcher and the load generators (a process for each phase). Serial; every wait is bounded.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from bench.figures import percentiles_ms
from bench.load import LoadCounts, LoadOrder
from bench.readings import cpu_s_by_name, family_pss_mb, machine_time
from bench.results import Integrity, Latency, Plan, Round
from bench.servers import postgres_work, read_integrity
from bench.system import System, start_helper, stop_helper
from bench.tally import SharedCount, read_accepted, read_seen
from bench.watch import WatchOrder
from bench.window import Reading, Window, window_between
from common.errors import StackError
from common.pipeline import Topic, topic_name
from headrace.local.process import Child

OUTPUTS: Final = topic_name("headrace", Topic.OUTPUTS)
Say = Callable[[str], None]

_LAST_ANSWERS_S: Final = 20.0
_STALL_S: Final = 20.0
_DUPLICATES_S: Final = 1.5
_LATENCY_WARM_UP_S: Final = 3.0
_START_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class _Phase:
    """One run of the load generator."""

    counts: LoadCounts
    accepted_file: Path


@dataclass
class Measurement:
    """The phases of one variant. Use as an async context: the watcher ends with it."""

    system: System
    plan: Plan
    say: Say
    _phases: list[_Phase] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        folder = self.system.folder
        self._seen_file, self._count_file = folder / "seen.bin", folder / "seen.count"
        self._count = SharedCount(self._count_file, create=True)
        order = WatchOrder(
            bootstrap=self.system.stack.endpoints.kafka_bootstrap,
            topic=OUTPUTS,
            seen_file=self._seen_file,
            count_file=self._count_file,
        )
        self._watcher = start_helper("watch", folder, order=order.model_dump_json())
        return self

    async def __aexit__(self, *_: object) -> None:
        await stop_helper(self._watcher)
        self._count.__exit__()

    async def latency(self, seconds: float) -> Latency:
        """Measure at the plan's fixed rate; the first seconds are warm-up and left out."""
        rate = self.plan.latency_rate
        window, phase = await self._window(_LATENCY_WARM_UP_S, seconds, rate)
        seen = dict(read_seen(self._seen_file))
        posts = [post for post in read_accepted(phase.accepted_file) if window.holds(post[1])]
        return Latency(
            rate=rate,
            cpu_ms_a_second={name: 1000 * used_s / window.seconds for name, used_s in window.counted_s.items()},
            strangers_busy_share=window.strangers_share,
            accepted=percentiles_ms([answered_s - begun_s for _, begun_s, answered_s in posts]),
            result=percentiles_ms([seen[job] - begun_s for job, begun_s, _ in posts if job in seen]),
        )

    async def round(self) -> Round:
        """Load without pause: warm-up, then the window that counts."""
        window, phase = await self._window(self.plan.warmup_s, self.plan.seconds, None)
        outputs = sum(window.holds(seen_s) for _, seen_s in read_seen(self._seen_file))
        accepted = sum(window.holds(answered_s) for _, _, answered_s in read_accepted(phase.accepted_file))
        jobs = max(1, outputs)
        cpu_ms = {name: 1000 * used_s / jobs for name, used_s in window.counted_s.items()}
        return Round(
            seconds=window.seconds,
            outputs=outputs,
            accepted=accepted,
            outputs_per_s=outputs / window.seconds,
            accepted_per_s=accepted / window.seconds,
            cpu_ms_a_job=cpu_ms,
            total_cpu_ms_a_job=sum(cpu_ms.values()),
            uncounted_cpu_ms_a_job={name: 1000 * used_s / jobs for name, used_s in window.uncounted_s.items()},
            machine_busy_share=window.machine.busy_share,
            machine_stolen_s=window.machine.stolen_s,
            strangers_busy_share=window.strangers_share,
            commits_a_job=window.commits / jobs,
            wal_bytes_a_job=window.wal_bytes / jobs,
            posted=phase.counts.posted,
            refused=phase.counts.refused,
            unknown=phase.counts.unknown,
        )

    async def hold(self, seconds: float, rate: float) -> LoadCounts:
        """Load at a fixed rate for so long, and wait for the outputs."""
        phase = await self._load(time.monotonic() + seconds, rate)
        return phase.counts

    def pss_mb(self) -> dict[str, float | None]:
        """Return the memory of every service and server now."""
        pids = {**self.system.service_pids, **self.system.server_pids}
        return {name: family_pss_mb(pid) for name, pid in pids.items()}

    async def integrity(self) -> Integrity:
        """Wait a little for what should not come, then hold all phases against outputs and ledger."""
        await asyncio.sleep(_DUPLICATES_S)
        return await read_integrity(
            self.system.stack.endpoints.database_url,
            [phase.accepted_file for phase in self._phases],
            self._seen_file,
            sum(phase.counts.unknown for phase in self._phases),
        )

    async def _window(self, warmup_s: float, seconds: float, rate: float | None) -> tuple[Window, _Phase]:
        """Load for the warm-up and the window, and read all counters at the window's two ends."""
        start_s = time.monotonic() + _START_S + warmup_s
        loading = asyncio.create_task(self._load(start_s + seconds + _START_S, rate))
        try:
            await asyncio.sleep(start_s - time.monotonic())
            first = await self._read()
            await asyncio.sleep(first.at_s + seconds - time.monotonic())
            last = await self._read()
            return window_between(first, last), await loading
        finally:
            loading.cancel()
            with suppress(asyncio.CancelledError):
                await loading

    async def _load(self, stop_at_s: float, rate: float | None) -> _Phase:
        folder, number = self.system.folder, len(self._phases)
        accepted_file = folder / f"accepted-{number}.bin"
        before = self._count.value
        order = LoadOrder(
            port=self.system.port,
            key=self.system.api_key,
            connections=self.plan.connections,
            outstanding=self.plan.outstanding,
            rate=rate,
            stop_at_s=stop_at_s,
            accepted_file=accepted_file,
            count_file=self._count_file,
        )
        printed = folder / "load.out"
        printed.unlink(missing_ok=True)
        self._generator = start_helper("load", folder, order=order.model_dump_json())
        try:
            ended = await self._generator.wait(stop_at_s - time.monotonic() + _LAST_ANSWERS_S)
        finally:
            await stop_helper(self._generator)
        if not ended or self._generator.exit_code() != 0:
            raise _failed(self._generator)
        phase = _Phase(LoadCounts.model_validate_json(printed.read_text()), accepted_file)
        self._phases.append(phase)
        if not phase.counts.accepted:
            raise StackError(
                f"no job was accepted: {phase.counts.model_dump_json()} {self._generator.last_words()}",
                "There is nothing to measure; look at ingestion first.",
            )
        await self._drain(before + phase.counts.accepted)
        return phase

    async def _drain(self, wanted: int) -> None:
        """Wait for the outputs of what was accepted, as long as some come."""
        best, best_at_s = -1, time.monotonic()
        while (count := self._count.value) < wanted:
            if self._watcher.exit_code() is not None:
                raise _failed(self._watcher)
            now_s = time.monotonic()
            if count > best:
                best, best_at_s = count, now_s
            elif now_s - best_at_s > _STALL_S:
                self.say(f"[bold red]{wanted - count} outputs are missing after {_STALL_S:.0f} s without any[/]")
                return
            await asyncio.sleep(0.05)
        # Longer than the watcher's poll, after which it writes out what it noted.
        await asyncio.sleep(0.3)

    async def _read(self) -> Reading:
        system = self.system
        helpers = {"load generator": self._generator, "watcher": self._watcher}
        if system.mock is not None:
            helpers["mock"] = system.mock
        postgres = await postgres_work(system.stack.endpoints.database_url)
        return Reading(
            at_s=time.monotonic(),
            counted_s=cpu_s_by_name({**system.service_pids, **system.server_pids}),
            uncounted_s=cpu_s_by_name({name: child.pid for name, child in helpers.items()}),
            machine=machine_time(),
            postgres=postgres,
        )


def _failed(child: Child) -> StackError:
    return StackError(
        f"{child.name} failed (code {child.exit_code()}): {child.last_words()}", f"Its log was {child.command.log}."
    )
