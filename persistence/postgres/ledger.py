"""The ledger: reserve before the call, settle after it, each one short transaction a micro-batch.

The fast path is one statement, all or nothing (``reserve_try_3``, ``settle_3``); a batch that does not fit
whole goes through the item-by-item decision under the same locks. Lock order: jobs, attempts, budgets, each in
id order. The lease belongs to this worker incarnation: one row, renewed in Postgres time.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from common.errors import DatabaseUnavailable
from common.pipeline import PROMPTS_OF
from common.ports import ParkedMessage, Reservation, ReserveDecision, ReserveKind, Settlement
from persistence.postgres.budgets import locked_budgets, write_budgets
from persistence.postgres.control_wake import budget_token, notify_control
from persistence.postgres.holds import Hold, arrived, hold, lock_jobs
from persistence.postgres.parking import hold_parked, park_columns, park_messages
from persistence.postgres.pool import Connection, Pool, connection, transaction
from persistence.postgres.states import AttemptState, JobState
from persistence.postgres.usage import Charge, add_usage
from persistence.postgres.wake import LATER_TOKEN, PUBLIC_TOKEN, notify
from persistence.reserve_decision import (
    LEASE_EXPIRED,
    AttemptFacts,
    AttemptKey,
    Decided,
    JobFacts,
    decide,
    scopes_of,
)

_TRY = (
    "select reserve_try_3($1::uuid[], $2::text[], $3::int[], $4::int[], $5::text[], $6::text[], $7::uuid[],"
    " $8::text[], $9::text[], $10::text[], $11::text[], $12::bigint[], $13::text[], $14::text[], $15::text[],"
    " $16::bigint[], $17::uuid)"
)
_SETTLE = (
    "select settle_3($1::uuid[], $2::text[], $3::int[], $4::int[], $5::text[], $6::text[], $7::smallint[],"
    " $8::bigint[], $9::bytea[], $10::text[], $11::text[], $12::text[], $13::text[], $14::int[], $15::int[],"
    " $16::int[], $17::int[], $18::boolean[], $19::uuid[], $20::smallint[], $21::text[], $22::timestamptz[],"
    " $23::smallint[], $24::uuid[], $25::bytea[], $26::text[], $27::int[])"
)
_RENEW = (
    "insert into workers (id, lease_until) values ($1, now() + $2 * interval '1 second')"
    " on conflict (id) do update set lease_until = excluded.lease_until"
)
_JOBS = (
    "select id, state, paused, hold_reason is not null as held, deadline"
    " from jobs where id = any($1) order by id for no key update"
)
_ATTEMPTS = (
    "select a.job_id, a.step, a.item, a.attempt, a.state, a.worker, a.reserved_nanos, a.budget_ids, a.deployment,"
    " a.raw, a.final, a.error_code, extract(epoch from w.lease_until)::float8 as lease_until,"
    " coalesce(w.lease_until > now(), false) as live"
    " from attempts a left join workers w on w.id = a.worker"
    " where a.job_id = any($1) order by a.job_id, a.step, a.item, a.attempt for no key update of a"
)
_RESERVED = (
    "select k.place from unnest($1::uuid[], $2::text[], $3::int[], $4::int[]) with ordinality"
    " k(job, step, item, attempt, place)"
    " join attempts a on a.job_id = k.job and a.step = k.step and a.item = k.item and a.attempt = k.attempt"
    " where a.job_id = any($1) and a.state = 0 order by a.job_id, a.step, a.item, a.attempt for no key update of a"
)
_ABANDON = (
    "update attempts a set state = $5, cost_nanos = a.reserved_nanos, error_code = $6, ended_at = $7"
    " from unnest($1::uuid[], $2::text[], $3::int[], $4::int[]) k(job, step, item, attempt)"
    " where a.job_id = k.job and a.step = k.step and a.item = k.item and a.attempt = k.attempt"
    " and a.job_id = any($1) and attempt_may_1(a.state, $5)"
)
_GRANT = (
    "insert into attempts (job_id, step, item, attempt, tenant_id, worker, deployment, model, price_version,"
    " prompt_hash, reserved_nanos, budget_ids, started_at)"
    " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
)
_DEADLOCK_TRIES = 5


class PostgresLedger:
    """``common.ports.Ledger`` for one worker incarnation."""

    def __init__(self, pool: Pool, *, worker: UUID, lease_s: float, shards: int, source: str) -> None:
        self._pool = pool
        self._worker = worker
        self._lease_s = lease_s
        self._shards = shards
        self._source = source

    async def renew_lease(self) -> None:
        """Extend this worker's lease by ``lease_s`` from now, in Postgres time."""
        async with connection(self._pool) as lent:
            await lent.execute(_RENEW, self._worker, self._lease_s)

    async def reserve(self, items: Sequence[Reservation]) -> Sequence[ReserveDecision]:
        """Commit a ledger row for each call that may be made, and say what became of the others."""
        keys = {(i.ref.job_id, i.ref.step, i.ref.item) for i in items}
        plain = len(keys) == len(items) and all(i.ref.attempt <= i.max_attempts for i in items)
        if plain and await self._reserve_whole(items):
            return [ReserveDecision(ReserveKind.GRANTED, item.ref.attempt) for item in items]
        for _ in range(_DEADLOCK_TRIES):
            try:
                return await self._reserve_each(items)
            except asyncpg.UniqueViolationError:
                await asyncio.sleep(0.01)
            except DatabaseUnavailable as error:
                if not isinstance(error.__cause__, asyncpg.DeadlockDetectedError):
                    raise
                await asyncio.sleep(0.01)
        raise DatabaseUnavailable("reservations keep colliding; the micro-batch is repeated")

    async def settle(self, items: Sequence[Settlement]) -> None:
        """Record how attempts ended, with their raw answers, before anything is made of them."""
        # By the id of the message: the last of several counts.
        retries = {item.retry.message_id: (place, item.retry) for place, item in enumerate(items, 1) if item.retry}
        columns = _settle_columns(items)
        holding = any(message.not_before is None for _, message in retries.values())
        async with transaction(self._pool) if holding else connection(self._pool) as lent:
            if holding:
                kept = await self._held(lent, [items[place - 1] for place, _ in retries.values()])
                retries = {message.message_id: retries[message.message_id] for message in kept}
            parked = park_columns([message for _, message in retries.values()], self._shards)
            freed = await lent.fetchval(_SETTLE, *columns, *parked, [place for place, _ in retries.values()])
        if retries or freed:
            async with connection(self._pool) as lent:
                if retries:
                    await notify(lent, {LATER_TOKEN, PUBLIC_TOKEN})
                await notify_control(lent, [budget_token(budget_id) for budget_id in freed or ()])

    async def _held(self, lent: Connection, items: Sequence[Settlement]) -> Sequence[ParkedMessage]:
        """Put the jobs whose calls wait for the operator on hold; return the messages still wanted of these retries.

        Of an attempt that is reserved no more, somebody else takes care.
        """
        await lock_jobs(lent, {item.ref.job_id for item in items})
        rows = await lent.fetch(
            _RESERVED,
            [item.ref.job_id for item in items],
            [item.ref.step for item in items],
            [item.ref.item for item in items],
            [item.attempt for item in items],
        )
        reserved = [items[row["place"] - 1].retry for row in rows]
        return await hold_parked(lent, [m for m in reserved if m is not None], self._source, self._shards)

    async def _reserve_whole(self, items: Sequence[Reservation]) -> bool:
        scopes: dict[tuple[str, str, str], int] = {}
        for item in items:
            for scope in scopes_of(item):
                scopes[scope] = scopes.get(scope, 0) + item.amount_nanos
        try:
            async with connection(self._pool) as lent:
                granted = await lent.fetchval(
                    _TRY,
                    [i.ref.job_id for i in items],
                    [i.ref.step for i in items],
                    [i.ref.item for i in items],
                    [i.ref.attempt for i in items],
                    [i.ref.tenant_id for i in items],
                    [i.ref.recipe.partition("@")[0] for i in items],
                    [i.ref.batch_id for i in items],
                    [i.deployment for i in items],
                    [i.model for i in items],
                    [i.price_version for i in items],
                    [i.prompt_hash for i in items],
                    [i.amount_nanos for i in items],
                    [s[0] for s in scopes],
                    [s[1] for s in scopes],
                    [s[2] for s in scopes],
                    list(scopes.values()),
                    self._worker,
                )
        except asyncpg.UniqueViolationError:
            return False
        return bool(granted)

    async def _reserve_each(self, items: Sequence[Reservation]) -> list[ReserveDecision]:
        job_ids = sorted({item.ref.job_id for item in items})
        async with transaction(self._pool) as lent:
            jobs = await lent.fetch(_JOBS, job_ids)
            attempts = _attempts_by_key(await lent.fetch(_ATTEMPTS, job_ids))
            scopes = {scope for item in items for scope in scopes_of(item)}
            charged = {b for rows in attempts.values() for row in rows.values() for b in row.budget_ids}
            budgets, at = await locked_budgets(lent, scopes, charged)
            facts = {row["id"]: _job_facts(row, at) for row in jobs}
            decided = decide(items, facts, attempts, budgets, self._worker)
            await self._write(lent, decided, at)
            if decided.granted or decided.abandoned:
                await write_budgets(lent, budgets, at)
        if decided.held:
            async with connection(self._pool) as lent:
                await notify(lent, {PUBLIC_TOKEN})
        return decided.decisions

    async def _write(self, lent: Connection, decided: Decided, at: datetime) -> None:
        if decided.abandoned:
            await lent.execute(
                _ABANDON,
                [item.ref.job_id for item, _ in decided.abandoned],
                [item.ref.step for item, _ in decided.abandoned],
                [item.ref.item for item, _ in decided.abandoned],
                [row.attempt for _, row in decided.abandoned],
                int(AttemptState.UNKNOWN),
                LEASE_EXPIRED,
                at,
            )
        if decided.granted:
            await lent.executemany(_GRANT, [(*self._granted(*granted), at) for granted in decided.granted])
        if decided.released:
            await arrived(lent, {(i.ref.job_id, i.ref.message_id("prompts")) for i in decided.released})
        await self._hold(lent, decided)
        await add_usage(
            lent,
            [
                Charge(i.ref.tenant_id, i.ref.recipe, charged=1, cost_nanos=row.reserved_nanos)
                for i, row in decided.abandoned
            ]
            + [Charge(i.ref.tenant_id, i.ref.recipe, rebought=1) for i in decided.rebought],
        )

    def _granted(self, item: Reservation, attempt: int, budget_ids: Sequence[int]) -> tuple[object, ...]:
        return (
            item.ref.job_id,
            item.ref.step,
            item.ref.item,
            attempt,
            item.ref.tenant_id,
            self._worker,
            item.deployment,
            item.model,
            item.price_version,
            item.prompt_hash,
            item.amount_nanos,
            list(budget_ids),
        )

    async def _hold(self, lent: Connection, decided: Decided) -> None:
        """Write holds in the transaction that read the state: the job's reason, its message, its event."""
        if not decided.held:
            return
        holds = [
            Hold(
                h.item.ref.job_id,
                h.item.ref.message_id("prompts"),
                h.kind,
                h.reason,
                amount_nanos=h.item.amount_nanos,
                budget_id=h.budget_id,
            )
            for h in decided.held
        ]
        await hold(lent, holds, self._source, self._shards)
        parked = [
            ParkedMessage(
                message_id=h.item.ref.message_id("prompts"),
                job_id=h.item.ref.job_id,
                tenant_id=h.item.ref.tenant_id,
                topic=PROMPTS_OF[h.item.ref.lane],
                body=h.item.body,
                not_before=None,
                reason=h.reason,
            )
            for h in decided.held
        ]
        await park_messages(lent, parked, self._shards)


