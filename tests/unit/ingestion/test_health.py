"""The small HTTP face that every service has."""

import asyncio
import socket
from dataclasses import dataclass

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter

from common.errors import BrokerUnavailable, ConfigurationError, DatabaseUnavailable
from common.health import Health, HealthApp, from_this_machine, serving
from common.kafka.greeting import GreetingProbe


@dataclass
class Probe:
    """A dependency under a hand."""

    name: str
    reason: str = ""
    hung: bool = False
    leaving: asyncio.Event | None = None
    asked: int = 0

    async def check(self) -> None:
        self.asked += 1
        try:
            if self.hung:
                await asyncio.Event().wait()
        finally:
            # As a client does that tells the server first that it gives up.
            if self.leaving is not None:
                await self.leaving.wait()
        if self.reason:
            raise DatabaseUnavailable(self.reason)


class HandClock:
    """A clock moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_ready_names_what_is_down_and_optional_things_do_not_matter() -> None:
    clock = HandClock()
    postgres, search = Probe("postgres"), Probe("search", reason="away")
    health = Health(needed=[postgres], wanted=[search], clock=clock)

    assert await health.unready() is None
    postgres.reason = "no answer"
    clock.now += 2
    assert await health.unready() == "postgres: no answer"
    assert {state.name: state.up for state in await health.dependencies()} == {"postgres": False, "search": False}


async def test_probes_are_asked_once_a_second_however_many_ask() -> None:
    clock = HandClock()
    postgres = Probe("postgres")
    health = Health(needed=[postgres], clock=clock)

    await asyncio.gather(*(health.unready() for _ in range(20)))
    clock.now += 1
    await health.unready()

    assert postgres.asked == 2


async def test_a_hung_dependency_is_down_not_a_hung_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.health._PROBE_TIMEOUT_S", 0.02)

    assert "no answer" in str(await Health(needed=[Probe("kafka", hung=True)]).unready())


async def test_a_probe_that_is_slow_to_give_up_keeps_no_answer_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a server that hangs, and a client that waits for it even when told to end
    monkeypatch.setattr("common.health._PROBE_TIMEOUT_S", 0.02)
    clock = HandClock()
    postgres = Probe("postgres", hung=True, leaving=asyncio.Event())
    health = Health(needed=[postgres], clock=clock)
    # Then each answer comes, and no second probe joins the first
    for _ in range(3):
        async with asyncio.timeout(20):
            assert "no answer" in str(await health.unready())
        clock.now += 1
    assert postgres.asked == 1
    # And once the server is back, so is its answer
    assert postgres.leaving is not None
    postgres.leaving.set()
    postgres.hung = False
    assert await health.unready() is None


async def test_starting_and_draining_are_not_ready_but_live() -> None:
    health = Health()
    registry = CollectorRegistry()
    Counter("headrace_things", "Things.", registry=registry).inc()
    async with serving(HealthApp(health, registry), "127.0.0.1", 0) as port, aiohttp.ClientSession() as client:

        async def ask(path: str, method: str = "GET") -> tuple[int, str]:
            async with client.request(method, f"http://127.0.0.1:{port}{path}") as response:
                return response.status, await response.text()

        assert await ask("/health/ready") == (200, '{"status":"ready"}')
        health.started = False
        assert await ask("/health/ready") == (503, '{"status":"not-ready","reason":"starting"}')
        health.started, health.draining = True, True
        assert await ask("/health/ready") == (503, '{"status":"not-ready","reason":"draining"}')
        assert (await ask("/health/live"))[0] == 200
        assert "headrace_things_total 1.0" in (await ask("/metrics"))[1]
        assert await ask("/health/live", "HEAD") == (200, "")
        assert (await ask("/health/live", "POST"))[0] == 405
        assert (await ask("/elsewhere"))[0] == 404


@pytest.mark.parametrize(
    ("host", "headers", "local"),
    [
        ("127.0.0.1", [], True),
        ("::1", [], True),
        ("::ffff:127.0.0.1", [], True),
        ("10.0.0.5", [], False),
        ("::ffff:10.0.0.5", [], False),
        ("not an address", [], False),
        ("127.0.0.1", [(b"x-forwarded-for", b"127.0.0.1")], False),
        ("127.0.0.1", [(b"forwarded", b"for=10.0.0.5")], False),
    ],
)
def test_only_callers_on_this_machine_are_local(host: str, headers: list[tuple[bytes, bytes]], local: bool) -> None:
    assert from_this_machine({"client": (host, 1), "headers": headers}) is local


async def test_a_taken_port_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"cannot listen on 127.0.0.1:{port}"):
            async with serving(HealthApp(Health(), CollectorRegistry()), "127.0.0.1", port):
                pass


async def test_a_broker_that_does_not_answer_is_not_up() -> None:
    # The kernel takes the connection; a process that hangs says nothing more.
    with socket.create_server(("127.0.0.1", 0)) as hung:
        port = hung.getsockname()[1]
        for bootstrap in (f"127.0.0.1:{port}", f"127.0.0.1:1, [::1]:{port}", "nowhere"):
            with pytest.raises(BrokerUnavailable, match="no broker answers"):
                await GreetingProbe(bootstrap).check()
