"""Messages set aside: parked in the outbox until their time, or kept as dead letters with their job on hold."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from common.failpoint import failpoint
from common.ids import shard_of
from common.ports import DeadLetter, ErrorNote, ParkedMessage, Payload
from persistence.postgres.dead_letters import keep, open_letters
from persistence.postgres.errors import add_errors
from persistence.postgres.holds import Hold, hold
from persistence.postgres.payloads import keep_payloads, payload_bodies
from persistence.postgres.pool import Connection, Pool, connection, transaction
from persistence.postgres.states import HoldKind
from persistence.postgres.wake import LATER_TOKEN, PUBLIC_TOKEN, notify

_INFINITY = datetime.max.replace(tzinfo=UTC)  # asyncpg writes it as 'infinity'
_INPUTS_BYTES = 64 * 1024 * 1024
# Lengths are read from the rows; only the bodies that are returned are fetched from beside the table.
_INPUTS = """
select i.job_id, i.body from job_inputs i join (
  select job_id, sum(octet_length(body)) over (order by job_id) - octet_length(body) as before
    from job_inputs where job_id = any($1)) s on s.job_id = i.job_id
 where i.job_id = any($1) and s.before < $2
"""
_PARK = (
    "select park_1($1::uuid[], $2::smallint[], $3::text[], $4::timestamptz[], $5::smallint[], $6::uuid[],"
    " $7::bytea[], $8::text[])"
)


def park_columns(messages: Sequence[ParkedMessage], shards: int) -> tuple[list[Any], ...]:
    """Return messages as the arrays of ``park_1``; the last of several under one id counts."""
    unique = list({m.message_id: m for m in messages}.values())
    return (
        [m.message_id for m in unique],
        [shard_of(m.job_id, shards) for m in unique],
        [m.tenant_id for m in unique],
        [_INFINITY if m.not_before is None else datetime.fromtimestamp(m.not_before, UTC) for m in unique],
        [int(m.topic) for m in unique],
        [m.job_id for m in unique],
        [m.body for m in unique],
        [m.reason for m in unique],
    )


async def park_messages(lent: Connection, messages: Sequence[ParkedMessage], shards: int) -> None:
    """Queue messages for their time, inside the caller's transaction; twice is once."""
    await lent.execute(_PARK, *park_columns(messages, shards))


async def hold_parked(
    lent: Connection, messages: Sequence[ParkedMessage], source: str, shards: int
) -> Sequence[ParkedMessage]:
    """Put the jobs of messages without a time on hold for the operator; return the messages still wanted.

    A message without a time of a job that has ended is dropped: nothing would ever release it.
    """
    holds = [Hold(m.job_id, m.message_id, HoldKind.OPERATOR, m.reason) for m in messages if m.not_before is None]
    if not holds:
        return messages
    still_open = await hold(lent, holds, source, shards)
    return [m for m in messages if m.not_before is not None or m.job_id in still_open]


class PostgresParking:
    """``common.ports.Parking`` and ``InputStore`` over a pool."""

    def __init__(self, pool: Pool, *, shards: int, source: str) -> None:
        self._pool = pool
        self._shards = shards
        self._source = source

    async def park(self, messages: Sequence[ParkedMessage]) -> None:
        """Queue messages again for their time; twice is once. Without a time, their jobs are on hold."""
        async with transaction(self._pool) as lent:
            # Jobs are locked before their messages, as everywhere.
            kept = await hold_parked(lent, messages, self._source, self._shards)
            await park_messages(lent, kept, self._shards)
            failpoint("parking.before_commit")
        failpoint("parking.after_commit")
        async with connection(self._pool) as lent:
            await notify(lent, {LATER_TOKEN, PUBLIC_TOKEN})

    async def set_aside(self, letters: Sequence[DeadLetter]) -> None:
        """Keep records no stage can handle, and put their jobs on hold with the reason."""
        async with transaction(self._pool) as lent:
            await keep(lent, letters, self._source, self._shards)
        async with connection(self._pool) as lent:
            await notify(lent, {PUBLIC_TOKEN})

    async def waiting_letters(self, stage: str, most: int) -> int:
        """Return how many letters of a stage nobody has dealt with, counting no further than ``most``."""
        return await open_letters(self._pool, stage, most)

    async def keep_payloads(self, payloads: Sequence[Payload]) -> None:
        """Keep the bytes of large messages; twice is once."""
        await keep_payloads(self._pool, payloads)

    async def payloads(self, ids: Sequence[UUID]) -> Mapping[UUID, bytes]:
        """Return the bytes of large messages, those that are there."""
        return await payload_bodies(self._pool, ids)

    async def note_errors(self, notes: Sequence[ErrorNote]) -> None:
        """Add to the error log."""
        await add_errors(self._pool, notes)

    async def inputs(self, job_ids: Sequence[UUID]) -> Mapping[UUID, bytes]:
        """Return the inputs of jobs, byte for byte as they were received: as many as fit into ``_INPUTS_BYTES``."""
        async with connection(self._pool) as lent:
            rows = await lent.fetch(_INPUTS, list(job_ids), _INPUTS_BYTES)
        return {row["job_id"]: row["body"] for row in rows}
