"""What goes wrong in a stage, added up in memory and written to the error log every few seconds; bounded.

Best effort: what a crash takes along is missing from the log, never from the job.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from common.errors import InfrastructureError
from common.ports import ErrorNote

WRITE_EVERY_S: Final = 3.0
_MOST_KEYS: Final = 1_000


class ErrorTally:
    """The errors of one stage that are not written yet."""

    def __init__(self, stage: str, write: Callable[[Sequence[ErrorNote]], Awaitable[None]]) -> None:
        self._stage = stage
        self._write = write
        self._notes: dict[tuple[UUID | None, str], ErrorNote] = {}

    def note(self, kind: str, detail: str, job_id: UUID | None = None) -> None:
        """Count one. Above the bound jobs are no longer told apart."""
        if len(self._notes) >= _MOST_KEYS and (job_id, kind) not in self._notes:
            job_id = None
        before = self._notes.get((job_id, kind))
        count = 1 if before is None else before.count + 1
        self._notes[job_id, kind] = ErrorNote(job_id, self._stage, kind, detail, count)

    async def keep_writing(self) -> None:
        """Write every few seconds until cancelled."""
        while True:
            await asyncio.sleep(WRITE_EVERY_S)
            await self.write()

    async def write(self) -> None:
        """Write what there is. What cannot be written stays for the next time."""
        if not self._notes:
            return
        taken, self._notes = self._notes, {}
        try:
            await self._write(list(taken.values()))
        except InfrastructureError:
            for key, note in taken.items():
                later = self._notes.get(key)
                self._notes[key] = note if later is None else replace(later, count=later.count + note.count)
