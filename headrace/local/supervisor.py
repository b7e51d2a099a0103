"""What ``headrace up`` runs: servers, the schema, the five services, all watched until told to stop.

One task owns each start; one loop watches all children and starts crashed ones again with back-off. Services
stop before servers. Nothing here outlives the process: see process.py.
"""

import asyncio
import signal
from collections.abc import Awaitable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from common.errors import StackError
from headrace.local import logs
from headrace.local.server import Report, Server
from headrace.local.services import (
    SERVICES,
    Service,
    drain_s,
    ensure_api_key,
    migrate,
    service_environment,
    write_models_file,
)
from headrace.local.stack import Stack, plain_reason

WATCH_EVERY_S = 0.1
BOUND_LOGS_EVERY_S = 5.0
FIRST_BACKOFF_S = 0.5
LAST_BACKOFF_S = 30.0
# Up for this long, a process is taken to be well again.
WELL_AFTER_S = 60.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
NEEDED_BY_SERVICES = ("postgres", "valkey", "kafka")


def backoff_s(crashes: int) -> float:
    """How long to wait after this many crashes in a row (the first is 1)."""
    return min(LAST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** (crashes - 1))


@dataclass(slots=True)
class _Health:
    """What is known of one watched process: its crashes in a row, and since when it runs."""

    crashes: int = 0
    started_s: float = 0.0


class Supervisor:
    """One run of the whole system over one state folder."""

    def __init__(
        self,
        state_dir: Path,
        servers: Collection[str],
        environ: Mapping[str, str],
        report: Report,
        *,
        free_ports: bool = False,
        services: Collection[str] = SERVICES,
    ) -> None:
        self._environ = environ
        self._report = report
        self._service_names = tuple(services)
        self.stack = Stack(
            state_dir,
            servers,
            free_ports=free_ports,
            other_ports=self._service_names,
            report=report,
            environ=environ,
        )
        self._services: dict[str, Service] = {}
        self._restarting: dict[str, asyncio.Task[None]] = {}
        self._health: dict[str, _Health] = {}

    async def run(self) -> None:
        """Until SIGINT, SIGTERM or SIGHUP; returns with all stopped. Raises the start's StackError."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._asked_to_stop, stop)
        await self.stack.open()
        try:
            if await _unless(stop, self.start()):
                self._report("headrace", "ready", self.url)
                await _unless(stop, self.watch())
        finally:
            self._report("headrace", "stopping", "")
            await self.stop()
            self._report("headrace", "stopped", "")

    def _asked_to_stop(self, stop: asyncio.Event) -> None:
        """The second time of asking, nothing is waited for: everything here survives a SIGKILL."""
        if stop.is_set():
            for member in self._members():
                if member.child is not None:
                    member.child.send_family(signal.SIGKILL)
        stop.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.stack.ports.get('ingestion', 0)}"

    async def start(self) -> None:
        """Starts all that can run at once, at once; the services when their database and broker are there."""
        state = self.stack.state
        write_models_file(state)
        environment = service_environment(self._environ, self.stack.endpoints.environment(), state.models_file)
        self.stack.roster.drain_s = drain_s(environment)
        self._services = {name: Service(name, self.stack.site, environment) for name in self._service_names}
        try:
            async with asyncio.TaskGroup() as group:
                servers = {name: group.create_task(self.stack.start_server(name)) for name in self.stack.names}
                if not self._services:
                    return
                schema = group.create_task(self._prepare_database(servers.get("postgres"), environment))
                needed = [servers[name] for name in NEEDED_BY_SERVICES if name in servers]
                for service in self._services.values():
                    group.create_task(self._start_after([*needed, schema], service))
        except BaseExceptionGroup as errors:
            raise plain_reason(errors) from None

    async def _prepare_database(self, postgres: Awaitable[None] | None, environment: Mapping[str, str]) -> None:
        if postgres is not None:
            await postgres
        self._report("schema", "starting", "")
        try:
            await migrate(self.stack.site, environment)
            await ensure_api_key(self.stack.site, environment)
        except StackError:
            self._report("schema", "failed", "")
            raise
        self._report("schema", "ready", "")

    async def _start_after(self, needed: list[asyncio.Task[None]], service: Service) -> None:
        for task in needed:
            await task
        await self._start_member(service)

    async def _start_member(self, member: Server) -> None:
        await member.start()
        if member.child is not None:
            self.stack.roster.enter(member.child, member.port)
        await member.ready()

    async def watch(self) -> None:
        """Starts crashed processes again, and keeps logs small, for ever."""
        loop = asyncio.get_running_loop()
        self._health = {member.name: _Health(started_s=loop.time()) for member in self._members()}
        bound_logs_at = loop.time()
        async with asyncio.TaskGroup() as group:
            while True:
                for member in self._members():
                    task = self._restarting.get(member.name)
                    if not member.running and (task is None or task.done()):
                        restart = self._restart(member, self._health[member.name])
                        self._restarting[member.name] = group.create_task(restart)
                if loop.time() >= bound_logs_at:
                    bound_logs_at = loop.time() + BOUND_LOGS_EVERY_S
                    await asyncio.to_thread(logs.bound, self.stack.state.logs)
                await asyncio.sleep(WATCH_EVERY_S)

    def _members(self) -> list[Server]:
        return [*(self.stack.server(name) for name in self.stack.names), *self._services.values()]

    async def _restart(self, member: Server, health: _Health) -> None:
        loop = asyncio.get_running_loop()
        up_s = loop.time() - health.started_s
        health.crashes = 1 if up_s > WELL_AFTER_S else health.crashes + 1
        delay_s = backoff_s(health.crashes)
        code = member.child.exit_code() if member.child is not None else None
        self._report(member.name, "crashed", f"exit code {code}; again in {delay_s:g} s")
        await asyncio.sleep(delay_s)
        health.started_s = loop.time()
        try:
            await self._start_member(member)
        except (StackError, OSError) as error:
            # Watched on: if it died it is started again later, if it is only slow it may still come, and a
            # full disk may be emptied.
            self._report(member.name, "failed", str(error))

    async def stop(self) -> None:
        """Services first, so that they can finish what they hold; then servers."""
        try:
            async with asyncio.TaskGroup() as group:
                for service in self._services.values():
                    group.create_task(service.stop())
        finally:
            await self.stack.stop()


async def _unless(stop: asyncio.Event, work: Awaitable[None]) -> bool:
    """Runs ``work`` until it ends (True, or its exception) or the stop is asked for (False)."""
    task = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
            return True
        return False
    finally:
        for each in (task, stopping):
            each.cancel()
        await asyncio.gather(task, stopping, return_exceptions=True)
