"""Dead letters: kept with their bytes, shown, edited, and sent again under their own identity, or discarded.

An open letter keeps its job on hold. Sending it again and discarding it both end that hold: a job whose message is
discarded goes on from the ledger, as any job does whose message is lost; to end the job, cancel it.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, Final
from uuid import UUID

import asyncpg
import orjson

from common.contracts import (
    Completion,
    DeadLetterRecord,
    Prompt,
    Step,
    StepRef,
    Verdict,
    cloud_event_headers,
    decode,
)
from common.contracts.public import DEAD_LETTER_TYPE
from common.errors import PoisonError
from common.ids import derive, shard_of
from common.operator_ports import LetterFilter, LetterState, LetterView, NotReplayable
from common.pipeline import PROMPTS_OF, STEPS_OF, TOPICS, Topic, topic_name
from common.ports import DeadLetter
from persistence.postgres import holds
from persistence.postgres.holds import Hold
from persistence.postgres.pool import Connection, Pool, connection, sweep, transaction
from persistence.postgres.records import PublicRow, insert_public
from persistence.postgres.states import HoldKind, JobState, ReleaseLane
from persistence.postgres.wake import EVERYTHING_TOKEN, notify

_NOBODY: Final = UUID(int=0)
KEPT_DAYS: Final = 30
_SWEPT_ROWS: Final = 1_000

_KEEP = """
insert into dead_letters as d (topic, partition, "offset", stage, job_id, key, value, headers, reason, exception,
                               fingerprint)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
on conflict (fingerprint) do update set count = d.count + 1, replayed_at = null, discarded_at = null
returning id, count
"""
_STATE = (
    "case when d.replayed_at is not null then 'replayed' when d.discarded_at is not null then 'discarded'"
    " else 'open' end"
)
_FACTS = f"""
select d.id, {_STATE} as state, d.stage, d.topic, d.partition, d."offset", d.job_id, d.reason, d.exception, d.count,
       d.created_at, coalesce(d.replayed_at, d.discarded_at) as ended_at, d.edited is not null as is_edited,
       coalesce(octet_length(coalesce(d.edited, d.value)), 0) as size
"""
_LIST = f"""
{_FACTS} from dead_letters d
 where ($1::bigint is null or d.id < $1) and ($2::text is null or {_STATE} = $2) and ($3::text is null or d.stage = $3)
   and ($4::uuid is null or d.job_id = $4)
 order by d.id desc limit $5
"""
_ONE = f"{_FACTS}, d.key, d.value, d.edited, d.headers from dead_letters d where d.id = $1"
_LOCK = f"select d.*, {_STATE} as state from dead_letters d where d.id = $1 for update"  # noqa: S608 - constants
_OPEN = """
select count(*) from (select 1 from dead_letters
                       where stage = $1 and replayed_at is null and discarded_at is null limit $2) d
"""
_SWEEP = """
delete from dead_letters where id in (
  select id from dead_letters where coalesce(replayed_at, discarded_at) < now() - $1 * interval '1 day'
   order by id limit $2)
"""
_QUEUE = """
insert into outbox as o (id, shard, lane, tenant_id, topic, job_id, body, headers)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (id) do update set body = excluded.body, headers = excluded.headers, not_before = null,
                               rev = nextval('outbox_rev')
"""
_MODELS: dict[Topic, type[StepRef]] = {
    **dict.fromkeys(STEPS_OF.values(), Step),
    **dict.fromkeys(PROMPTS_OF.values(), Prompt),
    Topic.COMPLETIONS: Completion,
    Topic.VERDICTS: Verdict,
}
_PURPOSES = {Step: "steps", Prompt: "prompts", Completion: "completions", Verdict: "verdicts"}


def fingerprint(topic: str, partition: int, offset: int, value: bytes | None) -> bytes:
    """Return what makes two letters one: the same place and content. A topic made anew has the same offsets."""
    return hashlib.sha256(f"{topic}:{partition}:{offset}:".encode() + (value or b"")).digest()


def letter_hold(letter: DeadLetter) -> Hold | None:
    """Return the hold of a dead letter's job, under an id derived from where the record stood."""
    if letter.job_id is None:
        return None
    place = _hold_id(letter.job_id, letter.topic, letter.partition, letter.offset)
    return Hold(letter.job_id, place, HoldKind.DEAD_LETTER, f"dead letter: {letter.reason}")


