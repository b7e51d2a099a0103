"""What woke the relay, by shard: events to wait for and the tenants named, filled from LISTEN.

The listener reconnects for ever and wakes everything each time, for it cannot know what it missed.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

import asyncpg
import structlog

from common.errors import DatabaseUnavailable
from persistence.postgres.pool import Connection, Pool
from persistence.postgres.states import ReleaseLane
from persistence.postgres.wake import CHANNEL, Wake, read_payload
from persistence.relay.connections import held_connection

_BACKOFF_S = 0.5
_PROBE_S = 5.0

log = structlog.get_logger(__name__)


class ShardWakes:
    """One shard's wakes. Hints: who waits also looks from time to time."""

    def __init__(self) -> None:
        self.steps = asyncio.Event()
        self.public = asyncio.Event()
        self.later = asyncio.Event()
        self._tenants: set[tuple[int, str]] = set()
        self._everything = True

    def tell(self, wake: Wake) -> None:
        """Note a wake and rouse who it concerns."""
        if wake.tenants:
            self.wake_tenants(wake.tenants)
        if wake.everything:
            self._everything = True
            self.steps.set()
        if wake.public or wake.everything:
            self.public.set()
        if wake.later or wake.everything:
            self.later.set()

    def wake_tenants(self, tenants: Iterable[tuple[int, str]]) -> None:
        """Note (lane, tenant) pairs that got rows."""
        for lane, tenant_id in tenants:
            if lane < ReleaseLane.PUBLIC:
                self._tenants.add((lane, tenant_id))
                self.steps.set()
            else:
                self.public.set()

    def take_tenants(self) -> tuple[set[tuple[int, str]], bool]:
        """Return and forget the tenants named, and whether all of them must be looked up."""
        self.steps.clear()
        taken = self._tenants, self._everything
        self._tenants, self._everything = set(), False
        return taken


async def wait(event: asyncio.Event, timeout_s: float) -> None:
    """Wait for a wake, at most ``timeout_s``; the event stays set for its owner to clear."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return


async def keep_listening(pool: Pool, shards: dict[int, ShardWakes]) -> None:
    """Hear the wakes of this database and tell every shard in ``shards``, which may change meanwhile."""

    def hear(_connection: Any, _pid: int, _channel: str, payload: object) -> None:
        tell_all(read_payload(str(payload)))

    def tell_all(wake: Wake) -> None:
        for shard in shards.values():
            shard.tell(wake)

    listening = True
    while True:
        try:
            async with held_connection(pool) as connection:
                await connection.add_listener(CHANNEL, hear)
                listening = True
                tell_all(Wake(everything=True))
                await _until_lost(connection)
        except (DatabaseUnavailable, asyncpg.PostgresError) as error:
            if listening:  # one line an outage, not one an attempt
                log.warning("relay_listener_lost", reason=str(error))
            listening = False
        await asyncio.sleep(_BACKOFF_S)


async def _until_lost(connection: Connection) -> None:
    gone = asyncio.Event()
    connection.add_termination_listener(lambda *_: gone.set())
    while not gone.is_set():
        await wait(gone, _PROBE_S)
        await connection.execute("select 1")
