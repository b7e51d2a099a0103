"""Actions on many jobs, worked off in the background: by keyset, a page a transaction, each job looked at once.

Where an operation stands is written in the transaction that acts, so a kill repeats nothing and skips nothing. It is
for the jobs that were there when it was asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import orjson

from common.contracts import Lane
from common.control_ports import Action, JobFilter, OperationView
from common.failpoint import failpoint
from common.ids import uuid7
from persistence.postgres.control import Records, cancel_jobs, pause_jobs, resume_jobs
from persistence.postgres.control_wake import OPERATION_TOKEN, budget_token, notify_control
from persistence.postgres.pool import Connection, Pool, connection, transaction
from persistence.postgres.retrying import affordable, retry_jobs
from persistence.postgres.states import LANE_NUMBER, JobAction, JobState
from persistence.postgres.submit import step_tokens
from persistence.postgres.wake import LATER_TOKEN, PUBLIC_TOKEN, notify

_FIRST: Final = UUID(int=0)
_INSERT = """
insert into operations (id, tenant_id, action, filter) values ($1, $2, $3, $4::jsonb) returning *
"""
# The least advanced first, so that a long one does not keep a short one waiting.
_NEXT = "select * from operations where finished_at is null order by scanned, id limit 1 for update skip locked"
_PAGE_OF_TENANT = """
select count(*) as n, (array_agg(p.id order by p.id desc))[1] as last
  from (select id from jobs where tenant_id = $1 and id > $2 order by id limit $3) p
"""
_PAGE_OF_BATCH = """
select count(*) as n, (array_agg(p.id order by p.id desc))[1] as last
  from (select id from jobs where batch_id = $1 and id > $2 order by id limit $3) p
"""
_MEANT = """
select j.* from jobs j
 where {source} = $1 and j.tenant_id = $4 and j.id > $2 and j.id <= $3 and j.created_at <= $5
   and ($6::smallint is null or j.state = $6)
   and ($7::text is null
        or case $7 when 'held' then j.hold_reason is not null
                   when 'running' then j.hold_reason is null and exists (select 1 from attempts a where a.job_id = j.id)
                   else j.hold_reason is null and not exists (select 1 from attempts a where a.job_id = j.id) end)
   and ($8::text is null or j.recipe = $8 or split_part(j.recipe, '@', 1) = $8)
   and ($9::smallint is null or j.lane = $9)
   and ($10::text is null or $10 = any(j.tags))
   and ($11::timestamptz is null or j.created_at < $11) and ($12::timestamptz is null or j.created_at > $12)
 order by j.id for no key update
"""
_ADVANCE = """
update operations set after = $2, scanned = scanned + $3, matched = matched + $4, changed = changed + $5,
       finished_at = case when $6 then now() end
 where id = $1
