"""One chaos run: a system, clients, a nemesis, time to heal, the verdict. Everything random follows from the seed."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from headrace.local.services import SERVICES
from tests.chaos.checker import Finding, Verdict, check, told
from tests.chaos.healing import healed
from tests.chaos.history import Journal
from tests.chaos.insides import look_inside
from tests.chaos.load import Load
from tests.chaos.model_faults import FAULT_SHARE
from tests.chaos.nemesis import Nemesis
from tests.chaos.observe import gather_evidence
from tests.chaos.operator import ENOUGH_USD, Operator
from tests.chaos.plan import Fault
from tests.chaos.recovery import Recovery, recoveries, worst_alone
from tests.chaos.system import CORE_SERVERS, System, new_history, running_system
from tests.chaos.topics import Tail

HISTORY: Final = Path(".chaos")
HEALING_S: Final = 90.0
QUIET_S: Final = 1.5


@dataclass(frozen=True, slots=True)
class Order:
    """What to run."""

    seed: int
    jobs: int
    minutes: float
    plan: Sequence[Fault]
    elasticsearch: bool = False


@dataclass(slots=True)
class Report:
    """What a run came to."""

    order: Order
    history: Path
    verdict: Verdict
    recoveries: list[Recovery] = field(default_factory=list)
    healed_s: float | None = None
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return self.verdict.passed

    def lines(self) -> list[str]:
        """Return the report for people."""
        order, figures = self.order, self.verdict.figures
        lines = [
            f"seed {order.seed}, {order.jobs} jobs over {order.minutes:g} min, {len(order.plan)} faults,"
            f" {self.seconds:.0f} s in all; history in {self.history}",
            "",
            *self._faults(),
            "",
            *(f"  {name.replace('_', ' '):<26} {number}" for name, number in figures.items()),
            f"  {'healed after':<26} {'never' if self.healed_s is None else f'{self.healed_s:.1f} s'}",
        ]
        for what, targets in (("a service", SERVICES), ("a server", CORE_SERVERS)):
            worst = worst_alone(self.recoveries, "kill", targets)
            shown = "-" if worst is None else f"{worst:.1f} s"
            lines.append(f"  {f'worst kill of {what}':<26} {shown}")
        lines += ["", *told(self.verdict.findings)]
        lines.append(f"verdict: {'nothing found' if self.passed else f'{len(self.verdict.findings)} findings'}")
        return lines

    def _faults(self) -> list[str]:
        began = min((each.fault.at for each in self.recoveries), default=0.0)
        lines = ["faults (seconds from the first), and until work flowed again (+: others fell into it):"]
        for each in sorted(self.recoveries, key=lambda each: each.fault.at):
            after = "     -" if each.seconds is None else f"{each.seconds:6.1f} s{'' if each.alone else ' +'}"
            lines.append(f"  {each.fault.at - began:6.1f}  {each.fault.action:<38} {each.fault.target:<18}{after}")
        return lines


async def run(order: Order, *, history_root: Path = HISTORY) -> Report:
    """Run it and return the report, which is also kept in the history."""
    began = time.monotonic()
    history = new_history(history_root, f"seed-{order.seed}")
    (history / "plan.txt").write_text("".join(f"{fault}\n" for fault in order.plan))
    async with running_system(
        history, seed=order.seed, fault_share=FAULT_SHARE, elasticsearch=order.elasticsearch
    ) as system:
        report = await _run_on(system, order)
    report.seconds = time.monotonic() - began
    (history / "report.txt").write_text("\n".join(report.lines()) + "\n")
    return report


async def _run_on(system: System, order: Order) -> Report:
    endpoints = system.stack.endpoints
    tail = Tail(endpoints.kafka_bootstrap, system.topic("outputs"), system.topic("events"))
    clients = Journal(system.history / "clients.jsonl")
    load = Load(system.api, system.api_key, order.seed, clients)
    operator = Operator(system.api, system.api_key, order.seed, clients)
    await operator.set_budget(ENOUGH_USD)
    nemesis = Nemesis(system)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(load.submit(order.jobs, over_s=order.minutes * 60))
            group.create_task(nemesis.run(order.plan))
            group.create_task(operator.run(order.minutes * 60))
        healed_s = await healed(tail, load.accepted, HEALING_S)
        await asyncio.sleep(QUIET_S)
        evidence = await gather_evidence(system, nemesis.faults, search=order.elasticsearch)
        verdict = check(evidence)
        verdict.findings += [Finding("P1", marker, "refused") for marker in load.refused]
        verdict.findings += [Finding("P9", "-", death) for death in system.fleet.deaths]
        verdict.findings += [Finding("inside", "-", wrong) for wrong in await look_inside(endpoints.database_url)]
        verdict.figures["posts"] = load.posts
        found = recoveries(nemesis.faults, evidence.accepted, tail.outputs)
        return Report(order, system.history, verdict, found, healed_s)
    finally:
        tail.close()
        clients.close()
