"""``python -m tests.chaos.crash_points [POINT …]``: kills a process at every named crash point, once, under load.

One system lives through all of them. The points of persistence go one after the other, beside those of the other
services, while clients keep submitting; at the end everything that was accepted must have ended rightly.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from common.failpoint import POINTS
from tests.chaos.checker import Finding, Verdict, check, told
from tests.chaos.evidence import FaultSeen
from tests.chaos.fleet import WATCH_EVERY_S
from tests.chaos.healing import healed
from tests.chaos.history import Journal
from tests.chaos.insides import look_inside
from tests.chaos.load import Load
from tests.chaos.model_faults import FAULT_SHARE
from tests.chaos.nemesis import delete_topic, stage_of
from tests.chaos.observe import gather_evidence
from tests.chaos.operator import ENOUGH_USD, Operator
from tests.chaos.run import HEALING_S, HISTORY, QUIET_S
from tests.chaos.system import System, new_history, running_system
from tests.chaos.topics import Tail

SEED: Final = 20_261_203
JOBS_A_S: Final = 7
BURST_JOBS: Final = 7
REACHED_S: Final = 60.0
AGAIN_S: Final = 20.0
HUNG_S: Final = 1.5
NEWEST_JOBS: Final = 40
WARM_OUTPUTS: Final = 20

# Longer than a start, so that what a killed worker had in hand meets its lease and is parked.
SETTINGS: Final = {"HEADRACE_LEASE_S": "10", "HEADRACE_LOST_AFTER_S": "5"}
MENDING: Final = ("reconciler.", "releaser.", "controller.")
# A point that only follows from another crash names the point whose kill leads there.
LEADS: Final[Mapping[str, str]] = {
    "parking.before_commit": "model.after_call",
    "parking.after_commit": "model.after_reserve",
}


@dataclass(slots=True)
class Passage:
    """What became of one point."""

    point: str
    reached_s: float | None
    again_s: float = 0.0


@dataclass(slots=True)
class Tour:
    """The whole tour."""

    history: Path
    passages: list[Passage] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)
    healed_s: float | None = None
    seconds: float = 0.0

    @property
    def missed(self) -> list[str]:
        """Points nobody came by."""
        return [passage.point for passage in self.passages if passage.reached_s is None]

    def lines(self) -> list[str]:
        """Return the report for people."""
        lines = [f"{len(self.passages)} crash points, {self.seconds:.0f} s in all; history in {self.history}", ""]
        for each in self.passages:
            fate = f"killed after {each.reached_s:4.1f} s" if each.reached_s is not None else "NEVER REACHED"
            lines.append(f"  {each.point:<34} {fate}, ready again {each.again_s:4.1f} s later")
        lines += ["", *(f"  {name.replace('_', ' '):<26} {n}" for name, n in self.verdict.figures.items())]
        lines.append(f"  {'healed after':<26} {'never' if self.healed_s is None else f'{self.healed_s:.1f} s'}")
        lines += told(self.verdict.findings)
        passed = self.verdict.passed and not self.missed
        lines.append(f"verdict: {'nothing found' if passed else 'see above'}")
        return lines


class Guide:
    """Leads a running system past the points."""

    def __init__(self, system: System, load: Load, operator: Operator) -> None:
        self._system = system
        self._load = load
        self._operator = operator
        self.faults: list[FaultSeen] = []
        self.passages: list[Passage] = []

    async def walk(self, points: Sequence[str]) -> None:
        """Kill at each of these, one after the other."""
        for point in points:
            await self._pass(point)

    async def _pass(self, point: str) -> None:
        fleet = self._system.fleet
        stage = stage_of(point)
        at = self._system.journal.note("fault", action="kill at " + point, targets=[stage])
        began = time.monotonic()
        with fleet.expecting([stage]):
            done = self._ordered(point)
            # What leads to the second of two is under way since the first; if it comes to nothing, it is tried again.
            reached = _second(point) and await _there(done, AGAIN_S)
            while not reached and time.monotonic() - began < REACHED_S:
                await self._provoke(point)
                reached = await _there(done, AGAIN_S)
            reached_s = time.monotonic() - began if reached else None
            (self._system.orders / point).unlink(missing_ok=True)
            await asyncio.sleep(WATCH_EVERY_S * 3)
            await fleet.ready(stage)
        until = self._system.journal.note("fault_ended", action="kill at " + point, targets=[stage])
        self.faults.append(FaultSeen("kill at " + point, stage, at, until))
        again_s = time.monotonic() - began - (reached_s or 0.0)
        self.passages.append(Passage(point, reached_s, again_s))

    def _ordered(self, point: str) -> Path:
        """Order a point, unless the one before it has done so: what mends may not wait for us between the two."""
        done = self._system.orders / f"{point}.done"
        if not done.exists() and not (self._system.orders / point).exists():
            self._system.order(point, "kill")
        return done

    async def _provoke(self, point: str) -> None:
        """Bring about what leads to a point that plain work does not pass."""
        fleet = self._system.fleet
        before, _, after = point.partition("before_")
        if point.startswith(MENDING) and after:
            # What mends may not wait for us between the two: both are ordered at once.
            self._ordered(f"{before}after_{after}")
        match point:
            case _ if point in LEADS:
                self._system.order(LEADS[point], "kill")
            case _ if point.startswith("relay.recovery"):
                fleet.kill("persistence")
            case "releaser.before_commit" | "releaser.after_commit":
                await self._operator.squeeze()
            case "controller.before_commit" | "controller.after_commit":
                await self._operator.pause_many()
            case "reconciler.before_publish" | "reconciler.after_publish":
                # Prompts that wait while nobody takes them, and are gone with their topic.
                await self._while_hung("model_layer", delete_topic(self._system, "prompts.standard"))
            case "reconciler.before_charge" | "reconciler.after_charge":
                # Calls under way, of jobs that are cancelled, by a worker that dies.
                await self._while_hung("model_server", self._cancel_and_kill())
            case _:
                return

    async def _cancel_and_kill(self) -> None:
        await self._load.cancel_newest(NEWEST_JOBS)
        at = self._system.journal.note("fault", action="kill", targets=["model_layer"])
        self._system.fleet.kill("model_layer")
        self.faults.append(FaultSeen("kill", "model_layer", at, at))

    async def _while_hung(self, stage: str, trouble: Awaitable[None]) -> None:
        await self._system.fleet.ready(stage)
        pid = self._system.fleet.pause(stage)
        try:
            await asyncio.sleep(HUNG_S)
            await trouble
        finally:
            if pid is not None:
                self._system.fleet.resume(pid)


def _second(point: str) -> bool:
    return point.startswith(MENDING) and ".after_" in point


async def _there(file: Path, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not file.exists() and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    return file.exists()


async def tour(points: Sequence[str] = tuple(POINTS), *, history_root: Path = HISTORY) -> Tour:
    """Start a system, lead it past the points, let it heal, and return what was found."""
    began = time.monotonic()
    history = new_history(history_root, "crash-points")
    search = any(point.startswith("indexer.") for point in points)
    async with running_system(
        history, seed=SEED, fault_share=FAULT_SHARE, elasticsearch=search, settings=SETTINGS
    ) as system:
        found = await _tour_on(system, points, search=search)
    found.seconds = time.monotonic() - began
    (history / "report.txt").write_text("\n".join(found.lines()) + "\n")
    return found


async def _tour_on(system: System, points: Sequence[str], *, search: bool) -> Tour:
    endpoints = system.stack.endpoints
    tail = Tail(endpoints.kafka_bootstrap, system.topic("outputs"), system.topic("events"))
    clients = Journal(system.history / "clients.jsonl")
    load = Load(system.api, system.api_key, SEED, clients)
    operator = Operator(system.api, system.api_key, SEED, clients)
    await operator.set_budget(ENOUGH_USD)
    guide = Guide(system, load, operator)
    try:
        async with asyncio.TaskGroup() as group:
            walking = group.create_task(_walk_all(guide, tail, points))
            submitting: list[asyncio.Task[list[str]]] = []
            while not walking.done():
                submitting.append(group.create_task(load.submit(BURST_JOBS, over_s=BURST_JOBS / JOBS_A_S)))
                await asyncio.sleep(BURST_JOBS / JOBS_A_S)
        healed_s = await healed(tail, load.accepted, HEALING_S)
        await asyncio.sleep(QUIET_S)
        verdict = check(await gather_evidence(system, guide.faults, search=search))
        verdict.findings += [Finding("P1", marker, "refused") for marker in load.refused]
        verdict.findings += [Finding("P9", "-", death) for death in system.fleet.deaths]
        verdict.findings += [Finding("inside", "-", wrong) for wrong in await look_inside(endpoints.database_url)]
        return Tour(system.history, guide.passages, verdict, healed_s)
    finally:
        tail.close()
        clients.close()


async def _walk_all(guide: Guide, tail: Tail, points: Sequence[str]) -> None:
    """First what mends, for which something has to be broken in a system that is well; then the rest, in two lines:

    persistence in one, everybody else in the other, so that one recovers while the other is hit.
    """
    while len(tail.outputs) < WARM_OUTPUTS:
        await asyncio.sleep(WATCH_EVERY_S)
    # The reconciler before the releaser: an empty budget would leave no call to charge.
    mending = sorted(
        (point for point in points if point.startswith(MENDING)), key=lambda point: not point.startswith("reconciler.")
    )
    slow = [point for point in mending if point.endswith("_charge")]
    await _side_by_side(guide, slow, [point for point in mending if point not in slow])
    working = [point for point in points if point not in mending]
    ours = [point for point in working if stage_of(point) == "persistence"]
    await _side_by_side(guide, ours, [point for point in working if point not in ours])


async def _side_by_side(guide: Guide, *lines: Sequence[str]) -> None:
    async with asyncio.TaskGroup() as group:
        for line in lines:
            group.create_task(guide.walk(line))


def main() -> int:
    """Run the tour and print it."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.crash_points", description=__doc__)
    parser.add_argument("points", nargs="*", default=list(POINTS), metavar="POINT")
    found = asyncio.run(tour(parser.parse_args().points))
    print("\n".join(found.lines()))
    return 0 if found.verdict.passed and not found.missed else 1


if __name__ == "__main__":
    sys.exit(main())
