"""Who runs on a state folder now, kept in run.json at each change; and the end of whoever was left behind."""

import asyncio
import os
import signal

from headrace.local.process import POLL_S, Child, family, identify, send_signal
from headrace.local.state import ProcessRecord, RunRecord, State

LEFTOVER_BOUND_S = 15.0


class Roster:
    """The processes of one running stack. Owned by the holder of the state's lock."""

    def __init__(self, state: State) -> None:
        self._state = state
        own = identify(os.getpid())
        self._supervisor = ProcessRecord(pid=os.getpid(), started_ticks=own.started_ticks if own else 0)
        self._processes: dict[str, ProcessRecord] = {}
        self.drain_s = 0.0

    def enter(self, child: Child, port: int | None) -> None:
        before = self._processes.get(child.name)
        self._processes[child.name] = ProcessRecord(
            pid=child.pid,
            started_ticks=child.identity.started_ticks,
            port=port,
            restarts=before.restarts + 1 if before else 0,
        )
        self.write()

    def restarts(self, name: str) -> int:
        record = self._processes.get(name)
        return record.restarts if record else 0

    def write(self) -> None:
        self._state.keep_run_record(
            RunRecord(supervisor=self._supervisor, processes=self._processes, drain_s=self.drain_s)
        )

    def close(self) -> None:
        self._state.forget_run()


async def clear_leftovers(state: State) -> None:
    """Waits for the processes of a killed supervisor, which end by themselves; kills them at the bound."""
    record = state.run_record()
    if record is None:
        return
    deadline = asyncio.get_running_loop().time() + LEFTOVER_BOUND_S
    left = [process.identity for process in record.processes.values()]
    while left := [identity for identity in left if identity.alive()]:
        if asyncio.get_running_loop().time() > deadline:
            for identity in left:
                for pid in family(identity.pid):
                    send_signal(pid, signal.SIGKILL)
            deadline += LEFTOVER_BOUND_S
        await asyncio.sleep(POLL_S)
    state.forget_run()