async def keep(lent: Connection, letters: Sequence[DeadLetter], source: str, shards: int, *, told: bool = True) -> None:
    """Keep letters, inside the caller's transaction, tell of each on its public topic, and put their jobs on hold.

    A redelivery is counted, and not told again. Unless ``told``, none is.
    """
    letters = [replace(letter, reason=_storable(letter.reason)) for letter in letters]
    await holds.lock_jobs(lent, {letter.job_id for letter in letters if letter.job_id is not None})
    places = [fingerprint(each.topic, each.partition, each.offset, each.value) for each in letters]
    records = []
    for place, letter in sorted(zip(places, letters, strict=True), key=itemgetter(0)):
        row = await lent.fetchrow(
            _KEEP,
            letter.topic,
            letter.partition,
            letter.offset,
            letter.stage,
            letter.job_id,
            letter.key,
            letter.value,
            orjson.dumps([[_storable(name), _text(value)] for name, value in letter.headers]).decode(),
            letter.reason,
            letter.exception,
            place,
        )
        if told and row is not None and row["count"] == 1:
            records.append(letter_row(row["id"], letter, datetime.now(UTC), source, shards))
    await insert_public(lent, records)
    await holds.hold(lent, [h for letter in letters if (h := letter_hold(letter))], source, shards)


def letter_row(letter_id: int, letter: DeadLetter, now: datetime, source: str, shards: int) -> PublicRow:
    """Return the one public record of a letter."""
    subject = letter.job_id or _NOBODY
    record_id = derive(subject, f"letter:{letter_id}")
    record = DeadLetterRecord(
        letter_id=letter_id,
        job_id=letter.job_id,
        stage=letter.stage,
        topic=letter.topic,
        partition=letter.partition,
        offset=letter.offset,
        reason=letter.reason,
        exception=letter.exception,
        at=now,
    )
    return PublicRow(
        record_id=record_id,
        shard=shard_of(subject, shards),
        tenant_id="",
        topic=Topic.DEAD_LETTERS,
        job_id=subject,
        body=record.model_dump_json().encode(),
        headers=orjson.dumps(cloud_event_headers(record_id, DEAD_LETTER_TYPE, source, subject, now)),
        traceparent=None,
    )


async def open_letters(pool: Pool, stage: str, most: int) -> int:
    """Return how many letters of a stage nobody has dealt with, counting no further than ``most``."""
    async with connection(pool) as lent:
        return int(await lent.fetchval(_OPEN, stage, most))


async def sweep_letters(pool: Pool) -> int:
    """Delete letters that were dealt with long ago; open ones stay; return how many."""
    return await sweep(pool, _SWEEP, KEPT_DAYS, rows=_SWEPT_ROWS)


