"""Works off operations on many jobs, page by page; tells waiters of the jobs that end."""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol
from uuid import UUID

import asyncpg
import structlog

from common.errors import DatabaseUnavailable
from persistence.control_wakes import ControlWakes, wait
from persistence.postgres.operations import PostgresOperations

LOOK_EVERY_S: Final = 15.0
LARGEST_PAGE: Final = 1_000
_SMALLEST_PAGE: Final = 10
_BACKOFF_S: Final = 0.5

log = structlog.get_logger(__name__)


class Endings(Protocol):
    """Who is told that jobs have ended; best effort."""

    async def publish(self, job_ids: Sequence[UUID]) -> None: ...


class Controller:
    """Runs until cancelled. A page that Postgres cannot do in time is tried again smaller."""

    def __init__(self, operations: PostgresOperations, wakes: ControlWakes, endings: Endings | None) -> None:
        self._operations = operations
        self._wakes = wakes
        self._endings = endings
        self._page = LARGEST_PAGE

    async def run(self) -> None:
        """Work for ever."""
        while True:
            self._wakes.operations.clear()
            try:
                while await self._turn():
                    self._page = min(LARGEST_PAGE, self._page * 2)
            except (DatabaseUnavailable, asyncpg.PostgresError) as error:
                self._page = max(_SMALLEST_PAGE, self._page // 2)
                log.warning("operation_waits", reason=str(error), page=self._page)
                await asyncio.sleep(_BACKOFF_S)
                continue
            await wait(self._wakes.operations, LOOK_EVERY_S)

    async def _turn(self) -> bool:
        worked = await self._operations.work(self._page)
        if worked is None:
            return False
        if worked.ended and self._endings is not None:
            await self._endings.publish(worked.ended)
        return True
