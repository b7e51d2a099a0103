"""Ends jobs: the stage on ``verdicts``. One transaction a batch; the public records leave through the outbox."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

import structlog

from common.contracts import Verdict, decode
from common.errors import PoisonError
from common.failpoint import failpoint
from common.kafka.consumer import Delivery
from common.outcomes import Done, Outcome, Reject
from persistence.planner import plan
from persistence.postgres.pool import Pool, connection
from persistence.postgres.results import PostgresResults
from persistence.postgres.wake import PUBLIC_TOKEN, notify

log = structlog.get_logger(__name__)


class Endings(Protocol):
    """Who is told that jobs have ended; best effort."""

    async def publish(self, job_ids: Sequence[UUID]) -> None: ...


def utc_now() -> datetime:
    """Return the time now, aware."""
    return datetime.now(UTC)


class Writer:
    """Applies verdicts to their jobs. A verdict that comes again meets a job that has ended."""

    def __init__(
        self,
        pool: Pool,
        endings: Endings | None,
        *,
        source: str,
        shards: int,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._pool = pool
        self._results = PostgresResults(pool, shards=shards, source=source)
        self._endings = endings
        self._source = source
        self._shards = shards
        self._now = now

    async def handle(self, batch: Sequence[Delivery]) -> Sequence[Outcome]:
        """End what can be ended, in one transaction."""
        outcomes: list[Outcome] = [Done("written")] * len(batch)
        verdicts: list[Verdict] = []
        for place, delivery in enumerate(batch):
            try:
                verdicts.append(decode(Verdict, delivery.value))
            except PoisonError as poison:
                outcomes[place] = Reject(str(poison), type(poison).__name__)
        if not verdicts:
            return outcomes
        made = await self._results.apply(
            [v.job_id for v in verdicts],
            lambda jobs, ledger: plan(verdicts, jobs, ledger, self._now(), self._source, self._shards),
        )
        if made.endings:
            failpoint("writer.after_commit")
            async with connection(self._pool) as lent:
                await notify(lent, {PUBLIC_TOKEN})
            failpoint("writer.after_notify")
            if self._endings is not None:
                await self._endings.publish([e.job.job_id for e in made.endings])
        return outcomes
