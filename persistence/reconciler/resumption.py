"""Where a step goes on whose message is gone, pure: decided from its ledger rows alone, and nothing is paid twice.

An answer that is paid for is replayed: its attempt is asked for again, the ledger gives the stored answer, and
validation comes to the same verdict. A call that was never made, or failed, or died with its worker, is asked for
under the very number that its lost message had, so that a copy still in somebody's hands meets its twin.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from uuid import UUID

from common.contracts import Lane, Step
from common.ports import NOT_CALLED
from persistence.postgres.states import AttemptState, VerdictCode
from persistence.reserve_decision import LEASE_EXPIRED


@dataclass(frozen=True, slots=True)
class LostJob:
    """An open job and its open step, as the message that starts it names them."""

    job_id: UUID
    tenant_id: str
    batch_id: UUID | None
    recipe: str
    recipe_hash: str
    lane: Lane
    deadline: datetime | None
    budgeted: bool
    traceparent: str | None
    step: str
    item: int


@dataclass(frozen=True, slots=True)
class PastAttempt:
    """What the ledger says of one attempt of the step."""

    attempt: int
    state: AttemptState
    final: bool
    error_code: str | None
    verdict: VerdictCode | None
    started_at: datetime
    ended_at: datetime | None


def resume(job: LostJob, past: Sequence[PastAttempt]) -> Step:
    """Return the message that makes the step go on; ``past`` is in order of attempts."""
    attempt, reasks, passed, free = resume_point(past)
    return Step(
        tenant_id=job.tenant_id,
        job_id=job.job_id,
        step=job.step,
        item=job.item,
        attempt=attempt,
        reasks=reasks,
        passed=passed,
        free=free,
        lane=job.lane,
        recipe=job.recipe,
        recipe_hash=job.recipe_hash,
        batch_id=job.batch_id,
        deadline_ms=int(job.deadline.timestamp() * 1000) if job.deadline else None,
        budgeted=job.budgeted,
    )


def resume_point(past: Sequence[PastAttempt]) -> tuple[int, int, int, int]:
    """Return the attempt to ask for, the re-asks before it, the last that is over, and how many before it were free.

    Free ones behind it count as paid, which errs on the side of fewer calls.
    """
    called = [row for row in past if row.error_code != NOT_CALLED]
    awaited = _awaited(called)
    answered = [row for row in called if row.state is AttemptState.ANSWERED]
    if not answered:
        return awaited, 0, 0, _free(past, awaited)
    last = answered[-1].attempt
    passed = 0 if awaited == last else awaited - 1
    return last, _reasks(called, last), passed, _free(past, last)


def _free(past: Sequence[PastAttempt], before: int) -> int:
    return sum(row.state is AttemptState.FAILED and row.attempt < before for row in past)


def _awaited(past: Sequence[PastAttempt]) -> int:
    """Return the number that the lost message had."""
    number = 1
    for row in past:
        if row.state is AttemptState.RESERVED or (
            row.state is AttemptState.UNKNOWN and row.error_code == LEASE_EXPIRED and not row.final
        ):
            # Its worker died: the same message leads to the next number, and keeps its own.
            continue
        replayed = row.final or (row.state is AttemptState.ANSWERED and row is past[-1])
        number = row.attempt if replayed else row.attempt + 1
    return number


def _reasks(past: Sequence[PastAttempt], before: int) -> int:
    """Count the answers before ``before`` that were asked again. Late answers came after their successor's start."""
    count = 0
    for row, following in pairwise(past):
        if row.attempt >= before or row.state is not AttemptState.ANSWERED:
            continue
        if row.verdict is VerdictCode.REASK or (
            row.verdict is None and row.ended_at is not None and row.ended_at <= following.started_at
        ):
            count += 1
    return count
