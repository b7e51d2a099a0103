"""Group commit: concurrent submissions become one ``JobStore.submit`` a flush.

At rest a submission is flushed at once; under load what arrives during a flush goes with the next. Bounded: the
queue in jobs and bytes, the flushes in flight, the size of one flush. A caller that goes away changes nothing: its
submission belongs to the flush. A batch refused for its data is bisected, and only the culprit gets the error.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from common.clock import monotonic_clock
from common.errors import DatabaseUnavailable, InfrastructureError
from common.failpoint import failpoint
from common.ports import JobStore, Submission, SubmitResult
from ingestion.problems import refuse

_MOST_SUBMISSIONS: Final = 500
_MOST_BYTES: Final = 16 << 20
_QUEUE_JOBS: Final = 20_000
_QUEUE_BYTES: Final = 128 << 20
_IN_FLIGHT: Final = 2
_FLUSH_TIMEOUT_S: Final = 15.0
# A large batch is one statement that may take the store a minute.
_LARGE_JOBS: Final = 1_000
_LARGE_BYTES: Final = 8 << 20
_LARGE_MORE_S: Final = 60.0

_log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Waiting:
    submission: Submission
    size_bytes: int
    done: asyncio.Future[SubmitResult]

    @property
    def key(self) -> tuple[str, str] | None:
        claim = self.submission.claim
        return (claim.tenant_id, claim.key) if claim else None


class GroupCommit:
    """Accepts submissions until ``close``. ``close`` lets what was taken finish."""

    def __init__(
        self,
        store: JobStore,
        registry: CollectorRegistry,
        *,
        in_flight: int = _IN_FLIGHT,
        queue_jobs: int = _QUEUE_JOBS,
        queue_bytes: int = _QUEUE_BYTES,
        timeout_s: float = _FLUSH_TIMEOUT_S,
    ) -> None:
        self._store = store
        self._most_in_flight = in_flight
        self._most_jobs = queue_jobs
        self._most_bytes = queue_bytes
        self._timeout_s = timeout_s
        self._queue: deque[_Waiting] = deque()
        self._jobs = 0
        self._bytes = 0
        self._flushes: set[asyncio.Task[None]] = set()
        self._keys_under_way: set[tuple[str, str]] = set()
        self._kick_due = False
        self._closed = False
        self._sizes = Histogram(
            "headrace_commit_submissions",
            "Submissions of one commit.",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
            registry=registry,
        )
        self._seconds = Histogram(
            "headrace_commit_seconds",
            "How long one commit took.",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15),
            registry=registry,
        )
        self._bisected = Counter(
            "headrace_commit_bisections", "Commits split because one of their submissions was refused.",
            registry=registry,
        )  # fmt: skip
        depth = Gauge("headrace_commit_queue_jobs", "Jobs waiting for a commit.", registry=registry)
        depth.set_function(lambda: self._jobs)

    async def submit(self, submission: Submission) -> SubmitResult:
        """Commit it together with its neighbours and return what became of it.

        Raises RequestError (503) when the queue is full or the outcome is unknown; whatever else the store
        raises for this very submission passes through.
        """
        size_bytes = sum(len(job.input) for job in submission.jobs)
        if self._closed or (
            self._queue
            and (self._jobs + len(submission.jobs) > self._most_jobs or self._bytes + size_bytes > self._most_bytes)
        ):
            raise refuse("overloaded", "Too many submissions are waiting to be committed. Try again.")
        waiting = _Waiting(submission, size_bytes, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._jobs += len(submission.jobs)
        self._bytes += size_bytes
        self._kick_soon()
        try:
            return await waiting.done
        except InfrastructureError as error:
            raise refuse(
                "storage_unavailable",
                "Whether this was accepted is not known. Repeating it with the same Idempotency-Key is safe.",
            ) from error

    async def close(self) -> None:
        """Take no more, and wait until everything taken has its answer."""
        self._closed = True
        while self._queue or self._flushes:
            self._kick()
            await asyncio.wait(self._flushes)

    def _kick_soon(self) -> None:
        # Once an event-loop turn, so that what arrives in the same turn shares the flush.
        if not self._kick_due and len(self._flushes) < self._most_in_flight:
            self._kick_due = True
            asyncio.get_running_loop().call_soon(self._kick)

    def _kick(self) -> None:
        self._kick_due = False
        while self._queue and len(self._flushes) < self._most_in_flight and (batch := self._take()):
            task = asyncio.create_task(self._flush(batch), name="group-commit")
            self._flushes.add(task)
            task.add_done_callback(self._flushed)

    def _flushed(self, task: asyncio.Task[None]) -> None:
        self._flushes.discard(task)
        self._kick()

    def _take(self) -> list[_Waiting]:
        """Return what goes next. A repetition of what is under way waits for it here, not for its lock with others."""
        taken: list[_Waiting] = []
        deferred: list[_Waiting] = []
        jobs = size_bytes = 0
        while self._queue and len(taken) + len(deferred) < _MOST_SUBMISSIONS:
            head = self._queue[0]
            if head.key in self._keys_under_way:
                deferred.append(self._queue.popleft())
                continue
            jobs += len(head.submission.jobs)
            size_bytes += head.size_bytes
            if taken and (jobs > _MOST_SUBMISSIONS or size_bytes > _MOST_BYTES):
                break
            taken.append(self._queue.popleft())
            self._jobs -= len(head.submission.jobs)
            self._bytes -= head.size_bytes
        self._queue.extendleft(reversed(deferred))
        self._keys_under_way |= _keys(taken)
        return taken

    async def _flush(self, batch: list[_Waiting]) -> None:
        started = monotonic_clock()
        self._sizes.observe(len(batch))
        try:
            await self._commit(batch)
        finally:
            self._keys_under_way -= _keys(batch)
        self._seconds.observe(monotonic_clock() - started)

    async def _commit(self, batch: Sequence[_Waiting]) -> None:
        seconds = self._timeout_s + (_LARGE_MORE_S if _is_large(batch) else 0.0)
        try:
            async with asyncio.timeout(seconds):
                results = await self._store.submit([waiting.submission for waiting in batch])
            failpoint("ingestion.before_answer")
        except InfrastructureError as error:
            _fail(batch, error)
        except TimeoutError:
            _fail(batch, DatabaseUnavailable(f"no answer to a commit within {seconds:.0f} s"))
        except Exception as error:  # noqa: BLE001 - isolation point: the store refused the data of some submission
            if len(batch) == 1:
                _fail(batch, error)
                return
            self._bisected.inc()
            _log.warning("commit.bisected", submissions=len(batch), exc_info=error)
            middle = len(batch) // 2
            await self._commit(batch[:middle])
            await self._commit(batch[middle:])
        else:
            for waiting, result in zip(batch, results, strict=True):
                if not waiting.done.done():
                    waiting.done.set_result(result)


def _keys(batch: Sequence[_Waiting]) -> set[tuple[str, str]]:
    return {waiting.key for waiting in batch if waiting.key is not None}


def _is_large(batch: Sequence[_Waiting]) -> bool:
    jobs = sum(len(waiting.submission.jobs) for waiting in batch)
    return jobs > _LARGE_JOBS or sum(waiting.size_bytes for waiting in batch) > _LARGE_BYTES


def _fail(batch: Sequence[_Waiting], error: Exception) -> None:
    for waiting in batch:
        # A future whose caller went away is cancelled already.
        if not waiting.done.done():
            waiting.done.set_exception(error)