"""


@dataclass(slots=True)
class Worked:
    """What one page came to. ``ended``: jobs that waiters should be told of."""

    changed: int = 0
    ended: list[UUID] = field(default_factory=list)
    wakes: set[str] = field(default_factory=set)
    budgets: list[int] = field(default_factory=list)


class PostgresOperations:
    """Begins, shows and works off operations."""

    def __init__(self, pool: Pool, *, shards: int, source: str) -> None:
        self._pool = pool
        self._records = Records(source, shards)

    async def begin(self, tenant_id: str, action: Action, wanted: JobFilter) -> OperationView:
        """Ask for an action on jobs; the controller does it."""
        given = {k: v for k, v in _told(wanted).items() if v is not None}
        async with connection(self._pool) as lent:
            row = await lent.fetchrow(
                _INSERT, uuid7(), tenant_id, int(JobAction[action.name]), orjson.dumps(given).decode()
            )
            await notify_control(lent, [OPERATION_TOKEN])
        assert row is not None  # noqa: S101 - an insert returns its row
        return _view(row)

    async def operation(self, tenant_id: str, operation_id: UUID) -> OperationView | None:
        """Return how far an operation is."""
        async with connection(self._pool) as lent:
            row = await lent.fetchrow(
                "select * from operations where id = $1 and tenant_id = $2", operation_id, tenant_id
            )
        return None if row is None else _view(row)

    async def work(self, page: int) -> Worked | None:
        """Work off one page of the least advanced operation; None: there is none, or another process has them."""
        async with transaction(self._pool) as lent:
            row = await lent.fetchrow(_NEXT)
            if row is None:
                return None
            worked = await self._page(lent, row, page)
            failpoint("controller.before_commit")
        failpoint("controller.after_commit")
        async with connection(self._pool) as lent:
            await notify(lent, worked.wakes)
            await notify_control(lent, [budget_token(b) for b in worked.budgets])
        return worked

    async def _page(self, lent: Connection, operation: asyncpg.Record, page: int) -> Worked:
        view = _view(operation)
        batch_id = view.filter.batch_id
        after = operation["after"] or _FIRST
        source: object = operation["tenant_id"] if batch_id is None else batch_id
        scanned = await lent.fetchrow(_PAGE_OF_TENANT if batch_id is None else _PAGE_OF_BATCH, source, after, page)
        assert scanned is not None  # noqa: S101 - an aggregate returns one row
        count, last = scanned["n"], scanned["last"]
        if last is None:
            await lent.execute(_ADVANCE, view.operation_id, operation["after"], 0, 0, 0, True)
            return Worked()
        meant = _MEANT.format(source="j.tenant_id" if batch_id is None else "j.batch_id")
        rows = await lent.fetch(
            meant, source, after, last, operation["tenant_id"], view.created_at, *_conditions(view.filter)
        )
        finished = count < page
        if view.action is Action.RETRY and (fit := await affordable(lent, [r["id"] for r in rows])) < len(rows):
            rows, last, finished = rows[:fit], rows[fit - 1]["id"], False
            count = fit
        worked = await self._act(lent, view.action, rows)
        await lent.execute(_ADVANCE, view.operation_id, last, count, len(rows), worked.changed, finished)
        return worked

    async def _act(self, lent: Connection, action: Action, rows: Sequence[asyncpg.Record]) -> Worked:
        match action:
            case Action.CANCEL:
                ended = await cancel_jobs(lent, rows, self._records)
                return Worked(len(ended), ended, {PUBLIC_TOKEN})
            case Action.PAUSE:
                paused = await pause_jobs(lent, rows, self._records)
                return Worked(len(paused), wakes={PUBLIC_TOKEN})
            case Action.RESUME:
                resumed, budgets = await resume_jobs(lent, rows)
                return Worked(len(resumed), wakes={LATER_TOKEN}, budgets=budgets)
            case Action.RETRY:
                submissions = await retry_jobs(lent, rows, self._records.shards)
                return Worked(len(submissions), wakes=step_tokens(submissions))


def _conditions(wanted: JobFilter) -> tuple[object, ...]:
    is_open = wanted.state in {"queued", "running", "held"}
    state = None if wanted.state is None else int(JobState.OPEN if is_open else JobState[wanted.state.upper()])
    return (
        state,
        wanted.state if is_open else None,
        wanted.recipe,
        None if wanted.lane is None else LANE_NUMBER[Lane(wanted.lane)],
        wanted.tag,
        wanted.created_before,
        wanted.created_after,
    )


def _told(wanted: JobFilter) -> Mapping[str, Any]:
    return {name: getattr(wanted, name) for name in JobFilter.__dataclass_fields__}


def _view(row: asyncpg.Record) -> OperationView:
    told: dict[str, Any] = orjson.loads(row["filter"])
    for name in ("created_before", "created_after"):
        if name in told:
            told[name] = datetime.fromisoformat(told[name])
    if "batch_id" in told:
        told["batch_id"] = UUID(told["batch_id"])
    return OperationView(
        operation_id=row["id"],
        action=Action[JobAction(row["action"]).name],
        filter=JobFilter(**told),
        scanned=row["scanned"],
        matched=row["matched"],
        changed=row["changed"],
        created_at=row["created_at"],
        finished_at=row["finished_at"],
    )
