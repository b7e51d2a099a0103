"""The processes of a run that are not servers: services and the model server, each killed, hung, restarted by name.

Whoever dies is started again after a moment, as an orchestrator would. Deaths nobody ordered are remembered: a
process that ends by itself is a finding. Children are started on the loop of the main thread.
"""

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from common.errors import StackError
from headrace.local.ports import LOOPBACK
from headrace.local.process import Child, Command, send_signal
from headrace.local.server import Server, Site, get_json_status
from tests.chaos.history import Journal

WATCH_EVERY_S = 0.05
BACKOFF_S = 0.3
REPOSITORY = Path(__file__).parents[2]


class Instance(Server):
    """One process: ``python -m <module> …`` on a port of its own. ``stage`` is what it is one of."""

    stop_bound_s = 12.0

    def __init__(
        self, name: str, stage: str, arguments: Sequence[str], site: Site, environment: Mapping[str, str], port: int
    ) -> None:
        super().__init__(site)
        self.name = name
        self.stage = stage
        self._arguments = tuple(arguments)
        self._environment = environment
        self._port = port
        self.wanted = True

    @property
    def port(self) -> int:
        return self._port

    @property
    def endpoint(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    async def prepare(self) -> Command:
        return Command(
            argv=[sys.executable, "-P", "-m", *self._arguments],
            cwd=REPOSITORY,
            log=self.site.log(self.name),
            env=self._environment,
            death_signal=signal.SIGKILL,
        )

    async def probe(self) -> bool:
        status, _ = await get_json_status(self.port, "/health/ready")
        return status == 200


class ModelServer(Instance):
    """The scripted model; it is there once it takes connections. Not a package, so the repository is its path."""

    async def prepare(self) -> Command:
        command = await super().prepare()
        return replace(command, argv=[word for word in command.argv if word != "-P"])

    async def probe(self) -> bool:
        _, writer = await asyncio.open_connection(LOOPBACK, self.port)
        writer.close()
        return True


class Fleet:
    """All of them, watched."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._instances: dict[str, Instance] = {}
        self._expected: Counter[str] = Counter()
        self._killed: set[int] = set()
        self._starting: dict[str, asyncio.Task[None]] = {}
        self.deaths: list[str] = []

    @property
    def names(self) -> list[str]:
        """Everybody who is meant to run."""
        return [name for name, each in self._instances.items() if each.wanted]

    def of(self, stage: str) -> list[str]:
        """The running instances of a stage."""
        return [name for name in self.names if self._instances[name].stage == stage]

    def instance(self, name: str) -> Instance:
        """One of them."""
        return self._instances[name]

    async def add(self, *instances: Instance) -> None:
        """Start some, and wait until all of them are ready."""
        for each in instances:
            self._instances[each.name] = each
            each.wanted = True
            await each.start()
        await asyncio.gather(*(each.ready() for each in instances))

    async def join(self, *instances: Instance) -> None:
        """The same in a system under faults: who is killed while it starts is started again by the watch."""
        for each in instances:
            self._instances[each.name] = each
            each.wanted = True
            await each.start()
        await asyncio.gather(*(self.ready(each.name) for each in instances))

    async def remove(self, name: str) -> None:
        """Stop one for good, in its orderly way."""
        self._instances[name].wanted = False
        await self._instances[name].stop()

    async def restart(self, name: str) -> None:
        """Stop one in its orderly way and wait until its successor is ready."""
        instance = self._instances[name]
        with self.expecting([name]):
            await instance.stop()
            await self.ready(name)

    def kill(self, name: str) -> None:
        """SIGKILL; the watch starts it again."""
        child = self._instances[name].child
        if child is not None:
            self._killed.add(child.pid)
            child.send_family(signal.SIGKILL)

    @contextmanager
    def expecting(self, names: Sequence[str]) -> Iterator[None]:
        """While inside, these may die. Stay until they are ready again: a death is noticed a moment later."""
        self._expected.update(names)
        try:
            yield
        finally:
            self._expected.subtract(names)

    def pause(self, name: str) -> int | None:
        """SIGSTOP; returns the pid, which is to be resumed even if it is no longer the instance's."""
        child = self._instances[name].child
        if child is None or child.exit_code() is not None:
            return None
        child.send(signal.SIGSTOP)
        return child.pid

    def resume(self, pid: int) -> None:
        """SIGCONT to a pid that was paused; it may be gone."""
        send_signal(pid, signal.SIGCONT)

    async def ready(self, name: str) -> None:
        """Wait until it is ready, however often it has to be started, or until nobody wants it any more."""
        while self._instances[name].wanted:
            try:
                await self._instances[name].ready()
                return
            except StackError:
                await asyncio.sleep(WATCH_EVERY_S)

    async def watch(self) -> None:
        """Start again whoever has died, for ever."""
        while True:
            for name, instance in self._instances.items():
                child = instance.child
                if not instance.wanted or child is None or child.exit_code() is None:
                    continue
                if name in self._starting and not self._starting[name].done():
                    continue
                self._note_death(name, child)
                self._starting[name] = asyncio.create_task(self._start_again(instance))
            await asyncio.sleep(WATCH_EVERY_S)

    async def stop(self) -> None:
        """Stop everybody."""
        for task in self._starting.values():
            task.cancel()
        for each in self._instances.values():
            each.wanted = False
        await asyncio.gather(*(each.stop() for each in self._instances.values()))

    async def _start_again(self, instance: Instance) -> None:
        await asyncio.sleep(BACKOFF_S)
        if instance.wanted:
            await instance.start()

    def _note_death(self, name: str, child: Child) -> None:
        ordered = child.pid in self._killed or self._expected[name] > 0
        code = child.exit_code()
        self._journal.note("death", name=name, code=code, ordered=ordered)
        if not ordered:
            self.deaths.append(f"{name} ended by itself with code {code}: {child.last_words()}")
