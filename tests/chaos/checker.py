"""Holds what a run left behind against the promises. Pure; knows the public surfaces and the two logs, nothing else.

Every finding names its promise, its job and what is wrong. What crashes may cost (calls bought again) is counted,
and only a crash may have caused it.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, TypeVar

from tests.chaos.evidence import TERMINAL, AttemptSeen, CallSeen, EventSeen, Evidence, OutputSeen

LEASE_EXPIRED = "lease_expired"
LOST_ON_THE_WAY = frozenset({"connection", "timeout"})
# Whose trouble may keep a worker from renewing its lease or from recording an answer.
LEDGERS_TROUBLE = ("model_layer", "postgres")
CALLS_TROUBLE = ("model_layer", "model_server")
WINDOW_S = 15.0
# A job's ending bears the time at which its transaction began.
ROUNDED_S = 0.5

_NUMBERS: Final = re.compile(r"[0-9a-f-]*[0-9][0-9a-f-]*")
Record = TypeVar("Record", OutputSeen, EventSeen)


@dataclass(frozen=True, slots=True)
class Finding:
    """One promise that was not kept."""

    promise: str
    job_id: str
    what: str

    def __str__(self) -> str:
        return f"{self.promise} {self.job_id}: {self.what}"


@dataclass(slots=True)
class Verdict:
    """What was found, and the figures of the run."""

    findings: list[Finding] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether every promise was kept."""
        return not self.findings


def told(findings: Sequence[Finding], most: int = 8) -> list[str]:
    """Return findings as lines for people: of many of a kind, the first."""
    kinds: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        kinds[finding.promise, _NUMBERS.sub("N", finding.what)].append(finding)
    lines = []
    for found in kinds.values():
        lines += [f"FOUND {finding}" for finding in found[:most]]
        if len(found) > most:
            lines.append(f"FOUND … and {len(found) - most} more of this kind")
    return lines


def check(evidence: Evidence) -> Verdict:
    """Return the verdict on a run."""
    verdict = Verdict()
    outputs = _by_job(evidence.outputs)
    events = _by_job(evidence.events)
    marker_of = {a.job_id: a.marker for a in evidence.accepted}
    calls: dict[str, list[CallSeen]] = defaultdict(list)
    for call in evidence.calls:
        calls[call.marker].append(call)
    found = verdict.findings
    found += _idempotency(evidence)
    found += _strangers(evidence, outputs, events)
    found += _endings(evidence)
    found += _outputs(evidence, outputs, calls, marker_of)
    found += _documents(evidence)
    found += _events(evidence, events)
    found += _failures(evidence, calls, marker_of)
    found += _stops(evidence)
    found += _ledger(evidence, calls, marker_of)
    found += _money(evidence, calls)
    found += _budgets(evidence)
    found += [Finding("P6", "-", f"a dead letter is left: {letter}") for letter in evidence.dead_letters]
    verdict.figures = _figures(evidence, calls, marker_of)
    return verdict


