"""Carries out a plan against a running system and notes when each fault began and ended.

Faults may overlap; one target suffers one at a time. Everything it stops or changes is put right again, also when
the run is broken off.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from confluent_kafka.admin import AdminClient

from tests.chaos.evidence import FaultSeen
from tests.chaos.fleet import WATCH_EVERY_S
from tests.chaos.plan import Action, Fault
from tests.chaos.system import MOST_INSTANCES, System

_POINT_S = 8.0
_STOP_LEAST_S = 0.5
_PERSISTENCE_POINTS = ("relay.", "writer.", "indexer.", "persistence.", "reconciler.", "releaser.", "controller.")


def stage_of(point: str) -> str:
    """The service that comes by a crash point."""
    if point.startswith(("submit.", "ingestion.", "cancel.", "pause.", "resume.")):
        return "ingestion"
    if point.startswith(_PERSISTENCE_POINTS):
        return "persistence"
    # Here only the model layer parks: for a lease that another holds.
    if point.startswith(("model", "parking.")):
        return "model_layer"
    return point.partition(".")[0]


async def delete_topic(system: System, topic: str) -> None:
    """Delete a work topic with everything in it."""
    admin = AdminClient({"bootstrap.servers": system.stack.endpoints.kafka_bootstrap})
    name = system.topic(topic)
    await asyncio.to_thread(admin.delete_topics([name], operation_timeout=10)[name].result)


class Nemesis:
    """One run of faults."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.faults: list[FaultSeen] = []

    async def run(self, plan: Sequence[Fault]) -> None:
        """Carry out the plan; returns once the last fault has ended."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for fault in plan:
                await asyncio.sleep(max(0.0, began + fault.at_s - time.monotonic()))
                group.create_task(self._carry_out(fault))

    async def _carry_out(self, fault: Fault) -> None:
        match fault.action:
            case Action.KILL:
                await asyncio.gather(*(self._kill(target) for target in fault.targets))
            case Action.STOP:
                await asyncio.gather(*(self._stop(target, fault.lasts_s) for target in fault.targets))
            case Action.RESTART:
                await asyncio.gather(*(self._restart(target) for target in fault.targets))
            case Action.KILL_AT:
                await self._kill_at(fault.targets[0])
            case Action.STOP_AT:
                await self._stop_at(fault.targets[0], fault.lasts_s)
            case Action.SCALE:
                await self._scale(fault.targets[0], fault.lasts_s)
            case Action.HANG_ONE:
                await self._hang_one(fault.targets[0], fault.lasts_s)
            case Action.KILL_BEHIND:
                await self._kill_behind(*fault.targets)
            case Action.ROLL:
                for name in [*self._system.stack.names, *self._system.fleet.names]:
                    await self._restart(name)
            case Action.DELETE_TOPIC:
                await self._delete_topic(fault.targets[0])

    async def _kill(self, target: str) -> None:
        async with self._noted("kill", target):
            if target in self._system.stack.names:
                await self._system.stack.kill_server(target)
                await self._system.stack.start_server(target)
            else:
                for name in self._system.fleet.of(target):
                    self._system.fleet.kill(name)
                await self._all_ready(target)

    async def _stop(self, target: str, lasts_s: float) -> None:
        async with self._noted("stop", target):
            if target in self._system.stack.names:
                self._system.stack.pause_server(target)
                try:
                    await asyncio.sleep(lasts_s)
                finally:
                    self._system.stack.resume_server(target)
                return
            pids = [pid for name in self._system.fleet.of(target) if (pid := self._system.fleet.pause(name))]
            try:
                await asyncio.sleep(lasts_s)
            finally:
                for pid in pids:
                    self._system.fleet.resume(pid)

    async def _restart(self, target: str) -> None:
        async with self._noted("restart", target):
            if target in self._system.stack.names:
                await self._system.stack.restart_server(target)
            else:
                for name in self._system.fleet.of(target) or [target]:
                    await self._system.fleet.restart(name)

    async def _kill_at(self, point: str) -> None:
        stage = stage_of(point)
        async with self._noted("kill at " + point, stage):
            fleet = self._system.fleet
            with fleet.expecting(fleet.of(stage)):
                if await self._reached(point, "kill", first_kill=point.startswith("relay.recovery")):
                    await asyncio.sleep(WATCH_EVERY_S * 3)
                await self._all_ready(stage)

    async def _stop_at(self, point: str, lasts_s: float) -> None:
        stage = stage_of(point)
        async with self._noted("stop at " + point, stage):
            fleet = self._system.fleet
            pids = [child.pid for name in fleet.of(stage) if (child := fleet.instance(name).child) is not None]
            try:
                if await self._reached(point, "stop"):
                    await asyncio.sleep(max(_STOP_LEAST_S, lasts_s))
            finally:
                for pid in pids:
                    fleet.resume(pid)

    async def _kill_behind(self, point: str, server: str) -> None:
        """Hang whoever comes by a point, and kill the server it was talking to before it goes on."""
        stage = stage_of(point)
        fleet, stack = self._system.fleet, self._system.stack
        async with self._noted("kill behind " + point, stage, server):
            pids = [child.pid for name in fleet.of(stage) if (child := fleet.instance(name).child) is not None]
            try:
                if await self._reached(point, "stop", first_kill=point.startswith("relay.recovery")):
                    await stack.kill_server(server)
            finally:
                # Whoever hangs may have started since: a process that does not hang is not disturbed.
                pids += [child.pid for name in fleet.of(stage) if (child := fleet.instance(name).child) is not None]
                for pid in pids:
                    fleet.resume(pid)
                await stack.start_server(server)

    async def _reached(self, point: str, action: str, *, first_kill: bool = False) -> bool:
        """Order a point and wait until somebody came by; an order nobody met is taken back.

        ``first_kill``: the point lies in a start, so there has to be one.
        """
        done = self._system.order(point, action)
        if first_kill:
            for name in self._system.fleet.of(stage_of(point)):
                self._system.fleet.kill(name)
        deadline = time.monotonic() + _POINT_S
        while time.monotonic() < deadline:
            if done.exists():
                done.unlink()
                return True
            await asyncio.sleep(0.02)
        (self._system.orders / point).unlink(missing_ok=True)
        reached = done.exists()
        done.unlink(missing_ok=True)
        return reached

    async def _scale(self, stage: str, lasts_s: float) -> None:
        """From one process to three and back: the group rebalances twice or more."""
        async with self._noted("scale", stage, lock="scale " + stage):
            more = [self._system.another(stage, number) for number in range(2, MOST_INSTANCES + 1)]
            try:
                await self._system.fleet.join(*more)
                await asyncio.sleep(lasts_s)
            finally:
                for each in more:
                    await self._system.fleet.remove(each.name)

    async def _hang_one(self, stage: str, lasts_s: float) -> None:
        """One of three sleeps until its partitions, and its leases, are others'; then it wakes up."""
        async with self._noted("hang one of three", stage, lock="scale " + stage):
            more = [self._system.another(stage, number) for number in range(2, MOST_INSTANCES + 1)]
            try:
                await self._system.fleet.join(*more)
                pid = self._system.fleet.pause(more[0].name)
                try:
                    await asyncio.sleep(lasts_s)
                finally:
                    if pid is not None:
                        self._system.fleet.resume(pid)
                await asyncio.sleep(_STOP_LEAST_S)
            finally:
                for each in more:
                    await self._system.fleet.remove(each.name)

    async def _delete_topic(self, topic: str) -> None:
        async with self._noted("delete topic", topic):
            await delete_topic(self._system, topic)

    async def _all_ready(self, stage: str) -> None:
        await asyncio.gather(*(self._system.fleet.ready(name) for name in self._system.fleet.of(stage)))

    @asynccontextmanager
    async def _noted(self, action: str, *targets: str, lock: str | None = None) -> AsyncIterator[None]:
        async with AsyncExitStack() as held:
            for name in sorted(targets) if lock is None else [lock]:
                await held.enter_async_context(self._locks[name])
            at = self._system.journal.note("fault", action=action, targets=targets)
            try:
                yield
            finally:
                until = self._system.journal.note("fault_ended", action=action, targets=targets)
                self.faults += [FaultSeen(action, target, at, until) for target in targets]
