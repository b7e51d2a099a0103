"""Dead letters on real Postgres: kept with their bytes, dealt with once, and sent again under their own identity."""

from dataclasses import replace

import orjson
import pytest

from common.contracts import Completion
from common.operator_ports import LetterFilter, LetterState, NotReplayable
from common.pipeline import Topic
from common.ports import DeadLetter, ErrorNote, NewJob
from persistence.postgres.dead_letters import PostgresDeadLetters
from persistence.postgres.errors import PostgresErrors, add_errors
from persistence.postgres.parking import PostgresParking
from persistence.postgres.pool import Pool, connection
from tests.integration.persistence.examples import reference, store, submitted

pytestmark = pytest.mark.stack

TRACE = ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


def parking_of(pool: Pool) -> PostgresParking:
    return PostgresParking(pool, shards=1, source="test")


def letters_of(pool: Pool) -> PostgresDeadLetters:
    return PostgresDeadLetters(pool, shards=1, prefix="test")


def completion(job: NewJob) -> bytes:
    message = Completion(**reference(job).reference(), text="{}", finish_reason="stop")
    return message.model_dump_json(exclude_none=True).encode()


def letter(job: NewJob, value: bytes = b"\xff garbage", *, offset: int = 7) -> DeadLetter:
    headers = (TRACE, ("binary", b"\xff\x00"))
    key = str(job.job_id).encode()
    return DeadLetter(
        "output_validation", "test.completions", 1, offset, key, value, headers, "no message", "Bad", job.job_id
    )


async def hold_reason(pool: Pool, job: NewJob) -> str | None:
    found = await store(pool).job(job.tenant_id, job.job_id)
    assert found is not None
    return found.hold_reason


async def set_aside(pool: Pool, job: NewJob, value: bytes = b"\xff garbage") -> int:
    await parking_of(pool).set_aside([letter(job, value)])
    (found,) = await letters_of(pool).letters(LetterFilter(job_id=job.job_id), before=None, limit=10)
    return found.letter_id


async def test_p6_a_letter_keeps_its_bytes_and_headers_and_holds_its_job(pool: Pool) -> None:
    (job,) = await submitted(pool)

    found = await letters_of(pool).letter(await set_aside(pool, job))

    assert found is not None
    assert (found.stage, found.exception, found.state) == ("output_validation", "Bad", LetterState.OPEN)
    assert (found.key, found.value) == (str(job.job_id).encode(), b"\xff garbage")
    assert found.headers == (TRACE, ("binary", b"\xff\x00"))
    assert await hold_reason(pool, job) == "dead letter: no message"


async def test_p6_a_letter_is_kept_whatever_its_headers_and_reason_hold(pool: Pool) -> None:
    (job,) = await submitted(pool)
    headers = (("count", (5).to_bytes(8, "big")), ("empty", b""), ("na\x00me", b"x"))

    await parking_of(pool).set_aside([replace(letter(job), headers=headers, reason="no\x00 \udc80 message")])

    (listed,) = await letters_of(pool).letters(LetterFilter(job_id=job.job_id), before=None, limit=10)
    found = await letters_of(pool).letter(listed.letter_id)
    assert found is not None
    assert found.headers == (("count", (5).to_bytes(8, "big")), ("empty", b""), ("na\N{REPLACEMENT CHARACTER}me", b"x"))
    assert found.reason == "no\N{REPLACEMENT CHARACTER} ? message"


async def test_a_redelivery_is_counted_and_other_content_at_the_same_place_is_another_letter(pool: Pool) -> None:
    (job,) = await submitted(pool)
    await set_aside(pool, job)

    await parking_of(pool).set_aside([letter(job)])
    await parking_of(pool).set_aside([letter(job, b"other")])

    found = await letters_of(pool).letters(LetterFilter(), before=None, limit=10)
    assert [each.count for each in found] == [1, 2]
    async with connection(pool) as lent:
        told = await lent.fetch("select body from outbox where topic = $1 order by rev", int(Topic.DEAD_LETTERS))
    assert [orjson.loads(row["body"])["letter_id"] for row in told] == [found[1].letter_id, found[0].letter_id]


async def test_p6_a_replay_keeps_key_headers_and_id_and_ends_the_hold(pool: Pool) -> None:
    (job,) = await submitted(pool)
    number = await set_aside(pool, job, completion(job))

    replayed = await letters_of(pool).replay(number)

    assert replayed is not None
    assert replayed.state is LetterState.REPLAYED
    async with connection(pool) as lent:
        row = await lent.fetchrow("select * from outbox where lane = 3")
    assert row is not None
    assert row["id"] == reference(job).message_id("completions")
    assert (row["topic"], row["job_id"], row["body"]) == (Topic.COMPLETIONS, job.job_id, completion(job))
    assert orjson.loads(row["headers"]) == [[TRACE[0], TRACE[1].decode()]]
    assert await hold_reason(pool, job) is None
    with pytest.raises(NotReplayable, match="replayed already"):
        await letters_of(pool).replay(number)


async def test_what_no_stage_can_read_is_not_sent_until_it_is_edited(pool: Pool) -> None:
    job, other = await submitted(pool, 2)
    letters = letters_of(pool)
    number = await set_aside(pool, job)
    with pytest.raises(NotReplayable, match="not a Completion message"):
        await letters.replay(number)
    with pytest.raises(NotReplayable, match="another job"):
        await letters.edit(number, completion(other))

    edited = await letters.edit(number, completion(job))
    replayed = await letters.replay(number)

    assert edited is not None
    assert replayed is not None
    assert (edited.original, edited.value, edited.edited) == (b"\xff garbage", completion(job), True)
    assert replayed.state is LetterState.REPLAYED


async def test_a_discarded_letter_ends_the_hold_and_its_redelivery_opens_it_again(pool: Pool) -> None:
    (job,) = await submitted(pool)
    number = await set_aside(pool, job)

    discarded = await letters_of(pool).discard(number)
    free = await hold_reason(pool, job)
    await parking_of(pool).set_aside([letter(job)])
    again = await letters_of(pool).letter(number)

    assert discarded is not None
    assert discarded.state is LetterState.DISCARDED
    assert free is None
    assert again is not None
    assert (again.state, again.count) == (LetterState.OPEN, 2)
    assert await hold_reason(pool, job) == "dead letter: no message"


async def test_the_error_log_counts_by_job_stage_and_kind(pool: Pool) -> None:
    job, other = await submitted(pool, 2)
    for count in (1, 2):
        await add_errors(
            pool,
            [
                ErrorNote(job.job_id, "prompt_engine", "Bad", "words", count),
                ErrorNote(None, "prompt_engine", "DatabaseUnavailable", "away", count),
            ],
        )
    errors = PostgresErrors(pool)

    mine = await errors.of_job("default", job.job_id)
    recent = await errors.recent(since=(mine or [])[0].first_at, stage=None, limit=10)

    assert mine is not None
    assert [(e.kind, e.count, e.first_at <= e.last_at) for e in mine] == [("Bad", 3, True)]
    assert {(e.job_id, e.kind) for e in recent} == {(job.job_id, "Bad"), (None, "DatabaseUnavailable")}
    assert await errors.of_job("default", other.job_id) == []
    assert await errors.of_job("nobody", job.job_id) is None
