"""Child processes of the one-machine stack: started from the main thread, tied to this process, no orphans.

A child is asked to stop by the kernel the moment its parent dies (PDEATHSIG, Linux only). That signal follows
the parent's *thread*, so children are started from the main thread alone; waiting is done on the event loop.
"""

import asyncio
import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from common.errors import StackError

PR_SET_PDEATHSIG = 1
POLL_S = 0.02
KILL_BOUND_S = 5.0
NOBODY = 65534
LAST_LINES = 30
LONGEST_WORDS = 400
ERROR_WORDS = re.compile(r"error|fatal|panic|exception|cannot|could not|no module", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Command:
    """What to run and how it is told to stop. ``run_as`` (a uid) only means something to root.

    Standard output goes to the log as well, or to ``output``; ``stdin`` is written at once and closed.
    """

    argv: Sequence[str]
    cwd: Path
    log: Path
    env: Mapping[str, str]
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGTERM
    run_as: int | None = None
    output: Path | None = None
    stdin: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Identity:
    """A pid and its start time in clock ticks since boot: together they are never reused."""

    pid: int
    started_ticks: int

    def alive(self) -> bool:
        stat = _stat(self.pid)
        return stat is not None and stat.started_ticks == self.started_ticks and stat.state != "Z"


@dataclass(frozen=True, slots=True)
class _Stat:
    parent: int
    state: str
    started_ticks: int


def _stat(pid: int) -> _Stat | None:
    try:
        line = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The command name, in parentheses, may itself hold spaces and parentheses.
    fields = line[line.rindex(")") + 2 :].split()
    return _Stat(parent=int(fields[1]), state=fields[0], started_ticks=int(fields[19]))


def identify(pid: int) -> Identity | None:
    """Who has this pid now, or None."""
    stat = _stat(pid)
    return None if stat is None else Identity(pid, stat.started_ticks)


def family(pid: int) -> list[int]:
    """``pid`` and all its living descendants, parents first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))) is not None:
            children.setdefault(stat.parent, []).append(int(entry.name))
    found = [pid]
    for member in found:
        found.extend(children.get(member, ()))
    return found


def send_signal(pid: int, number: signal.Signals) -> None:
    """A signal to a process that may be gone already."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def server_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """A small environment for servers: no keys of the caller's, and a locale that allows any path."""
    kept = {name: os.environ[name] for name in ("HOME", "TZ", "PYTHONPATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {"LC_ALL": "C.UTF-8", "PATH": os.defpath, **kept, **(extra or {})}


class Child:
    """One running child process."""

    def __init__(self, name: str, command: Command) -> None:
        self.name = name
        self.command = command
        self._process = _spawn(command)
        self.pid = self._process.pid
        self.identity = identify(self.pid) or Identity(self.pid, 0)

    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def send(self, number: signal.Signals) -> None:
        if self.exit_code() is None:
            send_signal(self.pid, number)

    def send_family(self, number: signal.Signals) -> None:
        """To the child and everything it started: a hung or killed Postgres is all of its processes."""
        if self.exit_code() is None:
            for pid in family(self.pid):
                send_signal(pid, number)

    async def wait(self, bound_s: float) -> bool:
        """Whether it ended within the bound."""
        deadline = asyncio.get_running_loop().time() + bound_s
        while self.exit_code() is None:
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(POLL_S)
        return True

    async def stop(self, bound_s: float) -> None:
        """Asks, waits, and at the bound kills."""
        self.send(signal.SIGCONT)
        self.send(self.command.stop_signal)
        if not await self.wait(bound_s):
            self.send_family(signal.SIGKILL)
            await self.wait(KILL_BOUND_S)

    def last_words(self) -> str:
        """The line of its log that most likely says why it ended, for an error message."""
        try:
            text = self.command.log.read_text(errors="replace")
        except OSError:
            return ""
        return telling_line(text.splitlines()[-LAST_LINES:])


def telling_line(lines: Sequence[str]) -> str:
    """The last line that speaks of an error, else the last line."""
    said = [line.strip() for line in lines if line.strip()]
    errors = [line for line in said if ERROR_WORDS.search(line)]
    return (errors or said or [""])[-1][:LONGEST_WORDS]


def tie_to_parent(death_signal: signal.Signals) -> Callable[[], None]:
    """Return what a child runs before its program, so that it gets this signal when the starting thread dies."""
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def tie() -> None:
        # Between fork and exec: only what needs no lock. The parent may have died before prctl took hold.
        prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return tie


def _spawn(command: Command) -> subprocess.Popen[bytes]:
    if sys.platform != "linux":
        raise StackError(
            f"The one-machine stack runs on Linux; this is {sys.platform}.", "Point HEADRACE_* at servers."
        )
    if threading.current_thread() is not threading.main_thread():
        raise StackError("Servers must be started from the main thread.", "Run the stack's loop there.")
    as_user = None if command.run_as is None or os.geteuid() != 0 else command.run_as
    try:
        with _appending(command.log) as log, _appending(command.output or command.log) as output:
            process = subprocess.Popen(
                list(command.argv),
                cwd=command.cwd,
                env=dict(command.env),
                stdin=subprocess.DEVNULL if command.stdin is None else subprocess.PIPE,
                stdout=output,
                stderr=log,
                start_new_session=True,
                preexec_fn=tie_to_parent(command.death_signal),  # noqa: PLW1509  started from the main thread
                user=as_user,
                group=as_user,
                extra_groups=None if as_user is None else [],
            )
    except (OSError, subprocess.SubprocessError) as error:
        raise StackError(f"{command.argv[0]} cannot be run: {error}.", "headrace doctor may know why.") from error
    if command.stdin is not None and process.stdin is not None:
        # A few hundred bytes of configuration: they fit the pipe, so this cannot block.
        with process.stdin:
            process.stdin.write(command.stdin)
    return process


def _appending(path: Path) -> BinaryIO:
    """For append, so that a log can be cut short under its writer."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


async def run_to_end(name: str, command: Command, bound_s: float) -> None:
    """A preparation (initdb, storage format) that must succeed; its output goes to the log."""
    child = Child(name, command)
    try:
        ended = await child.wait(bound_s)
    finally:
        child.send_family(signal.SIGKILL)
    if not ended or child.exit_code() != 0:
        outcome = f"ended with code {child.exit_code()}" if ended else f"took over {bound_s:.0f} s"
        raise StackError(f"Preparing {name} {outcome}: {child.last_words()}", f"The whole log is {command.log}.")