class PostgresDeadLetters:
    """``common.operator_ports.DeadLetters`` over a pool. ``prefix``: of the installation's topics."""

    def __init__(self, pool: Pool, *, shards: int, prefix: str) -> None:
        self._pool = pool
        self._shards = shards
        self._topics = {topic_name(prefix, topic): topic for topic in TOPICS}

    async def letters(self, wanted: LetterFilter, *, before: int | None, limit: int) -> Sequence[LetterView]:
        """Return letters without their contents, newest first."""
        async with connection(self._pool) as lent:
            rows = await lent.fetch(_LIST, before, wanted.state, wanted.stage, wanted.job_id, limit)
        return [_view(row) for row in rows]

    async def letter(self, letter_id: int) -> LetterView | None:
        """Return one with its bytes."""
        async with connection(self._pool) as lent:
            row = await lent.fetchrow(_ONE, letter_id)
        return None if row is None else _whole(row)

    async def edit(self, letter_id: int, value: bytes) -> LetterView | None:
        """Set what a replay will send; the original stays. Raises NotReplayable for what no stage could read."""
        async with transaction(self._pool) as lent:
            row = await self._locked(lent, letter_id)
            if row is None:
                return None
            self._message(row["topic"], row["job_id"], value)
            await lent.execute("update dead_letters set edited = $2 where id = $1", letter_id, value)
        return await self.letter(letter_id)

    async def replay(self, letter_id: int) -> LetterView | None:
        """Queue the message again under its key, headers and id, and end its job's hold. Raises NotReplayable."""
        async with transaction(self._pool) as lent:
            row = await self._locked(lent, letter_id)
            if row is None:
                return None
            await lent.execute(_QUEUE, *await self._queued(lent, row))
            await _release(lent, row)
            await lent.execute("update dead_letters set replayed_at = now() where id = $1", letter_id)
        await self._wake()
        return await self.letter(letter_id)

    async def discard(self, letter_id: int) -> LetterView | None:
        """Give the message up and end its job's hold. Raises NotReplayable where it is no longer open."""
        async with transaction(self._pool) as lent:
            row = await self._locked(lent, letter_id)
            if row is None:
                return None
            await _release(lent, row)
            await lent.execute("update dead_letters set discarded_at = now() where id = $1", letter_id)
        return await self.letter(letter_id)

    async def _locked(self, lent: Connection, letter_id: int) -> asyncpg.Record | None:
        # The job before what is its own, as everywhere.
        await lent.execute(
            "select 1 from jobs where id = (select job_id from dead_letters where id = $1) for no key update", letter_id
        )
        row = await lent.fetchrow(_LOCK, letter_id)
        if row is not None and row["state"] != LetterState.OPEN:
            raise NotReplayable(f"The letter was {row['state']} already.")
        return row

    async def _queued(self, lent: Connection, row: asyncpg.Record) -> tuple[object, ...]:
        """Return the outbox row that sends a letter again."""
        job_id: UUID | None = row["job_id"]
        if job_id is None:
            raise NotReplayable("Its key names no job, so no stage of ours wrote it. Discard it.")
        tenant_id = await lent.fetchval("select tenant_id from jobs where id = $1", job_id)
        if tenant_id is None:
            raise NotReplayable("There is no job of this id. Discard the letter.")
        body: bytes = row["edited"] if row["edited"] is not None else row["value"] or b""
        topic, headers = self._topics.get(row["topic"]), orjson.loads(row["headers"])
        if row["stage"] == "relay" and topic is not None and TOPICS[topic].public:
            stored = orjson.loads(headers[0][1]) if headers else []
            record_id = UUID(dict(stored)["ce_id"]) if stored else derive(job_id, f"letter:{row['id']}")
            lane, message_id = ReleaseLane.PUBLIC, record_id
        else:
            message = self._message(row["topic"], job_id, body)
            lane, message_id = ReleaseLane.INTERIOR, message.message_id(_PURPOSES[type(message)])
            stored = [] if row["stage"] == "relay" else [pair for pair in headers if isinstance(pair[1], str)]
        packed = orjson.dumps(stored) if stored else None
        shard = shard_of(job_id, self._shards)
        return message_id, shard, int(lane), tenant_id, None if topic is None else int(topic), job_id, body, packed

    def _message(self, name: str, job_id: UUID | None, value: bytes) -> StepRef:
        """Read what is to be sent as its topic's message. Raises NotReplayable."""
        topic = self._topics.get(name)
        model = _MODELS.get(topic) if topic is not None else None
        if model is None:
            raise NotReplayable(
                f"{name} is no work topic; what it told is in Postgres and on the topic. Discard the letter."
            )
        try:
            message = decode(model, value)
        except PoisonError as poison:
            raise NotReplayable(f"{poison}. Edit it, or discard it.") from None
        if message.job_id != job_id:
            raise NotReplayable("It names another job than its key does. Edit it, or discard it.")
        return message

    async def _wake(self) -> None:
        async with connection(self._pool) as lent:
            await notify(lent, {EVERYTHING_TOKEN})


async def _release(lent: Connection, row: asyncpg.Record) -> None:
    """End the hold of a letter's job, which is locked."""
    job_id: UUID | None = row["job_id"]
    if job_id is None:
        return
    state = await lent.fetchval("select state from jobs where id = $1", job_id)
    if state == JobState.OPEN:
        held = _hold_id(job_id, row["topic"], row["partition"], row["offset"])
        await holds.arrived(lent, {(job_id, held)})


def _hold_id(job_id: UUID, topic: str, partition: int, offset: int) -> UUID:
    return derive(job_id, f"dead-letter:{topic}:{partition}:{offset}")


def _storable(text: str) -> str:
    """Return ``text`` as Postgres takes it: without NUL or lone surrogates."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def _text(value: bytes) -> Any:
    try:
        if b"\x00" not in value:
            return value.decode()
    except UnicodeDecodeError:
        pass
    return {"base64": base64.b64encode(value).decode()}


def _bytes(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else base64.b64decode(value["base64"])


def _view(row: asyncpg.Record, **contents: Any) -> LetterView:
    return LetterView(
        letter_id=row["id"],
        state=LetterState(row["state"]),
        stage=row["stage"],
        topic=row["topic"],
        partition=row["partition"],
        offset=row["offset"],
        job_id=row["job_id"],
        reason=row["reason"],
        exception=row["exception"],
        count=row["count"],
        created_at=row["created_at"],
        ended_at=row["ended_at"],
        edited=row["is_edited"],
        size_bytes=row["size"],
        **contents,
    )


def _whole(row: asyncpg.Record) -> LetterView:
    return _view(
        row,
        key=row["key"],
        value=row["edited"] if row["edited"] is not None else row["value"],
        original=row["value"],
        headers=tuple((name, _bytes(value)) for name, value in orjson.loads(row["headers"])),
    )
