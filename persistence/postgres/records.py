"""Public records as outbox rows: what a job's ending says to other teams, and the one statement that stores it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from common.contracts import EventType, Failure, Lane, StepRef, cloud_event_headers
from common.contracts.public import OUTPUT_TYPE
from common.ids import derive, shard_of
from common.pipeline import Topic
from persistence.postgres.pool import Connection
from persistence.postgres.states import LANE_OF_NUMBER, JobState, ReleaseLane


@dataclass(frozen=True, slots=True)
class JobRow:
    """What a job's records say of it, as read under its lock."""

    job_id: UUID
    tenant_id: str
    batch_id: UUID | None
    recipe: str
    recipe_hash: str
    lane: Lane
    tags: tuple[str, ...]
    state: JobState
    revision: int
    event_seq: int
    created_at: datetime
    traceparent: str | None
    paused: bool = False
    held: bool = False

    @classmethod
    def of(cls, row: asyncpg.Record) -> "JobRow":
        """Read a row of ``jobs``."""
        return cls(
            job_id=row["id"],
            tenant_id=row["tenant_id"],
            batch_id=row["batch_id"],
            recipe=row["recipe"],
            recipe_hash=row["recipe_hash"],
            lane=LANE_OF_NUMBER[row["lane"]],
            tags=tuple(row["tags"]),
            state=JobState(row["state"]),
            revision=row["revision"],
            event_seq=row["event_seq"],
            created_at=row["created_at"],
            traceparent=row["traceparent"],
            paused=row["paused"],
            held=row["hold_reason"] is not None,
        )

    def interior_message_ids(self, steps: Sequence[tuple[str, int, int]]) -> list[UUID]:
        """Return the ids of every interior message (step, item, up to attempt) that may wait in the outbox."""
        return [
            StepRef(
                tenant_id=self.tenant_id,
                job_id=self.job_id,
                step=step,
                item=item,
                attempt=attempt,
                lane=self.lane,
                recipe=self.recipe,
                recipe_hash=self.recipe_hash,
            ).message_id(purpose)
            for step, item, last in steps
            for attempt in range(1, last + 1)
            for purpose in ("steps", "prompts")
        ]

    def base(self) -> dict[str, Any]:
        """Return the fields every public record has."""
        return {
            "job_id": str(self.job_id),
            "tenant_id": self.tenant_id,
            "batch_id": str(self.batch_id) if self.batch_id else None,
            "recipe": self.recipe,
            "lane": self.lane.value,
            "tags": self.tags,
        }


@dataclass(frozen=True, slots=True)
class PublicRow:
    """One outbox row that becomes one record on a public topic."""

    record_id: UUID
    shard: int
    tenant_id: str
    topic: Topic
    job_id: UUID
    body: bytes
    headers: bytes
    traceparent: str | None


def output_row(
    job: JobRow, output: str, lineage: Mapping[str, Any], now: datetime, source: str, shards: int
) -> PublicRow:
    """Return the one output record of a job that succeeds now; ``output`` is JSON text."""
    record_id = derive(job.job_id, "output")
    body = job.base() | {
        "revision": job.revision + 1,
        "output": orjson.Fragment(output),
        "lineage": lineage,
    }
    return _row(job, record_id, OUTPUT_TYPE, Topic.OUTPUTS, body, now, source, shards)


def event_row(
    job: JobRow, kind: EventType, failure: Failure | None, now: datetime, source: str, shards: int
) -> PublicRow:
    """Return the next event of a job (its sequence follows the last one read under the lock)."""
    sequence = job.event_seq + 1
    body = job.base() | {
        "type": kind.value,
        "sequence": sequence,
        "terminal": kind is not EventType.HELD,
        "failure": failure.model_dump() if failure else None,
        "at": now.isoformat(),
    }
    return _row(job, derive(job.job_id, f"event:{sequence}"), kind.value, Topic.EVENTS, body, now, source, shards)


def _row(
    job: JobRow,
    record_id: UUID,
    kind: str,
    topic: Topic,
    body: Mapping[str, Any],
    now: datetime,
    source: str,
    shards: int,
) -> PublicRow:
    headers = cloud_event_headers(record_id, kind, source, job.job_id, now)
    if job.traceparent:
        headers.append(("traceparent", job.traceparent))
    return PublicRow(
        record_id=record_id,
        shard=shard_of(job.job_id, shards),
        tenant_id=job.tenant_id,
        topic=topic,
        job_id=job.job_id,
        body=orjson.dumps(body),
        headers=orjson.dumps(headers),
        traceparent=job.traceparent,
    )


async def insert_public(lent: Connection, rows: Sequence[PublicRow]) -> None:
    """Queue public records, inside the caller's transaction. A record is queued once under its id."""
    await lent.execute(
        "insert into outbox (id, shard, lane, tenant_id, topic, job_id, body, headers, traceparent)"
        " select * from unnest($1::uuid[], $2::smallint[], $3::smallint[], $4::text[], $5::smallint[],"
        " $6::uuid[], $7::bytea[], $8::bytea[], $9::text[]) on conflict (id) do nothing",
        *public_columns(rows),
    )


def public_columns(rows: Sequence[PublicRow]) -> tuple[list[Any], ...]:
    """Return the rows as the arrays of an ``unnest``."""
    return (
        [r.record_id for r in rows],
        [r.shard for r in rows],
        [int(ReleaseLane.PUBLIC)] * len(rows),
        [r.tenant_id for r in rows],
        [int(r.topic) for r in rows],
        [r.job_id for r in rows],
        [r.body for r in rows],
        [r.headers for r in rows],
        [r.traceparent for r in rows],
    )
