"""A running stack seen from another process: what runs, where, and whether each part is ready or why not."""

import asyncio

from pydantic import BaseModel, ConfigDict

from headrace.local.server import Server, answers
from headrace.local.services import SERVICES, Service
from headrace.local.stack import SERVERS, Stack
from headrace.local.state import ProcessRecord, State


class ProcessStatus(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str
    kind: str
    pid: int
    port: int | None
    restarts: int
    ready: bool
    reason: str = ""


class StackStatus(BaseModel):
    """``running`` says that a supervisor holds the state; ``processes`` are those it has started so far."""

    model_config = ConfigDict(frozen=True)

    state_dir: str
    running: bool
    supervisor_pid: int | None = None
    url: str | None = None
    processes: tuple[ProcessStatus, ...] = ()

    @property
    def all_ready(self) -> bool:
        return self.running and all(process.ready for process in self.processes)


async def inspect_stack(state: State) -> StackStatus:
    """Asks every process at once; each answer is bounded in time."""
    record = state.run_record()
    if record is None or not state.locked() or not state.exists():
        return StackStatus(state_dir=str(state.folder), running=False)
    stack = Stack(state.folder, record.processes.keys())
    stack.attach()
    members: list[Server] = [stack.server(name) for name in SERVERS if name in record.processes]
    members += [Service(name, stack.site, {}) for name in SERVICES if name in record.processes]
    found = await asyncio.gather(*(_status(member, record.processes[member.name]) for member in members))
    ingestion = record.processes.get("ingestion")
    return StackStatus(
        state_dir=str(state.folder),
        running=True,
        supervisor_pid=record.supervisor.pid,
        url=f"http://127.0.0.1:{ingestion.port}" if ingestion else None,
        processes=tuple(found),
    )


async def _status(member: Server, record: ProcessRecord) -> ProcessStatus:
    alive = record.identity.alive()
    ready = alive and await answers(member.probe)
    why_not = member.unready_reason() if alive else "ended; it is started again with back-off"
    return ProcessStatus(
        name=member.name,
        kind="service" if isinstance(member, Service) else "server",
        pid=record.pid,
        port=record.port,
        restarts=record.restarts,
        ready=ready,
        reason="" if ready else why_not,
    )
