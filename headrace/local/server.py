"""What every server of the stack is: something that can be started, awaited, stopped and addressed.

``start`` returns when the process runs, ``ready`` when it serves; both raise StackError with the log's end.
"""

import asyncio
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from common.errors import StackError
from headrace.local.jars import JarCache
from headrace.local.ports import LOOPBACK
from headrace.local.process import Child, Command, run_to_end
from headrace.local.state import Secrets, State

PREPARE_BOUND_S = 120.0
PROBE_EVERY_S = 0.05
PROBE_BOUND_S = 3.0

# (server, phase, detail): "fetching", "preparing", "starting", "ready", "stopping", "stopped", "failed".
Report = Callable[[str, str, str], None]


def silent(name: str, phase: str, detail: str) -> None:
    """The report of those who do not watch."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a server lives: its state, its ports, and who wants to hear how it goes."""

    state: State
    secrets: Secrets
    ports: Mapping[str, int]
    jar_cache: JarCache
    report: Report = silent

    def folder(self, name: str) -> Path:
        path = self.state.folder / name
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    def log(self, name: str) -> Path:
        return self.state.logs / f"{name}.log"


class Server(ABC):
    """One real server as a child process on loopback."""

    name: str
    ready_bound_s = 120.0
    stop_bound_s = 10.0

    def __init__(self, site: Site) -> None:
        self.site = site
        self.child: Child | None = None

    @property
    def port(self) -> int:
        return self.site.ports[self.name]

    @property
    @abstractmethod
    def endpoint(self) -> str:
        """The address clients are given, credentials included."""

    @abstractmethod
    async def prepare(self) -> Command:
        """Makes what the server needs (at the first start: its data folder) and says how to run it."""

    @abstractmethod
    async def probe(self) -> bool:
        """Whether it serves. OSError and TimeoutError mean not yet."""

    def unready_reason(self) -> str:
        """After a probe that said no: why."""
        return "does not answer"

    async def start(self) -> None:
        if self.running:
            return
        self.site.report(self.name, "preparing", "")
        command = await self.prepare()
        self.site.report(self.name, "starting", "")
        self.child = Child(self.name, command)

    async def ready(self) -> None:
        deadline = asyncio.get_running_loop().time() + self.ready_bound_s
        while True:
            child = self._child()
            code = child.exit_code()
            if code is not None:
                raise self._failed(f"ended with code {code} while starting: {child.last_words()}")
            if await answers(self.probe):
                self.site.report(self.name, "ready", "")
                return
            if asyncio.get_running_loop().time() > deadline:
                raise self._failed(f"was not ready within {self.ready_bound_s:.0f} s: {self.unready_reason()}")
            await asyncio.sleep(PROBE_EVERY_S)

    async def stop(self) -> None:
        if self.child is None:
            return
        self.site.report(self.name, "stopping", "")
        await self.child.stop(self.stop_bound_s)
        self.site.report(self.name, "stopped", "")

    @property
    def running(self) -> bool:
        return self.child is not None and self.child.exit_code() is None

    async def kill(self) -> None:
        """SIGKILL, as a crash would; waits until the process is gone."""
        child = self._child()
        child.send_family(signal.SIGKILL)
        await child.wait(self.stop_bound_s)

    def pause(self) -> None:
        """SIGSTOP: the server hangs, its connections stay open."""
        self._child().send_family(signal.SIGSTOP)

    def resume(self) -> None:
        self._child().send_family(signal.SIGCONT)

    def _child(self) -> Child:
        if self.child is None:
            raise StackError(f"{self.name} was not started.", "Start the stack first.")
        return self.child

    def _failed(self, what: str) -> StackError:
        self.site.report(self.name, "failed", "")
        return StackError(f"{self.name} {what}", f"Its log is {self.site.log(self.name)}; see headrace doctor.")

    async def _run(self, command: Command, bound_s: float = PREPARE_BOUND_S) -> None:
        await run_to_end(self.name, command, bound_s)


async def answers(probe: Callable[[], Awaitable[bool]], bound_s: float = PROBE_BOUND_S) -> bool:
    """A probe's answer, no answer in time being a no."""
    try:
        async with asyncio.timeout(bound_s):
            return await probe()
    except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
        return False


async def get_json_status(port: int, path: str) -> tuple[int, bytes]:
    """Status and body of one loopback GET, over HTTP/1.0 so that the body simply ends with the connection."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {LOOPBACK}\r\nAccept: application/json\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.read()
    finally:
        writer.close()
    return int(head.split(b" ", 2)[1]), body


def link_jars(folder: Path, jars: list[Path]) -> None:
    """A flat folder of links, because Java's path lists cannot hold a colon and Maven's layout is deep."""
    folder.mkdir(exist_ok=True)
    wanted = {jar.name: jar for jar in jars}
    for link in folder.glob("*.jar"):
        if wanted.get(link.name) != Path(os.path.realpath(link)):
            link.unlink()
    for name, jar in wanted.items():
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(jar)