def _settle_columns(items: Sequence[Settlement]) -> tuple[list[object], ...]:
    return (
        [i.ref.job_id for i in items],
        [i.ref.step for i in items],
        [i.ref.item for i in items],
        [i.attempt for i in items],
        [i.ref.tenant_id for i in items],
        [i.ref.recipe for i in items],
        [int(AttemptState[i.outcome.name]) for i in items],
        [i.cost_nanos for i in items],
        [i.raw for i in items],
        [i.model_served for i in items],
        [i.request_id for i in items],
        [i.finish_reason for i in items],
        [i.error_code for i in items],
        [i.input_tokens for i in items],
        [i.cached_tokens for i in items],
        [i.output_tokens for i in items],
        [i.latency_ms for i in items],
        [i.outcome.name != "ANSWERED" and i.retry is None for i in items],
    )


def _job_facts(row: asyncpg.Record, at: datetime) -> JobFacts:
    expired = row["deadline"] is not None and row["deadline"] < at
    return JobFacts(JobState(row["state"]), expired, row["held"], row["paused"])


def _attempts_by_key(rows: Sequence[asyncpg.Record]) -> dict[AttemptKey, dict[int, AttemptFacts]]:
    found: dict[AttemptKey, dict[int, AttemptFacts]] = {}
    for row in rows:
        found.setdefault((row["job_id"], row["step"], row["item"]), {})[row["attempt"]] = AttemptFacts(
            attempt=row["attempt"],
            state=AttemptState(row["state"]),
            worker=row["worker"],
            lease_until=row["lease_until"] if row["live"] else None,
            reserved_nanos=row["reserved_nanos"],
            budget_ids=tuple(row["budget_ids"]),
            deployment=row["deployment"],
            raw=row["raw"],
            final=row["final"],
            error_code=row["error_code"],
        )
    return found