def _by_job(records: Iterable[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        found[record.job_id].append(record)
    return found


def _idempotency(evidence: Evidence) -> Iterator[Finding]:
    ids: dict[str, set[str]] = defaultdict(set)
    for accepted in evidence.accepted:
        ids[accepted.marker].add(accepted.job_id)
    for marker, jobs in ids.items():
        if len(jobs) > 1:
            yield Finding("P7", min(jobs), f"one Idempotency-Key ({marker}) was answered with {len(jobs)} jobs")


def _strangers(
    evidence: Evidence, outputs: Mapping[str, Sequence[OutputSeen]], events: Mapping[str, Sequence[EventSeen]]
) -> Iterator[Finding]:
    known = {a.job_id for a in evidence.accepted}
    for job_id in sorted({*outputs, *events, *evidence.strangers} - known):
        yield Finding("P1", job_id, "there is a job that nobody was promised")


def _endings(evidence: Evidence) -> Iterator[Finding]:
    for job_id in sorted({a.job_id for a in evidence.accepted}):
        job = evidence.jobs.get(job_id)
        if job is None:
            yield Finding("P1", job_id, "answered with 202, and the API does not know it")
        elif job.state not in TERMINAL:
            held = f" ({job.hold_reason})" if job.hold_reason else ""
            yield Finding("P2", job_id, f"is still {job.state}{held} after the healing time")


def _outputs(
    evidence: Evidence,
    outputs: Mapping[str, Sequence[OutputSeen]],
    calls: Mapping[str, Sequence[CallSeen]],
    marker_of: Mapping[str, str],
) -> Iterator[Finding]:
    for job_id, job in evidence.jobs.items():
        records = outputs.get(job_id, ())
        wanted = 1 if job.state == "succeeded" else 0
        if len(records) != wanted:
            where = ", ".join(f"{r.partition}@{r.offset}" for r in records) or "none"
            yield Finding("P2", job_id, f"is {job.state} with {len(records)} output records ({where})")
        for record in records:
            if record.output != job.output:
                yield Finding("P2", job_id, "its output record is not what the API returns")
        if job.state == "succeeded":
            marker = marker_of.get(job_id, "")
            if not any(call.output == job.output for call in calls.get(marker, ())):
                yield Finding("P2", job_id, "its output is no answer that the model gave for it")
    ids = Counter(record.record_id for record in evidence.outputs)
    for record in evidence.outputs:
        if ids[record.record_id] > 1:
            yield Finding("P2", record.job_id, f"{ids[record.record_id]} output records share an id")


def _documents(evidence: Evidence) -> Iterator[Finding]:
    if evidence.documents is None:
        return
    for job_id in sorted(evidence.sampled):
        job = evidence.jobs.get(job_id)
        if job is None or job.state != "succeeded":
            continue
        if job_id not in evidence.documents:
            yield Finding("P2", job_id, "succeeded and is not to be found by search")
        elif evidence.documents[job_id] != job.output:
            yield Finding("P2", job_id, "its search document is not what the API returns")


def _events(evidence: Evidence, events: Mapping[str, Sequence[EventSeen]]) -> Iterator[Finding]:
    for job_id, job in evidence.jobs.items():
        told = events.get(job_id, ())
        terminal = [event for event in told if event.terminal]
        wanted = 1 if job.state in TERMINAL - {"succeeded"} else 0
        if len(terminal) != wanted:
            yield Finding("P2", job_id, f"is {job.state} with {len(terminal)} terminal events")
        if any(event.kind != f"headrace.job.{job.state}" for event in terminal):
            yield Finding("P2", job_id, f"is {job.state} and an event says otherwise")
        yield from _sequence(job_id, told)


def _sequence(job_id: str, told: Sequence[EventSeen]) -> Iterator[Finding]:
    if len({event.partition for event in told}) > 1:
        yield Finding("P2", job_id, "its events stand in several partitions")
        return
    in_order = sorted(told, key=lambda event: event.offset)
    sequences = [event.sequence for event in in_order]
    if sequences != list(range(1, len(sequences) + 1)):
        yield Finding("P2", job_id, f"its events have the sequence {sequences}")
    if any(event.terminal for event in in_order[:-1]):
        yield Finding("P2", job_id, "an event follows its ending")


def _failures(
    evidence: Evidence, calls: Mapping[str, Sequence[CallSeen]], marker_of: Mapping[str, str]
) -> Iterator[Finding]:
    """A job may fail for what the model said, more than once; never for servers that were away."""
    deadlines = {one.job_id: one.deadline for one in evidence.accepted}
    for job_id, job in evidence.jobs.items():
        made = sorted(calls.get(marker_of.get(job_id, ""), ()), key=lambda call: call.number)
        deadline = deadlines.get(job_id)
        if job.state == "expired" and (deadline is None or (job.finished_at or 0.0) < deadline - ROUNDED_S):
            yield Finding("P9", job_id, "expired before its deadline, or without one")
        if deadline is not None and any(a.started_at > deadline for a in evidence.attempts.get(job_id, ())):
            yield Finding("P8", job_id, "an attempt started after its deadline")
        if job.state != "failed":
            continue
        if len(made) < 2 or made[-1].output is not None:
            fates = ", ".join(call.fault for call in made) or "none"
            yield Finding("P9", job_id, f"failed ({job.failure_code}) after these answers: {fates}")


def _stops(evidence: Evidence) -> Iterator[Finding]:
    for cancel in evidence.cancelled:
        job = evidence.jobs.get(cancel.job_id)
        if job is None:
            continue
        if job.state != "cancelled":
            yield Finding("P8", cancel.job_id, f"a cancel was confirmed and the job is {job.state}")
        # The time of the answer: the commit lies before it, and what it waited for lies before the commit.
        late = [a.attempt for a in evidence.attempts.get(cancel.job_id, ()) if a.started_at > cancel.at]
        if late:
            yield Finding("P8", cancel.job_id, f"attempts {late} started after the cancel was confirmed")
    for pause in evidence.pauses:
        attempts = evidence.attempts.get(pause.job_id, ())
        if within := [a.attempt for a in attempts if pause.since < a.started_at < pause.until]:
            yield Finding("P8", pause.job_id, f"attempts {within} started while it was paused")


def _ledger(
    evidence: Evidence, calls: Mapping[str, Sequence[CallSeen]], marker_of: Mapping[str, str]
) -> Iterator[Finding]:
    for job_id, attempts in evidence.attempts.items():
        made = calls.get(marker_of.get(job_id, ""), ())
        known = {call.call_id for call in made}
        named = Counter(a.request_id for a in attempts if a.request_id is not None)
        for call_id, times in named.items():
            if call_id not in known:
                yield Finding("P3", job_id, f"the ledger names call {call_id}, which was never made for it")
            elif times > 1:
                yield Finding("P3", job_id, f"{times} attempts name call {call_id}")
        for attempt in attempts:
            if attempt.state == "reserved":
                yield Finding("P3", job_id, f"attempt {attempt.attempt} was never settled")
            if attempt.state == "answered" and attempt.request_id is None:
                yield Finding("P3", job_id, f"attempt {attempt.attempt} is answered by no call")
            if attempt.error_code == LEASE_EXPIRED and not _troubled(evidence, LEDGERS_TROUBLE, attempt):
                yield Finding("P3", job_id, f"attempt {attempt.attempt} lost its worker, and no worker was harmed")
        yield from _unrecorded(evidence, job_id, attempts, [call for call in made if call.call_id not in named])


def _unrecorded(
    evidence: Evidence, job_id: str, attempts: Sequence[AttemptSeen], calls: Sequence[CallSeen]
) -> Iterator[Finding]:
    """Every call has its ledger row; one that no row names lost its answer in a crash or on the way."""
    nameless = [a for a in attempts if a.request_id is None]
    crashed = sum(a.error_code == LEASE_EXPIRED or a.state == "reserved" for a in nameless)
    lost = [a for a in nameless if a.error_code in LOST_ON_THE_WAY]
    if len(calls) > crashed + len(lost):
        rows = f"{len(attempts)} attempts, {len(nameless)} of them without an answer"
        yield Finding("P3", job_id, f"{len(calls)} calls have no row of their own in the ledger ({rows})")
    whole = [call for call in calls if call.whole]
    excused = crashed + sum(_troubled(evidence, CALLS_TROUBLE, attempt) for attempt in lost)
    if len(whole) > excused:
        numbers = [call.number for call in whole]
        yield Finding("P3", job_id, f"the answers of calls {numbers} arrived whole and are not in the ledger")


def _troubled(evidence: Evidence, targets: Sequence[str], attempt: AttemptSeen) -> bool:
    """Whether a fault of one of these struck while the attempt was open."""
    ended_at = attempt.ended_at if attempt.ended_at is not None else float("inf")
    return any(
        fault.target.startswith(tuple(targets))
        and fault.at <= ended_at
        and fault.until + WINDOW_S >= attempt.started_at
        for fault in evidence.faults
    )


def _money(evidence: Evidence, calls: Mapping[str, Sequence[CallSeen]]) -> Iterator[Finding]:
    by_id = {call.call_id: call for made in calls.values() for call in made}
    for job_id, attempts in evidence.attempts.items():
        for attempt in attempts:
            wanted: int | None = None
            match attempt.state:
                case "answered" if attempt.request_id in by_id:
                    wanted = by_id[attempt.request_id].cost_nanos
                case "failed":
                    wanted = 0
                case "unknown":
                    wanted = attempt.reserved_nanos
            if wanted is not None and attempt.cost_nanos != wanted:
                paid = f"attempt {attempt.attempt} is {attempt.state} at {attempt.cost_nanos} nano-USD"
                yield Finding("P4", job_id, f"{paid}, not at {wanted}")
        job = evidence.jobs.get(job_id)
        if job is None or job.state not in TERMINAL - {"cancelled"} or job.finished_at is None:
            continue
        # What ended later (a late answer, a twin of a worker that was stopped) is in the ledger alone.
        if any(a.ended_at is None or a.ended_at > job.finished_at for a in attempts):
            continue
        total = sum(a.cost_nanos or 0 for a in attempts)
        if job.cost_nanos != total:
            yield Finding("P4", job_id, f"it cost {job.cost_nanos} nano-USD, its attempts {total}")


def _budgets(evidence: Evidence) -> Iterator[Finding]:
    rows = [row for attempts in evidence.attempts.values() for row in attempts]
    for row in rows:
        if any(interval.since < row.started_at < interval.until for interval in evidence.broke):
            yield Finding("P4", row.job_id, f"attempt {row.attempt} started while nothing was left to spend")
    spent = sum(row.cost_nanos or 0 for row in rows)
    for budget in evidence.budgets:
        owned = evidence.attempts.get(budget.key, ()) if budget.scope == "job" else rows
        wanted = sum(row.cost_nanos or 0 for row in owned)
        if budget.settled_nanos != wanted:
            sums = f"{budget.settled_nanos} nano-USD against {wanted} in the ledger"
            yield Finding("P4", budget.key or "-", f"the {budget.scope} budget has settled {sums}")
        if budget.reserved_nanos:
            yield Finding(
                "P4", budget.key or "-", f"the {budget.scope} budget has {budget.reserved_nanos} nano-USD reserved"
            )
    if evidence.usage is None:
        return
    again = sum(
        _is_bought_again(earlier, later)
        for attempts in evidence.attempts.values()
        for earlier, later in pairwise(sorted(attempts, key=lambda row: row.attempt))
    )
    told = (evidence.usage.attempts, evidence.usage.cost_nanos, evidence.usage.rebought)
    if told != (len(rows), spent, again):
        wanted_text = f"{len(rows)} attempts, {spent} nano-USD and {again} bought again"
        yield Finding(
            "P4", "-", f"usage tells {told[0]} attempts, {told[1]} nano-USD, {told[2]} bought again, not {wanted_text}"
        )


def _is_bought_again(earlier: AttemptSeen, later: AttemptSeen) -> bool:
    """Whether ``later`` was made for want of an answer to ``earlier``, which a late one may have settled since."""
    is_late = earlier.ended_at is not None and earlier.ended_at > later.started_at
    return later.attempt == earlier.attempt + 1 and (earlier.error_code == LEASE_EXPIRED or is_late)


def _figures(
    evidence: Evidence, calls: Mapping[str, Sequence[CallSeen]], marker_of: Mapping[str, str]
) -> dict[str, int]:
    states = Counter(job.state for job in evidence.jobs.values())
    crashed = [(job_id, a) for job_id, rows in evidence.attempts.items() for a in rows if a.error_code == LEASE_EXPIRED]
    bought_again = 0
    for job_id in {job_id for job_id, _ in crashed}:
        rows = evidence.attempts[job_id]
        named = {a.request_id for a in rows}
        unnamed = sum(call.call_id not in named for call in calls.get(marker_of.get(job_id, ""), ()))
        bought_again += min(unnamed, sum(a.error_code == LEASE_EXPIRED for a in rows))
    return {
        "accepted": len({a.job_id for a in evidence.accepted}),
        **{state: states[state] for state in sorted(states)},
        "pauses": len(evidence.pauses),
        "times_without_money": len(evidence.broke),
        "budgets_compared": len(evidence.budgets),
        "outputs": len(evidence.outputs),
        "events": len(evidence.events),
        "calls": len(evidence.calls),
        "attempts": sum(map(len, evidence.attempts.values())),
        "attempts_cut_by_a_crash": len(crashed),
        "calls_bought_again": bought_again,
        "faulty_answers": sum(call.fault != "ok" for call in evidence.calls),
        "documents_compared": len(evidence.sampled) if evidence.documents is not None else 0,
    }
