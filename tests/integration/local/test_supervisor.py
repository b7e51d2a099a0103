"""The supervisor: restarts what crashes, stops everything when told, leaves nothing behind when killed."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from headrace.local.process import Identity, send_signal
from headrace.local.stack import Stack
from headrace.local.state import RunRecord, State

pytestmark = pytest.mark.stack

SCRIPT = Path(__file__).with_name("supervise_servers.py")
SERVERS = ("postgres", "valkey", "kafka")
BOUND_S = 60.0


class Supervised:
    """A supervisor running in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, state: State) -> None:
        self.process = process
        self.state = state

    async def event(self, *words: str) -> str:
        """The next line it says that begins with these words."""
        assert self.process.stdout is not None
        async with asyncio.timeout(BOUND_S):
            while line := (await self.process.stdout.readline()).decode():
                if line.split()[: len(words)] == list(words):
                    return line
        raise AssertionError(f"it ended without saying {words}")

    def record(self) -> RunRecord:
        record = self.state.run_record()
        assert record is not None
        return record

    def identities(self) -> list[Identity]:
        return [process.identity for process in self.record().processes.values()]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(BOUND_S):
        while not condition():
            await asyncio.sleep(0.05)


@pytest.fixture
async def supervised(state_dir: Path) -> AsyncIterator[Supervised]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SCRIPT), str(state_dir), *SERVERS, stdout=asyncio.subprocess.PIPE
    )
    running = Supervised(process, State(state_dir))
    try:
        await running.event("headrace", "ready")
        yield running
    finally:
        if process.returncode is None:
            send_signal(process.pid, signal.SIGTERM)
        await process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_stops_everything_cleanly(supervised: Supervised, number: signal.Signals) -> None:
    children = supervised.identities()
    assert len(children) == len(SERVERS)

    send_signal(supervised.process.pid, number)
    async with asyncio.timeout(BOUND_S):
        code = await supervised.process.wait()

    assert code == 0
    assert not any(child.alive() for child in children)
    assert not supervised.state.locked()
    assert "database system is shut down" in (supervised.state.logs / "postgres.log").read_text()


async def test_a_killed_supervisor_leaves_no_orphans(supervised: Supervised) -> None:
    children = supervised.identities()

    send_signal(supervised.process.pid, signal.SIGKILL)
    await supervised.process.wait()

    await until(lambda: not any(child.alive() for child in children))
    # The kernel's signal is each server's own for an orderly stop.
    assert "database system is shut down" in (supervised.state.logs / "postgres.log").read_text()


async def test_the_next_start_waits_for_what_a_killed_supervisor_left(supervised: Supervised) -> None:
    ports = supervised.state.ports()
    send_signal(supervised.process.pid, signal.SIGKILL)
    await supervised.process.wait()

    async with Stack(supervised.state.folder, SERVERS) as stack:
        assert dict(stack.ports) == ports


@pytest.mark.parametrize("name", SERVERS)
async def test_a_crashed_process_is_started_again(supervised: Supervised, name: str) -> None:
    before = supervised.record().processes[name]

    send_signal(before.pid, signal.SIGKILL)
    said = await supervised.event(name, "crashed")
    await supervised.event(name, "ready")

    after = supervised.record().processes[name]
    assert "exit code -9; again in 0.5 s" in said
    assert after.restarts == 1
    assert after.pid != before.pid
    assert after.identity.alive()


async def test_a_stop_while_starting_leaves_nothing(state_dir: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SCRIPT), str(state_dir), *SERVERS, stdout=asyncio.subprocess.PIPE
    )
    starting = Supervised(process, State(state_dir))
    await starting.event("valkey", "ready")
    children = starting.identities()

    send_signal(process.pid, signal.SIGINT)
    async with asyncio.timeout(BOUND_S):
        assert await process.wait() == 0

    assert not any(child.alive() for child in children)
    assert not [path for path in Path("/proc").glob("[0-9]*") if works_in(state_dir, path)]


def works_in(folder: Path, process: Path) -> bool:
    try:
        return (process / "cwd").readlink().is_relative_to(folder)
    except OSError:
        return False


async def test_a_demo_that_is_killed_takes_along_what_it_started(state_dir: Path) -> None:
    state = State(state_dir)
    demo = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "headrace",
        "demo",
        env={**os.environ, "HEADRACE_HOME": str(state_dir)},
        stdout=asyncio.subprocess.DEVNULL,
    )
    await until(lambda: (record := state.run_record()) is not None and "postgres" in record.processes)
    record = state.run_record()
    assert record is not None
    started = [record.supervisor.identity, *(each.identity for each in record.processes.values())]

    send_signal(demo.pid, signal.SIGKILL)
    await demo.wait()

    await until(lambda: not any(each.alive() for each in started) and not state.locked())
