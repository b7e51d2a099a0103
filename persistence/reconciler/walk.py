"""Walks the open jobs among all jobs ever accepted, by id, a bounded look a round; in memory only.

There is no index on a job's state. What has ended stays so: a stretch of ids is read once, and again only between the
first and the last job in it that were open. So the cost of a pass is that of the open jobs and not of the history.
Each round looks at

    the newest     what has come since whole pages of it were last read, oldest first
    the known      stretches that had open jobs, in turn
    the history    what was there before this walk began, newest first, until its beginning is reached
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from persistence.postgres.reconcile import Page

PAGE_JOBS: Final = 5_000
_NIL: Final = UUID(int=0)
# Ids are made before their jobs are committed: so far back, a job may still appear.
_LATE_S: Final = 60.0


class Look(Protocol):
    """Returns the oldest or the newest jobs between two ids."""

    async def __call__(self, after: UUID, before: UUID, limit: int, *, newest: bool) -> Page: ...


@dataclass(frozen=True, slots=True)
class _Stretch:
    """The ids between two, without them."""

    after: UUID
    before: UUID


class Walk:
    """One walk. ``grace_s``: younger jobs are not looked at."""

    def __init__(
        self,
        look: Look,
        grace_s: float,
        *,
        page_jobs: int = PAGE_JOBS,
        now: Callable[[], float] = time.time,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look = look
        self._grace_s = grace_s
        self._page_jobs = page_jobs
        self._now = now
        self._elapsed = elapsed
        self._newest_after = self._cursor = _id_at(now() - grace_s - _LATE_S)
        self._seen_newest = False
        self._history: _Stretch | None = _Stretch(_NIL, self._newest_after)
        self._known: deque[_Stretch] = deque()

    async def round(self, budget_s: float) -> set[UUID]:
        """Return quiet jobs, of four pages at most; a part gets one page even when time is over.

        Raises DatabaseUnavailable.
        """
        found: set[UUID] = set()
        began = self._elapsed()

        def over(share: float) -> bool:
            return len(found) >= self._page_jobs or self._elapsed() - began >= share * budget_s

        await self._look_at_newest(found, over)
        for _ in range(len(self._known)):
            await self._look_again(found)
            if over(1.0 if self._history is None else 0.5):
                break
        while self._history is not None:
            self._history = await self._look_down(self._history, found)
            if over(1.0):
                break
        return found

    @property
    def whole(self) -> bool:
        """Return whether every job has been looked at."""
        return self._seen_newest and self._history is None

    async def _look_at_newest(self, found: set[UUID], over: Callable[[float], bool]) -> None:
        """Go on to the end, and leave behind whole pages in which no job can appear any more."""
        now = self._now()
        before, settled = _id_at(now - self._grace_s), _id_at(now - self._grace_s - _LATE_S)
        while True:
            page = await self._look(self._cursor, before, self._page_jobs, newest=False)
            found.update(page.quiet)
            if page.last is None or page.seen < self._page_jobs:
                self._cursor, self._seen_newest = self._newest_after, True
                return
            if self._cursor == self._newest_after and page.last < settled:
                self._newest_after = page.last
                self._remember(page)
            self._cursor = page.last
            if over(1.0):
                return

    async def _look_again(self, found: set[UUID]) -> None:
        stretch = self._known[0]
        left = await self._look_down(stretch, found)
        self._known.popleft()
        if left is not None:
            self._known.append(left)

    async def _look_down(self, stretch: _Stretch, found: set[UUID]) -> _Stretch | None:
        """Look at the newest page of a stretch; return what is left below it."""
        page = await self._look(stretch.after, stretch.before, self._page_jobs, newest=True)
        found.update(page.quiet)
        self._remember(page)
        if page.first is None or page.seen < self._page_jobs or page.first.int == stretch.after.int + 1:
            return None
        return _Stretch(stretch.after, page.first)

    def _remember(self, page: Page) -> None:
        if page.first_open is not None and page.last_open is not None:
            self._known.append(_Stretch(UUID(int=page.first_open.int - 1), UUID(int=page.last_open.int + 1)))


def _id_at(unix_s: float) -> UUID:
    return UUID(int=max(0, int(unix_s * 1000)) << 80)
