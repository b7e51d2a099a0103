"""What a batch of verdicts makes of its jobs, pure: endings, public records, lineage. One ending a job.

A recipe has one step today, so an accepted attempt ends its job; the next step would be planned here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from common.contracts import EventType, Failure, Verdict, VerdictKind
from persistence.postgres.records import JobRow, PublicRow, event_row, output_row
from persistence.postgres.states import AttemptState, JobState, StepState, VerdictCode

DEADLINE_EXCEEDED = "deadline_exceeded"
_CODE = {
    VerdictKind.REASK: VerdictCode.REASK,
    VerdictKind.ESCALATE: VerdictCode.ESCALATE,
    VerdictKind.REJECT: VerdictCode.REJECT,
}


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One attempt of a job, as lineage needs it."""

    step: str
    item: int
    attempt: int
    state: AttemptState
    deployment: str
    model: str
    model_served: str | None
    price_version: str
    prompt_hash: str
    reserved_nanos: int
    cost_nanos: int | None
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Ending:
    """How one job ends, and its totals over all attempts."""

    job: JobRow
    state: JobState
    step_state: StepState
    verdict: Verdict
    failure: Failure | None
    attempts: int
    cost_nanos: int
    input_tokens: int
    output_tokens: int
    events: int
    lineage: bytes | None


@dataclass(frozen=True, slots=True)
class Note:
    """What the ledger keeps of a verdict that is not simply accepted, as JSON.

    An accepted attempt is named by its step, so there is no code for it here.
    """

    verdict: Verdict
    code: VerdictCode | None
    violations: str | None
    extraction: str | None


@dataclass(slots=True)
class Plan:
    """What one transaction writes."""

    endings: list[Ending] = field(default_factory=list)
    records: list[PublicRow] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    parked: list[Verdict] = field(default_factory=list)


def plan(
    verdicts: Sequence[Verdict],
    jobs: Mapping[UUID, JobRow],
    ledger: Mapping[UUID, Sequence[LedgerRow]],
    now: datetime,
    source: str,
    shards: int,
) -> Plan:
    """Plan a batch. A verdict about a job that has ended is only noted in the ledger.

    So is the failure of a call that was given up and made again: a worker that hung speaks of it late, and what was
    asked since decides. What would end a paused job is set aside: nothing is published until it is resumed (P8).
    """
    made = Plan()
    ended: set[UUID] = set()
    for verdict in verdicts:
        job = jobs.get(verdict.job_id)
        if verdict.verdict is not VerdictKind.ACCEPT or verdict.extraction is not None:
            made.notes.append(_note(verdict))
        if job is None or job.state is not JobState.OPEN or verdict.job_id in ended:
            continue
        rows = ledger.get(verdict.job_id, ())
        if verdict.verdict is VerdictKind.REJECT and _given_up(verdict, rows):
            continue
        if job.paused and verdict.verdict in {VerdictKind.ACCEPT, VerdictKind.REJECT}:
            made.parked.append(verdict)
            continue
        if verdict.verdict is VerdictKind.ACCEPT and verdict.output is not None:
            ended.add(verdict.job_id)
            _succeed(made, job, verdict, rows, now, source, shards)
        elif verdict.verdict is VerdictKind.REJECT:
            ended.add(verdict.job_id)
            _fail(made, job, verdict, rows, now, source, shards)
    return made


def _given_up(verdict: Verdict, rows: Sequence[LedgerRow]) -> bool:
    """Return whether the attempt brought no answer and a later one of its step was made."""
    step = {r.attempt: r.state for r in rows if (r.step, r.item) == (verdict.step, verdict.item)}
    state = step.get(verdict.attempt)
    return state is not None and state is not AttemptState.ANSWERED and max(step) > verdict.attempt


def _note(verdict: Verdict) -> Note:
    extraction = None if verdict.extraction is None else verdict.extraction.model_dump_json(exclude_none=True)
    if verdict.verdict is VerdictKind.ACCEPT:
        return Note(verdict, None, None, extraction)
    violations = orjson.dumps([v.model_dump(exclude_none=True) for v in verdict.violations]).decode()
    return Note(verdict, _CODE[verdict.verdict], violations, extraction)


def _succeed(
    made: Plan,
    job: JobRow,
    verdict: Verdict,
    rows: Sequence[LedgerRow],
    now: datetime,
    source: str,
    shards: int,
) -> None:
    accepted = next(
        (r for r in rows if (r.step, r.item, r.attempt) == (verdict.step, verdict.item, verdict.attempt)),
        None,
    )
    totals = _totals(rows)
    lineage: dict[str, Any] = {
        "recipe_hash": job.recipe_hash,
        "prompt_hash": accepted.prompt_hash if accepted else "",
        "deployment": accepted.deployment if accepted else "",
        "model_served": (accepted.model_served or accepted.model) if accepted else "",
        "price_version": accepted.price_version if accepted else "",
        "attempts": totals[0],
        "input_tokens": totals[2],
        "output_tokens": totals[3],
        "cost_usd": format_usd(totals[1]),
        "validation": verdict.confidence,
        "accepted_at": job.created_at.isoformat(),
        "finished_at": now.isoformat(),
    }
    output = verdict.output or "null"
    made.records.append(output_row(job, output, lineage, now, source, shards))
    made.endings.append(
        Ending(
            job,
            JobState.SUCCEEDED,
            StepState.DONE,
            verdict,
            None,
            *totals,
            events=0,
            lineage=orjson.dumps(lineage),
        )
    )


def _fail(
    made: Plan,
    job: JobRow,
    verdict: Verdict,
    rows: Sequence[LedgerRow],
    now: datetime,
    source: str,
    shards: int,
) -> None:
    given = verdict.failure
    failure = Failure(code=given.code, detail=given.detail) if given else Failure(code="rejected", detail="")
    expired = failure.code == DEADLINE_EXCEEDED
    kind = EventType.EXPIRED if expired else EventType.FAILED
    made.records.append(event_row(job, kind, failure, now, source, shards))
    state = JobState.EXPIRED if expired else JobState.FAILED
    made.endings.append(Ending(job, state, StepState.FAILED, verdict, failure, *_totals(rows), events=1, lineage=None))


def _totals(rows: Sequence[LedgerRow]) -> tuple[int, int, int, int]:
    """Return (attempts, cost, input tokens, output tokens); what is still reserved counts whole."""
    cost = sum(r.reserved_nanos if r.cost_nanos is None else r.cost_nanos for r in rows)
    return len(rows), cost, sum(r.input_tokens for r in rows), sum(r.output_tokens for r in rows)


def format_usd(nanos: int) -> str:
    """Return nano-USD as decimal US dollars with nine places."""
    return f"{nanos // 1_000_000_000}.{nanos % 1_000_000_000:09d}"
