"""Holds: a job set aside with a reason, said once on ``events``. Part of the transaction that read the state."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from common.contracts import EventType, Failure
from persistence.postgres.pool import Connection
from persistence.postgres.records import JobRow, event_row, insert_public

_HOLD = (
    "update jobs j set hold_reason = h.reason, revision = revision + 1, event_seq = event_seq + 1"
    " from (select * from unnest($1::uuid[], $2::text[]) u(id, reason) order by id) h"
    " where j.id = h.id and j.id = any($1) and j.state = 0 and j.hold_reason is distinct from h.reason"
    " returning j.*"
)


async def hold(lent: Connection, reasons: Mapping[UUID, str], source: str, shards: int) -> int:
    """Put open jobs on hold and queue an event each; a job held for that very reason already is left alone."""
    ids = sorted(reasons)
    rows = await lent.fetch(_HOLD, ids, [reasons[i] for i in ids])
    now = datetime.now(UTC)
    events = []
    for row in rows:
        job = JobRow.of(row)
        before = replace(job, event_seq=job.event_seq - 1)
        code = reasons[job.job_id].partition(":")[0].strip().replace(" ", "_")
        failure = Failure(code=code, detail=reasons[job.job_id])
        events.append(event_row(before, EventType.HELD, failure, now, source, shards))
    if events:
        await insert_public(lent, events)
    return len(events)
