"""Starting and stopping from the shell: in the foreground, in the background, and by ``down``."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from common.errors import StackError
from headrace.commands.progress import WHOLE, Lines, StartTable, event_line, parse_event
from headrace.local.logs import follow
from headrace.local.postgres import delete_outside
from headrace.local.process import Identity, family, send_signal, tie_to_parent
from headrace.local.roster import clear_leftovers
from headrace.local.services import SERVICES, forget_models_file
from headrace.local.state import State
from headrace.local.supervisor import Supervisor

STOP_BOUND_S = 45.0
POLL_S = 0.05
# Where there is no table to watch, the rest would be noise; the log has it all.
SPOKEN = {"fetching", "starting", "ready", "crashed", "failed"}
SUPERVISOR_LOG = "supervisor.log"


class Screen:
    """What a person sees of a run: a table while it starts, then one line an event. Also kept in a log."""

    def __init__(self, console: Console, state: State, servers: Sequence[str], *, log: Path | None) -> None:
        self._console = console
        self._state = state
        self._log = log
        self._lines = Lines(console)
        rows = [*servers, "schema", *SERVICES]
        self._table = StartTable(console, rows) if console.is_terminal else None
        self._began_s = time.monotonic()

    def __call__(self, name: str, phase: str, detail: str) -> None:
        if self._log is not None:
            # A full disk must not end the supervisor: what it says is on the screen too.
            with suppress(OSError), self._log.open("a") as log:
                log.write(event_line(name, phase, detail) + "\n")
        if name == WHOLE:
            self.close()
            self._say(phase, detail)
        elif self._table is not None:
            self._table(name, phase, detail)
        elif phase in SPOKEN:
            self._lines(name, phase, detail)

    def close(self) -> None:
        if self._table is not None:
            self._table.stop()
            self._table = None

    def _say(self, phase: str, detail: str) -> None:
        if phase == "ready":
            took_s = time.monotonic() - self._began_s
            self._console.print(f"\n[bold green]Headrace is ready[/] after {took_s:.1f} s: {detail}", highlight=False)
            self._console.print(f"  API key  {self._state.api_key_file}", highlight=False, soft_wrap=True)
            self._console.print(f"  models   {self._state.models_file}", highlight=False, soft_wrap=True)
            self._console.print("  more     headrace status, headrace logs, headrace doctor, headrace down")
        elif phase == "stopping":
            self._console.print("Stopping…")
        elif phase == "stopped":
            self._console.print("Stopped. All data is kept.")


def in_foreground(state_dir: Path, servers: Sequence[str], *, free_ports: bool) -> None:
    """Runs until Ctrl-C or SIGTERM."""
    state = State(state_dir)
    screen = Screen(Console(), state, servers, log=state.logs / SUPERVISOR_LOG)
    supervisor = Supervisor(state_dir, servers, os.environ, screen, free_ports=free_ports)
    try:
        asyncio.run(supervisor.run())
    except StackError as error:
        if state.logs.exists() and not state.locked():
            screen(WHOLE, "failed", f"{error.problem} {error.mend}")
        raise
    finally:
        screen.close()


def in_background(
    state_dir: Path,
    servers: Sequence[str],
    *,
    free_ports: bool,
    settings: Mapping[str, str] | None = None,
    outlives_us: bool = True,
) -> None:
    """Starts a supervisor in a session of its own and returns when it is ready, or raises why not.

    ``settings`` are further variables for its environment. Unless it ``outlives_us`` it stops when this process
    is gone, however that ends.
    """
    state = State(state_dir)
    # Refuses what the background process would refuse, while there is somebody to tell.
    state.acquire()
    state.release()
    log = state.logs / SUPERVISOR_LOG
    start_bytes = log.stat().st_size if log.exists() else 0
    left_out = sorted({"elasticsearch", "llm"} - set(servers))
    options = [word for name in left_out for word in ("--without", name)]
    options += ["--free-ports"] if free_ports else []
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "headrace", "up", *options],
            env={**os.environ, **(settings or {}), "HEADRACE_HOME": str(state.folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
            preexec_fn=None if outlives_us else tie_to_parent(signal.SIGTERM),  # noqa: PLW1509  no other threads yet
        )
    screen = Screen(Console(), state, servers, log=None)
    try:
        asyncio.run(_until_ready(process, log, start_bytes, screen))
    except KeyboardInterrupt:
        process.send_signal(signal.SIGTERM)
        process.wait()
        raise
    finally:
        screen.close()


async def _until_ready(process: subprocess.Popen[bytes], log: Path, start_bytes: int, screen: Screen) -> None:
    reading = asyncio.create_task(_show_events(log, start_bytes, screen))
    while not reading.done():
        if process.poll() is not None:
            # It has written its last line before it ended; give the reader one more round.
            await asyncio.wait({reading}, timeout=1.0)
            break
        await asyncio.sleep(POLL_S)
    problem = reading.result() if reading.done() else "The background process ended while starting."
    reading.cancel()
    if problem:
        raise StackError(problem, "See headrace logs supervisor.")


async def _show_events(log: Path, start_bytes: int, screen: Screen) -> str:
    """Empty when ready, else what went wrong."""
    async for _, line in follow([log], [start_bytes]):
        event = parse_event(line)
        if event is None:
            continue
        name, phase, detail = event
        if name == WHOLE and phase == "failed":
            return detail
        screen(name, phase, detail)
        if name == WHOLE and phase == "ready":
            return ""
    return ""


def stop_running(state: State) -> bool:
    """Stops the stack that holds this state and waits for its end. False: none did."""
    if not state.locked():
        return False
    record = state.run_record()
    if record is None or not record.supervisor.identity.alive():
        raise StackError(f"A stack is just starting or stopping on {state.folder}.", "Try again in a moment.")
    supervisor = record.supervisor.identity
    send_signal(supervisor.pid, signal.SIGTERM)
    if not _gone(supervisor, state, STOP_BOUND_S + record.drain_s):
        # Its children go with it: the kernel tells them.
        for pid in family(supervisor.pid):
            send_signal(pid, signal.SIGKILL)
        _gone(supervisor, state, STOP_BOUND_S)
    asyncio.run(clear_leftovers(state))
    return True


def _gone(supervisor: Identity, state: State, bound_s: float) -> bool:
    deadline = time.monotonic() + bound_s
    while state.locked() or supervisor.alive():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def delete_data(state: State) -> bool:
    """Deletes what stacks made here; False when there is nothing. Raises StackError while one runs."""
    if not state.exists():
        return False
    state.acquire()
    try:
        asyncio.run(clear_leftovers(state))
        delete_outside(state)
        forget_models_file(state)
        state.delete()
    finally:
        state.release()
    return True
