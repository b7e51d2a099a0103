"""The servers of one machine, together: started in parallel, awaited, stopped, and (for tests) killed singly.

    async with Stack(folder, servers={"postgres", "kafka"}, free_ports=True) as stack:
        stack.endpoints.database_url

Entered in the main thread only (see process.py). The state folder keeps data, ports and secrets.
"""

import asyncio
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from common.errors import StackError
from headrace.local import jars, ports
from headrace.local.elasticsearch import Elasticsearch
from headrace.local.kafka import Kafka
from headrace.local.llm import LocalLlm
from headrace.local.postgres import Postgres
from headrace.local.roster import Roster, clear_leftovers
from headrace.local.server import Report, Server, Site, silent
from headrace.local.state import State
from headrace.local.valkey import Valkey

SERVERS: Mapping[str, type[Server]] = {
    server.name: server for server in (Postgres, Valkey, Kafka, Elasticsearch, LocalLlm)
}
SECOND_PORTS: Mapping[str, str] = {"kafka": "kafka-controller", "elasticsearch": "elasticsearch-transport"}


class Endpoints(BaseModel):
    """Where the servers of a stack are, credentials included."""

    model_config = ConfigDict(frozen=True)

    database_url: str = Field(default="", repr=False)
    kafka_bootstrap: str = ""
    redis_url: str = Field(default="", repr=False)
    elasticsearch_url: str | None = None
    llm_base_url: str | None = None

    def environment(self) -> dict[str, str]:
        """The same as the services' settings; absent servers are absent."""
        return {f"HEADRACE_{name.upper()}": value for name, value in self.model_dump().items() if value}


def plain_reason(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first StackError of a tree, the others mostly following from it; else the tree."""
    told: BaseException | None = errors.subgroup(StackError)
    while isinstance(told, BaseExceptionGroup):
        told = told.exceptions[0]
    return told or errors


class Stack:
    """Some or all of the servers over one state folder."""

    def __init__(
        self,
        state_dir: Path,
        servers: Collection[str] = tuple(SERVERS),
        *,
        free_ports: bool = False,
        other_ports: Collection[str] = (),
        report: Report = silent,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """``other_ports``: further names of ``ports.DEFAULT_PORTS`` to choose along (the services')."""
        self.state = State(state_dir)
        self._names = [name for name in SERVERS if name in servers]
        self._free_ports = free_ports
        self._other_ports = tuple(other_ports)
        self._report = report
        self._jar_cache = jars.jar_cache(self.state.folder, environ)
        self._servers: dict[str, Server] = {}
        self.roster = Roster(self.state)
        self.ports: Mapping[str, int] = {}

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Takes the state folder and starts all servers, or raises StackError with nothing left running."""
        await self.open()
        try:
            await self.start_servers()
        except BaseException:
            await self.stop()
            raise

    async def open(self) -> None:
        """Takes the state folder and chooses the ports; nothing runs yet."""
        self.state.acquire()
        try:
            await clear_leftovers(self.state)
            wanted = [*self._names, *(SECOND_PORTS[name] for name in self._names if name in SECOND_PORTS)]
            wanted += self._other_ports
            self.ports = ports.choose(wanted, self.state.ports(), free_ports=self._free_ports)
            self.state.keep_ports(self.ports)
            self.site = Site(self.state, self.state.secrets(), self.ports, self._jar_cache, self._report)
        except BaseException:
            self.state.release()
            raise
        self._servers = {name: SERVERS[name](self.site) for name in self._names}
        self.roster.write()

    def attach(self) -> None:
        """Looks at a stack that another process runs: endpoints and probes, nothing started or stopped."""
        self.ports = self.state.ports()
        self.site = Site(self.state, self.state.secrets(), self.ports, self._jar_cache, self._report)
        self._servers = {name: SERVERS[name](self.site) for name in self._names}

    async def start_servers(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for name in self._names:
                    group.create_task(self.start_server(name))
        except BaseExceptionGroup as errors:
            raise plain_reason(errors) from None

    async def stop(self) -> None:
        """Stops all servers and gives the state folder back."""
        try:
            async with asyncio.TaskGroup() as group:
                for server in self._servers.values():
                    group.create_task(server.stop())
        finally:
            self.roster.close()
            self.state.release()

    @property
    def names(self) -> list[str]:
        return list(self._names)

    @property
    def endpoints(self) -> Endpoints:
        found = {name: server.endpoint for name, server in self._servers.items()}
        return Endpoints(
            database_url=found.get("postgres", ""),
            kafka_bootstrap=found.get("kafka", ""),
            redis_url=found.get("valkey", ""),
            elasticsearch_url=found.get("elasticsearch"),
            llm_base_url=found.get("llm"),
        )

    def server(self, name: str) -> Server:
        if name not in self._servers:
            raise StackError(f"This stack has no {name}.", f"It has {', '.join(self._servers) or 'nothing yet'}.")
        return self._servers[name]

    def pid(self, name: str) -> int | None:
        child = self.server(name).child
        return child.pid if child is not None and child.exit_code() is None else None

    async def start_server(self, name: str) -> None:
        """Starts one server (again) on its port and data, and waits until it serves."""
        server = self.server(name)
        await server.start()
        if server.child is not None:
            self.roster.enter(server.child, server.port)
        await server.ready()

    async def stop_server(self, name: str) -> None:
        """Stops one server in its orderly way."""
        await self.server(name).stop()

    async def restart_server(self, name: str) -> None:
        await self.stop_server(name)
        await self.start_server(name)

    async def kill_server(self, name: str) -> None:
        """SIGKILL to the server and everything it started; returns when it is gone."""
        await self.server(name).kill()

    def pause_server(self, name: str) -> None:
        """SIGSTOP: it hangs with its connections open, until ``resume_server``."""
        self.server(name).pause()

    def resume_server(self, name: str) -> None:
        self.server(name).resume()
