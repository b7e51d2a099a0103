"""Where a walk looks for lost jobs: at the newest first, and again only where jobs were open."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from persistence.postgres.reconcile import Page
from persistence.reconciler.walk import Walk

PAGE_JOBS = 5
GRACE_S = 20
NOW = 1_000_000


def job_at(second: int, number: int = 0) -> UUID:
    return UUID(int=(second * 1000 << 80) | 0x7 << 76 | number)


@dataclass
class Jobs:
    """Jobs by id, open or ended; every open one counts as quiet."""

    open: dict[UUID, bool] = field(default_factory=dict)
    read: int = 0
    now: float = NOW

    def add(self, ids: Iterable[UUID], *, open_: bool) -> None:
        self.open.update(dict.fromkeys(ids, open_))

    async def look(self, after: UUID, before: UUID, limit: int, *, newest: bool) -> Page:
        stretch = sorted(job_id for job_id in self.open if after < job_id < before)
        page = stretch[-limit:] if newest else stretch[:limit]
        self.read += len(page)
        still = [job_id for job_id in page if self.open[job_id]]
        first, last = (page[0], page[-1]) if page else (None, None)
        first_open, last_open = (still[0], still[-1]) if still else (None, None)
        return Page(len(page), first, last, first_open, last_open, tuple(still))

    def walk(self) -> Walk:
        return Walk(self.look, GRACE_S, page_jobs=PAGE_JOBS, now=lambda: self.now, elapsed=lambda: 0.0)


async def whole(walk: Walk) -> set[UUID]:
    """What a walk finds until it has seen every job; a round has no time for more than a page of a part."""
    found = await walk.round(0)
    while not walk.whole:
        found |= await walk.round(0)
    return found


async def test_a_new_walk_finds_newly_lost_jobs_at_once_whatever_the_history() -> None:
    jobs = Jobs()
    jobs.add((job_at(second) for second in range(1000)), open_=False)
    just_now, before_the_walk = job_at(NOW - 30), job_at(NOW - 300)
    jobs.add((just_now, before_the_walk), open_=True)

    assert await jobs.walk().round(0) == {just_now, before_the_walk}


async def test_a_job_that_is_open_for_long_does_not_make_a_walk_read_what_has_ended_since() -> None:
    jobs = Jobs()
    held, lost = job_at(1), job_at(500)
    jobs.add((job_at(second) for second in range(2, 1000)), open_=False)
    jobs.add((held, lost), open_=True)
    walk = jobs.walk()
    await whole(walk)
    jobs.read = 0

    found = await walk.round(0) | await walk.round(0)

    assert found == {held, lost}
    assert jobs.read <= 4


async def test_jobs_younger_than_the_grace_are_left_alone() -> None:
    jobs = Jobs()
    jobs.add((job_at(NOW - GRACE_S + 1),), open_=True)

    assert await whole(jobs.walk()) == set()


async def test_a_round_finds_at_most_four_pages_and_goes_on_where_it_stood() -> None:
    jobs = Jobs()
    everything = {job_at(NOW - 50, number) for number in range(100)} | {job_at(second) for second in range(100)}
    jobs.add(everything, open_=True)
    walk = Walk(jobs.look, GRACE_S, page_jobs=PAGE_JOBS, now=lambda: NOW, elapsed=lambda: 0.0)

    rounds = [await walk.round(1) for _ in range(40)]

    assert max(len(found) for found in rounds) <= 4 * PAGE_JOBS
    assert set().union(*rounds) == everything


seconds = st.integers(NOW - 200, NOW + 200)


@given(
    first=st.sets(seconds.filter(lambda second: second <= NOW), max_size=60),
    later=st.lists(st.sets(st.integers(0, 100), max_size=20), max_size=8),
    ended=st.sets(seconds, max_size=100),
)
def test_whatever_is_open_is_found_again_and_again(first: set[int], later: list[set[int]], ended: set[int]) -> None:
    jobs = Jobs()
    jobs.add((job_at(second) for second in first), open_=True)
    walk = jobs.walk()

    async def walk_about() -> set[UUID]:
        for ages in later:  # jobs appear up to a minute after their ids were made
            await walk.round(0)
            jobs.now += 25
            jobs.add((job_at(int(jobs.now) - min(age, 60), len(jobs.open)) for age in ages), open_=True)
        jobs.add((job_id for job_id in jobs.open if (job_id.int >> 80) // 1000 in ended), open_=False)
        jobs.now += 200
        await whole(walk)
        return set().union(*[await walk.round(0) for _ in range(len(jobs.open) + 3)])

    assert asyncio.run(walk_about()) == {job_id for job_id, is_open in jobs.open.items() if is_open}
