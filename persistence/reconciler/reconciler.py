"""The reconciler of one database: whichever process has the advisory lock. It mends what no message will.

    topics     missing ones are created again                     every 2 s
    jobs       open ones that Kafka has lost are published again    every 5 s, later where looking is slow
    calls      of ended jobs whose worker died are given up         every 15 s
    leftovers  are erased: workers, errors, letters, payloads       every hour

It never gives up itself: a server that is away is asked again. ``headrace repair`` does one whole pass by hand.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Counter

from common.cancellation import heed_cancellation
from common.errors import InfrastructureError
from common.kafka.admin import create_topics
from common.kafka.offsets import offsets_of
from persistence.postgres import reconcile
from persistence.postgres.dead_letters import sweep_letters
from persistence.postgres.errors import sweep_errors
from persistence.postgres.payloads import sweep_payloads
from persistence.postgres.pool import Connection, Pool
from persistence.reconciler.in_kafka import missing_topics
from persistence.reconciler.search import Search
from persistence.reconciler.walk import Walk
from persistence.relay.connections import held_connection

_TOPICS_EVERY_S: Final = 2.0
_JOBS_EVERY_S: Final = 5.0
_CALLS_EVERY_S: Final = 15.0
_FORGET_EVERY_S: Final = 3600.0
_RETRY_S: Final = 2.0
_LOCK_PROBE_S: Final = 2.0
_REST_RATIO: Final = 20  # a look that took long is not repeated soon
_WALK_S: Final = _JOBS_EVERY_S / _REST_RATIO
_GIVE_UP_ROWS: Final = 500
# After so long without a renewal a worker does not come back; one that does settles late, and is corrected.
_DEAD_S: Final = 5.0
_SEEN_AT_LEAST: Final = timedelta(seconds=60)
_EVER: Final = datetime(2000, 1, 1, tzinfo=UTC)

log = structlog.get_logger(__name__)


class ReconcilerMetrics:
    """What was mended."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.published = Counter(
            "headrace_reconciler_published_again", "Jobs whose message was lost.", registry=registry
        )
        self.given_up = Counter(
            "headrace_reconciler_calls_given_up", "Calls of ended jobs whose worker died.", registry=registry
        )
        self.topics = Counter("headrace_reconciler_topics_created", "Missing topics created.", registry=registry)


@dataclass(frozen=True, slots=True)
class Repaired:
    """What one whole pass has mended."""

    topics: int
    published: int
    given_up: int


@dataclass(slots=True)
class _Calls:
    """Where to look for calls that nobody will settle: all before ``since`` are settled."""

    since: datetime = field(default=_EVER)

    async def give_up(self, pool: Pool) -> int:
        now = datetime.now(UTC)
        found = await reconcile.reserved(pool, self.since, dead_s=_DEAD_S, limit=_GIVE_UP_ROWS)
        self.since = min(now - _SEEN_AT_LEAST, found.oldest or now)
        if not found.left_behind:
            return 0
        return await reconcile.give_up(pool, found.left_behind, dead_s=_DEAD_S)


class Reconciler:
    """Runs until cancelled."""

    def __init__(self, search: Search, metrics: ReconcilerMetrics) -> None:
        self._search = search
        self._metrics = metrics
        self._calls = _Calls()

    async def run(self, stop: asyncio.Event) -> None:
        """Mend for as long as this process has the lock, and try to get it otherwise."""
        working = asyncio.create_task(self._keep_leading(), name="reconciler")
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (working, stopping):
                task.cancel()
            await asyncio.gather(working, stopping, return_exceptions=True)
        if not working.cancelled() and (error := working.exception()):
            raise error

    async def repair(self) -> Repaired:
        """Do one whole pass now, with or without the lock. Raises InfrastructureError."""
        topics = await self._mend_topics()
        walk = Walk(self._search.look, self._search.grace_s)
        published = given_up = 0
        while True:
            published += await self._mend_jobs(walk)
            if walk.whole:
                break
        calls = _Calls()
        while more := await calls.give_up(self._search.pool):
            given_up += more
        return Repaired(topics, published, given_up)

    async def _keep_leading(self) -> None:
        while True:
            try:
                async with held_connection(self._search.pool) as lent:
                    if await reconcile.try_lead(lent):
                        log.info("reconciler_leads")
                        await self._lead(lent)
            except InfrastructureError as trouble:
                log.warning("reconciler_waits", part="lock", trouble=str(trouble))
            await asyncio.sleep(_RETRY_S)

    async def _lead(self, lent: Connection) -> None:
        """Mend until the connection that has the lock is lost. Raises DatabaseUnavailable then."""
        walk = Walk(self._search.look, self._search.grace_s)
        looks = [
            asyncio.create_task(self._keep("topics", _TOPICS_EVERY_S, self._mend_topics)),
            asyncio.create_task(self._keep("jobs", _JOBS_EVERY_S, lambda: self._mend_jobs(walk))),
            asyncio.create_task(self._keep("calls", _CALLS_EVERY_S, self._mend_calls)),
            asyncio.create_task(self._keep("leftovers", _FORGET_EVERY_S, lambda: forget(self._search.pool))),
        ]
        try:
            while True:
                await lent.execute("select 1")
                await asyncio.sleep(_LOCK_PROBE_S)
        finally:
            for look in looks:
                look.cancel()
            await asyncio.gather(*looks, return_exceptions=True)

    async def _keep(self, part: str, every_s: float, look: Callable[[], Awaitable[object]]) -> None:
        while True:
            began = time.monotonic()
            await _isolated(part, look())
            await asyncio.sleep(max(every_s, _REST_RATIO * (time.monotonic() - began)))

    async def _mend_topics(self) -> int:
        search = self._search
        async with offsets_of(search.bootstrap, client_id=f"{search.prefix}-reconciler") as offsets:
            missing = await missing_topics(offsets, search.prefix)
        if not missing:
            return 0
        created = await create_topics(search.bootstrap, search.prefix, shards=search.shards)
        log.warning("topics_created_again", topics=sorted(created), missing=sorted(missing))
        self._metrics.topics.inc(len(created))
        return len(created)

    async def _mend_jobs(self, walk: Walk) -> int:
        search = self._search
        suspects = await walk.round(_WALK_S)
        if not suspects:
            return 0
        async with offsets_of(search.bootstrap, client_id=f"{search.prefix}-reconciler") as offsets:
            published = len(await search.publish_lost(offsets, suspects))
        self._metrics.published.inc(published)
        return published

    async def _mend_calls(self) -> int:
        given_up = await self._calls.give_up(self._search.pool)
        self._metrics.given_up.inc(given_up)
        return given_up


async def forget(pool: Pool) -> None:
    """Delete what nobody needs any more, one sweep after the other for one connection; none hinders the next."""
    await _isolated("workers", reconcile.forget_workers(pool))
    await _isolated("errors", sweep_errors(pool))
    await _isolated("letters", sweep_letters(pool))
    await _isolated("payloads", sweep_payloads(pool))


async def _isolated(part: str, look: Awaitable[object]) -> None:
    """Wait for a look. The isolation point: one that fails must not end the service that carries it."""
    try:
        await look
    except InfrastructureError as trouble:
        log.warning("reconciler_waits", part=part, trouble=str(trouble))
    except Exception as error:
        heed_cancellation(error)
        log.exception("reconciler_failed", part=part)
