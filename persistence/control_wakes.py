"""What woke the releaser and the controller, filled from LISTEN; reconnects for ever, and then wakes everything."""

import asyncio
from typing import Any, Final

import asyncpg
import structlog

from common.errors import DatabaseUnavailable
from persistence.postgres.control_wake import CHANNEL, ControlWake, read_payload
from persistence.postgres.pool import Pool
from persistence.relay.connections import held_connection

_BACKOFF_S: Final = 0.5
_PROBE_S: Final = 5.0

log = structlog.get_logger(__name__)


class ControlWakes:
    """Hints: who waits also looks from time to time."""

    def __init__(self) -> None:
        self.money = asyncio.Event()
        self.operations = asyncio.Event()
        self._budgets: set[int] = set()
        self._everything = True

    def tell(self, wake: ControlWake) -> None:
        """Note a wake and rouse who it concerns."""
        if wake.everything:
            self._everything = True
        self._budgets |= wake.budgets
        if wake.everything or wake.budgets:
            self.money.set()
        if wake.everything or wake.operations:
            self.operations.set()

    def take_budgets(self) -> set[int] | None:
        """Return and forget the budgets named; None: all of them must be looked at."""
        self.money.clear()
        taken = None if self._everything else self._budgets
        self._budgets, self._everything = set(), False
        return taken


async def keep_hearing(pool: Pool, wakes: ControlWakes) -> None:
    """Hear the wakes of this database."""

    def hear(_connection: Any, _pid: int, _channel: str, payload: object) -> None:
        wakes.tell(read_payload(str(payload)))

    while True:
        try:
            async with held_connection(pool) as lent:
                gone = asyncio.Event()
                lent.add_termination_listener(lambda *_, gone=gone: gone.set())
                await lent.add_listener(CHANNEL, hear)
                wakes.tell(ControlWake(everything=True))
                while not gone.is_set():
                    await wait(gone, _PROBE_S)
                    await lent.execute("select 1")
        except (DatabaseUnavailable, asyncpg.PostgresError) as error:
            log.warning("control_listener_lost", reason=str(error))
        await asyncio.sleep(_BACKOFF_S)


async def wait(event: asyncio.Event, timeout_s: float) -> None:
    """Wait for a wake, at most ``timeout_s``; the event stays set for its owner to clear."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return
