"""Neighbours share a commit; nobody pays for a neighbour's fault."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from common.contracts import Lane
from common.errors import DatabaseUnavailable, RequestError
from common.ids import uuid7
from common.ports import IdempotencyClaim, NewJob, Submission, SubmitKind
from ingestion.group_commit import GroupCommit
from tests.unit.ingestion.doubles import MemoryJobs


def submission(text: bytes = b"{}", jobs: int = 1) -> Submission:
    return Submission(
        tuple(NewJob(uuid7(), "acme", "greet@1.0.0", "hash", "greet", Lane.STANDARD, text) for _ in range(jobs))
    )


def keyed(key: str) -> Submission:
    made = submission()
    return replace(made, claim=IdempotencyClaim("acme", key, b"hash", made.jobs[0].job_id))


def commit_over(store: MemoryJobs, **options: Any) -> GroupCommit:
    return GroupCommit(store, CollectorRegistry(), **options)


async def test_submissions_of_one_turn_share_one_commit() -> None:
    store = MemoryJobs()
    commit = commit_over(store)

    results = await asyncio.gather(*(commit.submit(submission()) for _ in range(100)))

    assert store.flushes == [100]
    assert {result.kind for result in results} == {SubmitKind.CREATED}
    assert {result.target_id for result in results} == set(store.kept)


async def test_what_arrives_during_a_commit_goes_with_the_next() -> None:
    store = MemoryJobs()
    store.gate.clear()
    commit = commit_over(store, in_flight=1)
    first = asyncio.create_task(commit.submit(submission()))
    await asyncio.sleep(0.01)
    rest = [asyncio.create_task(commit.submit(submission())) for _ in range(700)]
    await asyncio.sleep(0.01)

    store.gate.set()
    await asyncio.gather(first, *rest)

    assert store.flushes == [1, 500, 200]
    assert store.most_at_once == 1


async def test_a_repetition_of_what_is_under_way_holds_nobody_up() -> None:
    store = MemoryJobs()
    store.gate.clear()
    commit = commit_over(store, in_flight=2)
    first = asyncio.create_task(commit.submit(keyed("k")))
    await asyncio.sleep(0.01)
    again, neighbour = asyncio.create_task(commit.submit(keyed("k"))), asyncio.create_task(commit.submit(submission()))
    await asyncio.sleep(0.01)
    assert store.flushes == [1, 1]

    store.gate.set()
    results = await asyncio.gather(first, again, neighbour)

    assert [result.kind for result in results] == [SubmitKind.CREATED, SubmitKind.REPEATED, SubmitKind.CREATED]
    assert results[0].target_id == results[1].target_id
    assert store.flushes == [1, 1, 1]


async def test_only_so_many_commits_are_under_way() -> None:
    store = MemoryJobs()
    store.gate.clear()
    commit = commit_over(store, in_flight=2)
    tasks = []
    for _ in range(6):
        tasks.append(asyncio.create_task(commit.submit(submission())))
        await asyncio.sleep(0.005)

    store.gate.set()
    await asyncio.gather(*tasks)

    assert store.most_at_once == 2
    assert store.flushes == [1, 1, 4]


async def test_a_full_queue_refuses_instead_of_growing() -> None:
    store = MemoryJobs()
    store.gate.clear()
    commit = commit_over(store, in_flight=1, queue_jobs=2)
    tasks = [asyncio.create_task(commit.submit(submission()))]
    await asyncio.sleep(0.01)
    tasks += [asyncio.create_task(commit.submit(submission())) for _ in range(2)]
    await asyncio.sleep(0.01)

    with pytest.raises(RequestError) as caught:
        await commit.submit(submission())

    assert (caught.value.status, caught.value.code, caught.value.headers["retry-after"]) == (503, "overloaded", "1")
    store.gate.set()
    await asyncio.gather(*tasks)
    assert len(store.kept) == 3


async def test_a_batch_larger_than_the_queue_is_taken_when_nothing_waits() -> None:
    store = MemoryJobs()
    commit = commit_over(store, queue_jobs=2)

    await commit.submit(submission(jobs=50))

    assert len(store.kept) == 50


async def test_only_the_culprit_of_a_refused_commit_gets_the_error() -> None:
    store = MemoryJobs(poison=b"poison")
    commit = commit_over(store)
    texts = [b"poison" if place in (3, 11) else b"{}" for place in range(16)]

    results = await asyncio.gather(*(commit.submit(submission(text)) for text in texts), return_exceptions=True)

    assert [place for place, result in enumerate(results) if isinstance(result, ValueError)] == [3, 11]
    assert len(store.kept) == 14


async def test_an_unknown_outcome_is_a_503_that_is_safe_to_repeat() -> None:
    store = MemoryJobs(trouble=DatabaseUnavailable("connection lost in the middle of a commit"))
    commit = commit_over(store)

    results = await asyncio.gather(*(commit.submit(submission()) for _ in range(3)), return_exceptions=True)

    assert store.flushes == [3]
    for result in results:
        assert isinstance(result, RequestError)
        assert (result.status, result.code) == (503, "storage_unavailable")
        assert "Idempotency-Key" in result.detail
        assert result.headers["retry-after"]


async def test_a_hung_commit_ends_as_an_unknown_outcome() -> None:
    store = MemoryJobs()
    store.gate.clear()
    commit = commit_over(store, timeout_s=0.02)

    with pytest.raises(RequestError) as caught:
        await commit.submit(submission())

    assert caught.value.code == "storage_unavailable"


async def test_a_caller_that_goes_away_changes_nothing() -> None:
    store = MemoryJobs()
    store.gate.clear()
    commit = commit_over(store)
    gone = asyncio.create_task(commit.submit(submission()))
    stays = asyncio.create_task(commit.submit(submission()))
    await asyncio.sleep(0.01)

    gone.cancel()
    await asyncio.sleep(0.01)
    store.gate.set()

    assert (await stays).kind is SubmitKind.CREATED
    await commit.close()
    assert len(store.kept) == 2


async def test_closing_finishes_what_was_taken_and_takes_no_more() -> None:
    store = MemoryJobs()
    store.gate.clear()
    commit = commit_over(store, in_flight=1)
    tasks = []
    for _ in range(3):
        tasks.append(asyncio.create_task(commit.submit(submission())))
        await asyncio.sleep(0.005)
    closing = asyncio.create_task(commit.close())
    await asyncio.sleep(0.005)

    with pytest.raises(RequestError, match="Too many"):
        await commit.submit(submission())
    store.gate.set()
    await closing

    assert all(task.done() for task in tasks)
    assert len(store.kept) == 3
