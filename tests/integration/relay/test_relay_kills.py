"""Exactly once on public topics whatever becomes of a relay: killed at any moment, stopped and woken, replaced."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from common.pipeline import Topic
from persistence.postgres.states import ReleaseLane
from tests.integration.relay.relay_world import World

pytestmark = pytest.mark.stack

PUBLIC = ReleaseLane.PUBLIC
LEASE_S = 0.5
ROOT = Path(__file__).parents[3]


class Children:
    """Relay processes, each started and ended by name."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        arguments = [self._world.database_url, self._world.bootstrap, self._world.prefix, str(LEASE_S)]
        child = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("relay_child.py")), *arguments],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._running.append(child)
        return child

    def kill(self, child: subprocess.Popen[bytes]) -> None:
        child.send_signal(signal.SIGKILL)
        child.wait()
        self._running.remove(child)

    def kill_all(self) -> None:
        for child in list(self._running):
            self.kill(child)


@contextmanager
def children_of(world: World) -> Iterator[Children]:
    children = Children(world)
    try:
        yield children
    finally:
        children.kill_all()


class Inflow:
    """Public rows that keep coming, in small commits on a connection of their own; remembers each."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self._world = world
        self._rng = rng
        self._ending = False
        self._task = asyncio.create_task(self._run())
        self.accepted: list[bytes] = []

    async def end(self) -> None:
        """Finish the last commit; raise what the inflow failed with."""
        self._ending = True
        await self._task

    async def _run(self) -> None:
        connection = await asyncpg.connect(self._world.database_url)
        world = replace(self._world, connection=connection)
        while not self._ending:
            first = len(self.accepted)
            bodies = [b"%d" % n for n in range(first, first + self._rng.randint(1, 12))]
            topic = self._rng.choice((Topic.OUTPUTS, Topic.EVENTS))
            await world.put(bodies, lane=PUBLIC, topic=topic)
            self.accepted += bodies
            await asyncio.sleep(self._rng.uniform(0.001, 0.02))
        await connection.close()


async def _published(world: World) -> Counter[bytes]:
    records = [*await world.read(Topic.OUTPUTS), *await world.read(Topic.EVENTS)]
    return Counter(record.value for record in records)


async def _owner(world: World) -> object:
    return await world.connection.fetchval("select owner from leadership where expires_at > clock_timestamp()")


async def _until_led(world: World, *, by_other_than: object = None) -> object:
    async with asyncio.timeout(20):
        while (owner := await _owner(world)) in (None, by_other_than):
            await asyncio.sleep(0.01)
    return owner


async def _until_some_are_gone(world: World) -> None:
    """Wait until the relay is at work: rows that were there are deleted."""
    (low,) = await world.put([b"probe"], lane=ReleaseLane.PUBLIC, topic=Topic.DEAD_LETTERS)
    async with asyncio.timeout(20):
        while await world.connection.fetchval("select exists (select from outbox where rev = $1)", low):
            await asyncio.sleep(0.005)


async def test_p2_no_public_record_is_lost_or_repeated_when_relays_are_killed(world: World) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    inflow = Inflow(world, rng)
    with children_of(world) as children:
        children.start()
        for _ in range(6):
            leader = await _until_led(world)
            await _until_some_are_gone(world)
            await asyncio.sleep(rng.uniform(0, 0.05))
            children.kill_all()
            children.start()
            await _until_led(world, by_other_than=leader)
        await inflow.end()
        await world.until_rows(0)

    assert len(inflow.accepted) > 200
    assert await _published(world) == Counter(inflow.accepted)


async def test_p2_a_relay_that_sleeps_through_its_lease_publishes_nothing_twice(world: World) -> None:
    rng = random.Random(7)
    inflow = Inflow(world, rng)
    with children_of(world) as children:
        zombie = children.start()
        for _ in range(3):
            leader = await _until_led(world)
            await _until_some_are_gone(world)
            await asyncio.sleep(rng.uniform(0, 0.02))

            zombie.send_signal(signal.SIGSTOP)
            successor = children.start()
            await _until_led(world, by_other_than=leader)
            await _until_some_are_gone(world)
            zombie.send_signal(signal.SIGCONT)
            await asyncio.sleep(0.3)

            children.kill(zombie)
            zombie = successor
        await inflow.end()
        await world.until_rows(0)

    assert len(inflow.accepted) > 200
    assert await _published(world) == Counter(inflow.accepted)


async def test_a_killed_leader_is_followed_by_the_standby(world: World) -> None:
    with children_of(world) as children:
        leader = children.start()
        owner = await _until_led(world)
        children.start()
        await world.put([b"before"], lane=PUBLIC, topic=Topic.OUTPUTS)
        await world.until_rows(0)

        children.kill(leader)
        await world.put([b"after"], lane=PUBLIC, topic=Topic.OUTPUTS)
        await world.until_rows(0)

        assert await _owner(world) != owner
    assert sorted(await _published(world)) == [b"after", b"before"]


async def test_a_relay_that_stops_gives_its_lease_back_at_once(world: World) -> None:
    async with world.relaying(lease_s=30):
        first = await _until_led(world)
    async with world.relaying(lease_s=30):
        assert await _until_led(world) != first
        assert await world.connection.fetchval("select epoch from leadership") == 2


async def test_only_one_of_two_relays_leads(world: World) -> None:
    async with world.relaying() as one, world.relaying() as other:
        await _until_led(world)
        await asyncio.sleep(1)

        assert sorted(map(len, (one.led, other.led))) == [0, 1]
