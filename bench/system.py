"""One whole Headrace for one variant: servers, services, mock model, in a temporary folder, all ended afterwards.

Nothing is started again when it dies: a crash ends the measurement. Entered in the main thread only, as every
child is tied to this process (headrace/local/process.py).
"""

import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bench.readings import filesystem_of
from bench.workload import MOCK_LATENCY_MS, RECIPES_FOLDER, Variant, models_toml
from common.errors import StackError
from headrace.local.ports import is_free
from headrace.local.postgres import delete_outside
from headrace.local.process import Child, Command
from headrace.local.server import Report, Server, Site
from headrace.local.services import SERVICES, Service, ensure_api_key, migrate, service_environment
from headrace.local.stack import Stack
from headrace.local.state import write_private

SERVERS: Final = ("postgres", "valkey", "kafka")
MOCK: Final = "mock"
REPOSITORY: Final = Path(__file__).parents[1]
_WATCH_EVERY_S: Final = 0.25
_HELPER_STOP_S: Final = 5.0
_MEMORY_FILESYSTEMS: Final = frozenset({"tmpfs", "ramfs"})


class ProfiledService(Service):
    """A service under cProfile, which slows it and so is not for figures."""

    stop_bound_s = 30.0

    async def prepare(self) -> Command:
        """Run it as the service, profiled into the state folder."""
        command = await super().prepare()
        python, *rest = command.argv
        return replace(command, argv=[python, "-P", "-m", "cProfile", "-o", str(self.profile), *rest[1:]])

    @property
    def profile(self) -> Path:
        """Where the profile is once the service has ended."""
        return self.site.state.folder / f"{self.name}.prof"


@dataclass(frozen=True)
class System:
    """A running system, as the measurements see it."""

    stack: Stack
    services: Mapping[str, Service]
    mock: Child | None
    environment: Mapping[str, str]

    @property
    def port(self) -> int:
        """Where ingestion listens."""
        return self.stack.ports["ingestion"]

    @property
    def api_key(self) -> str:
        """A key that may submit."""
        return self.stack.state.api_key_file.read_text().strip()

    @property
    def folder(self) -> Path:
        """The temporary state folder."""
        return self.stack.state.folder

    @property
    def service_pids(self) -> dict[str, int]:
        """The services by name, in the order of the pipeline."""
        return {name: service.child.pid for name, service in self.services.items() if service.child is not None}

    @property
    def server_pids(self) -> dict[str, int]:
        """The servers by name."""
        return {name: pid for name in self.stack.names if (pid := self.stack.pid(name)) is not None}

    def check_alive(self) -> None:
        """Raise StackError for the first process that has ended."""
        members: list[Server] = [*(self.stack.server(name) for name in self.stack.names), *self.services.values()]
        for member in members:
            if member.child is not None and (code := member.child.exit_code()) is not None:
                raise StackError(
                    f"{member.name} ended with code {code} during the measurement: {member.child.last_words()}",
                    "Its figures would mean nothing; mend that first.",
                )

    async def watch(self) -> None:
        """Raise as soon as a process ends."""
        while True:
            self.check_alive()
            await asyncio.sleep(_WATCH_EVERY_S)


def start_helper(name: str, folder: Path, *arguments: str, order: str | None = None) -> Child:
    """Start a process of the bench's own: ``python -m bench.<name>``, its output in ``<name>.out``."""
    return Child(
        f"bench.{name}",
        Command(
            argv=[sys.executable, "-m", f"bench.{name}", *arguments],
            cwd=REPOSITORY,
            log=folder / "logs" / f"bench-{name}.log",
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            death_signal=signal.SIGKILL,
            output=folder / f"{name}.out",
            stdin=None if order is None else order.encode(),
        ),
    )


async def stop_helper(child: Child) -> None:
    """End a process of the bench's own."""
    await child.stop(_HELPER_STOP_S)


def choose_folder() -> Path:
    """Make a new folder on a real disk: on a file system in memory, fsync would cost nothing."""
    mounts = Path("/proc/mounts").read_text()
    usual = Path(tempfile.gettempdir()).resolve()
    in_memory = filesystem_of(usual, mounts) in _MEMORY_FILESYSTEMS
    return Path(tempfile.mkdtemp(prefix="headrace-bench-", dir="/var/tmp" if in_memory else usual))


@asynccontextmanager
async def running_servers(environ: Mapping[str, str], report: Report) -> AsyncIterator[Stack]:
    """Run the servers in a folder of their own, which is deleted afterwards."""
    folder = choose_folder()
    stack = Stack(folder, SERVERS, free_ports=True, other_ports=(*SERVICES, MOCK), report=report, environ=environ)
    try:
        async with stack:
            yield stack
    finally:
        delete_outside(stack.state)
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def running_system(
    stack: Stack,
    variant: Variant,
    environ: Mapping[str, str],
    settings: Mapping[str, str],
    profiled: Sequence[str] = (),
) -> AsyncIterator[System]:
    """Run the services (and the mock) over running servers. ``settings``: HEADRACE_* to try out."""
    own = {name: value for name, value in environ.items() if not name.startswith("HEADRACE_")}
    ours = {"HEADRACE_RECIPES_PATH": str(RECIPES_FOLDER), **settings}
    environment = service_environment({**own, **ours}, stack.endpoints.environment(), stack.state.models_file)
    async with AsyncExitStack() as cleanup:
        mock = await _start_mock(stack.site, cleanup) if variant == "http" else None
        base_url = f"http://127.0.0.1:{stack.ports[MOCK]}/v1"
        write_private(stack.state.models_file, models_toml(variant, base_url))
        await migrate(stack.site, environment)
        await ensure_api_key(stack.site, environment)
        services = {
            name: (ProfiledService if name in profiled else Service)(name, stack.site, environment) for name in SERVICES
        }
        cleanup.push_async_callback(_stop_all, services)
        async with asyncio.TaskGroup() as group:
            for service in services.values():
                group.create_task(_start(service))
        yield System(stack, services, mock, environment)


async def _start(service: Service) -> None:
    await service.start()
    await service.ready()


async def _stop_all(services: Mapping[str, Service]) -> None:
    async with asyncio.TaskGroup() as group:
        for service in services.values():
            group.create_task(service.stop())


async def _start_mock(site: Site, cleanup: AsyncExitStack) -> Child:
    port = site.ports[MOCK]
    child = start_helper("mock", site.state.folder, str(port), *map(str, MOCK_LATENCY_MS))
    cleanup.push_async_callback(stop_helper, child)
    async with asyncio.timeout(10.0):
        while is_free(port):
            if child.exit_code() is not None:
                raise StackError(f"the mock model ended at once: {child.last_words()}", "Mend bench/mock.py.")
            await asyncio.sleep(0.02)
    return child
