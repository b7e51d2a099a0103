"""Each service's small HTTP face: ``/health/live``, ``/health/ready`` and ``/metrics``, bare ASGI on uvicorn.

Live: the event loop turns. Ready: what the service really needs answers and it is not draining. Probes run
concurrently, each bounded in time, and their answers are reused for a second so that probing stays cheap.
"""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import orjson
import uvicorn
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from common.clock import Clock, monotonic_clock
from common.errors import ConfigurationError, InfrastructureError
from common.ports import HealthProbe

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_PROBE_TIMEOUT_S: Final = 2.0
_REUSE_S: Final = 1.0
_FORWARDED: Final = frozenset({b"forwarded", b"x-forwarded-for", b"x-real-ip"})


@dataclass(frozen=True, slots=True)
class DependencyState:
    """How one dependency answered its probe; ``reason`` is empty when it is up."""

    name: str
    up: bool
    reason: str = ""


class Health:
    """What this process is doing and how its dependencies answer."""

    def __init__(
        self,
        *,
        needed: Sequence[HealthProbe] = (),
        wanted: Sequence[HealthProbe] = (),
        clock: Clock = monotonic_clock,
    ) -> None:
        self._needed = tuple(needed)
        self._wanted = tuple(wanted)
        self._given_up: dict[str, asyncio.Task[None]] = {}
        self._clock = clock
        self._states: tuple[DependencyState, ...] = ()
        self._asked_at = float("-inf")
        self._asking = asyncio.Lock()
        self.started = True
        self.draining = False

    def need(self, *probes: HealthProbe) -> None:
        """Add dependencies that came to be after the process started listening."""
        self._needed += probes
        self._asked_at = float("-inf")

    async def dependencies(self) -> tuple[DependencyState, ...]:
        """Return the state of every dependency, at most a second old."""
        async with self._asking:
            if self._clock() - self._asked_at >= _REUSE_S:
                probes = (*self._needed, *self._wanted)
                self._states = tuple(await asyncio.gather(*(self._ask(probe) for probe in probes)))
                self._asked_at = self._clock()
            return self._states

    async def unready(self) -> str | None:
        """Return why this process should get no work, or None when it should."""
        if self.draining:
            return "draining"
        if not self.started:
            return "starting"
        needed = {probe.name for probe in self._needed}
        down = [s for s in await self.dependencies() if not s.up and s.name in needed]
        return "; ".join(f"{s.name}: {s.reason}" for s in down) or None

    async def _ask(self, probe: HealthProbe) -> DependencyState:
        """Ask one dependency, and wait no longer than the bound for what giving up takes either.

        A client that is told to end may first wait for the very server that hangs. So a probe that was given up ends
        by itself, and the next one of its kind begins after it: never more than one is at work.
        """
        try:
            async with asyncio.timeout(_PROBE_TIMEOUT_S):
                if earlier := self._given_up.get(probe.name):
                    await asyncio.wait([earlier])
                asking = asyncio.create_task(_check(probe), name=f"probe-{probe.name}")
                try:
                    await asyncio.shield(asking)
                finally:
                    if not asking.done():
                        asking.cancel()
                        asking.add_done_callback(_nothing_to_tell)
                        self._given_up[probe.name] = asking
        except InfrastructureError as error:
            return DependencyState(probe.name, up=False, reason=str(error))
        except TimeoutError:
            return DependencyState(probe.name, up=False, reason=f"no answer within {_PROBE_TIMEOUT_S:.0f} s")
        return DependencyState(probe.name, up=True)


async def _check(probe: HealthProbe) -> None:
    await probe.check()


def _nothing_to_tell(asked: asyncio.Task[None]) -> None:
    """Take the outcome of a probe that was given up, which nobody waits for."""
    if not asked.cancelled():
        asked.exception()


class HealthApp:
    """The ASGI application. ``metrics_public`` False: metrics only for callers on this machine."""

    def __init__(self, health: Health, registry: CollectorRegistry, *, metrics_public: bool = False) -> None:
        self._health = health
        self._registry = registry
        self._metrics_public = metrics_public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; other kinds of connection are none of ours."""
        if scope["type"] != "http":
            return
        if not await self.answer(scope, send):
            await reply_json(send, 404, {"status": "not-found", "reason": "see /health/live, /health/ready, /metrics"})

    async def answer(self, scope: Scope, send: Send) -> bool:
        """Answer if the path is one of ours, and say whether it was."""
        path = scope["path"].removeprefix("/api/v1")
        if path not in {"/health/live", "/health/ready", "/metrics"}:
            return False
        if scope["method"] not in {"GET", "HEAD"}:
            await reply_json(send, 405, {"status": "method-not-allowed"}, [(b"allow", b"GET, HEAD")])
        elif path == "/health/live":
            await reply_json(send, 200, {"status": "live"})
        elif path == "/health/ready":
            reason = await self._health.unready()
            body = {"status": "ready"} if reason is None else {"status": "not-ready", "reason": reason}
            await reply_json(send, 200 if reason is None else 503, body)
        elif self._metrics_public or from_this_machine(scope):
            text = generate_latest(self._registry)
            await reply(send, 200, text, [(b"content-type", CONTENT_TYPE_LATEST.encode())])
        else:
            await reply_json(send, 403, {"status": "forbidden", "reason": "metrics are for callers on this machine"})
        return True


def from_this_machine(scope: Scope) -> bool:
    """Return whether the caller is on this machine and no proxy stands between."""
    client = scope.get("client")
    if client is None or any(name in _FORWARDED for name, _ in scope["headers"]):
        return False
    try:
        address = ipaddress.ip_address(client[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


async def reply(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    """Send a whole response."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


async def reply_json(
    send: Send, status: int, body: dict[str, Any], headers: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    """Send a whole JSON response that no cache may keep."""
    fixed = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    await reply(send, status, orjson.dumps(body), [*fixed, *headers])


class HttpServer(uvicorn.Server):
    """A uvicorn server that says when it listens, and leaves signals to the process that owns it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        self.listening.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing: the composition root decides what a signal means."""
        yield


def listen(host: str, port: int) -> socket.socket:
    """Bind a listening socket. Raises ConfigurationError when the address cannot be had."""
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048
        )
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{port} ({error.strerror}); set another host or port, or stop what uses it"
        ) from error


@asynccontextmanager
async def serving(app: AsgiApp, host: str, port: int, *, drain_s: float = 5.0) -> AsyncIterator[int]:
    """Serve ``app`` within this event loop and give the port (0 chooses a free one).

    On leaving: no new connections, then at most ``drain_s`` for requests in flight.
    """
    listener = listen(host, port)
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=max(1, round(drain_s)),
    )
    server = HttpServer(config)
    serve = asyncio.create_task(server.serve(sockets=[listener]), name="http-server")
    try:
        await server.listening.wait()
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await serve
        listener.close()
