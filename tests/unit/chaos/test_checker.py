"""The checker of the chaos runs, on evidence broken on purpose: it finds each fault, and none in a clean run."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.chaos.checker import check, told
from tests.chaos.evidence import (
    Accepted,
    AttemptSeen,
    BudgetSeen,
    CallSeen,
    Cancelled,
    EventSeen,
    Evidence,
    FaultSeen,
    Interval,
    JobSeen,
    OutputSeen,
    Paused,
    UsageSeen,
)

RESERVED = 900
COST = 300


def _call(marker: str, number: int, at: float, fault: str = "ok", *, whole: bool = True) -> CallSeen:
    output = {"marker": marker, "call": f"{marker}-{number}", "words": ["a"]} if fault == "ok" else None
    cost = COST if fault == "ok" else 0
    return CallSeen(f"{marker}-{number}", marker, number, at, fault, whole, cost, output)


def _attempt(job: str, number: int, state: str, at: float, **named: str) -> AttemptSeen:
    cost = {"answered": COST, "failed": 0, "unknown": RESERVED}.get(state)
    row = AttemptSeen(job, number, state, at, at + 1, RESERVED, cost)
    return replace(row, request_id=named.get("call"), error_code=named.get("error"))


def clean() -> Evidence:
    """A run in which four jobs went well: at once, after a refusal, after a crash, and cancelled."""
    outputs = {name: {"marker": m, "call": f"{m}-{n}", "words": ["a"]} for name, m, n in _SUCCEEDED}
    return Evidence(
        accepted=[Accepted(m, name, 10.0) for name, m, _ in _SUCCEEDED] + [Accepted("m4", "job-4", 10.0)],
        cancelled=[Cancelled("job-4", 12.0)],
        jobs={
            "job-1": JobSeen("job-1", "succeeded", outputs["job-1"], cost_nanos=COST, finished_at=20.0),
            "job-2": JobSeen("job-2", "succeeded", outputs["job-2"], cost_nanos=COST, finished_at=20.0),
            "job-3": JobSeen("job-3", "succeeded", outputs["job-3"], cost_nanos=COST + RESERVED, finished_at=20.0),
            "job-4": JobSeen("job-4", "cancelled", finished_at=11.9),
        },
        attempts={
            "job-1": [_attempt("job-1", 1, "answered", 11.0, call="m1-1")],
            "job-2": [
                _attempt("job-2", 1, "failed", 11.0, call="m2-1", error="rate_limited"),
                _attempt("job-2", 2, "answered", 13.0, call="m2-2"),
            ],
            "job-3": [
                _attempt("job-3", 1, "unknown", 11.0, error="lease_expired"),
                _attempt("job-3", 2, "answered", 16.0, call="m3-2"),
            ],
            "job-4": [],
        },
        outputs=[
            OutputSeen(name, f"out-{name}", 0, place, outputs[name]) for place, (name, _, _) in enumerate(_SUCCEEDED)
        ],
        events=[EventSeen("job-4", "event-4", 0, 0, "headrace.job.cancelled", 1, terminal=True)],
        calls=[
            _call("m1", 1, 11.0),
            _call("m2", 1, 11.0, "429"),
            _call("m2", 2, 13.0),
            _call("m3", 1, 11.0),
            _call("m3", 2, 16.0),
        ],
        faults=[FaultSeen("kill", "model_layer", 11.5, 14.0)],
        budgets=[BudgetSeen("tenant", "", 3 * COST + RESERVED, 0), BudgetSeen("job", "job-1", COST, 0)],
        usage=UsageSeen(attempts=5, rebought=1, cost_nanos=3 * COST + RESERVED),
        documents=dict(outputs),
        sampled=frozenset(outputs),
    )


_SUCCEEDED = (("job-1", "m1", 1), ("job-2", "m2", 2), ("job-3", "m3", 2))


def _found(evidence: Evidence) -> set[tuple[str, str]]:
    return {(finding.promise, finding.job_id) for finding in check(evidence).findings}


def test_a_clean_run_passes() -> None:
    assert check(clean()).findings == []


def test_what_a_crash_made_us_buy_again_is_counted() -> None:
    figures = check(clean()).figures

    assert figures["calls_bought_again"] == 1
    assert figures["attempts_cut_by_a_crash"] == 1


@pytest.mark.parametrize(("told_of", "findings"), [(1, 0), (0, 1)])
def test_a_call_bought_again_stays_one_after_a_late_answer_to_the_first(told_of: int, findings: int) -> None:
    evidence = _row(
        "job-3",
        1,
        state="answered",
        error_code=None,
        request_id="m3-1",
        cost_nanos=COST,
        started_at=11.0,
        ended_at=17.0,
    )(_job("job-3", cost_nanos=2 * COST)(clean()))
    tenant, job = evidence.budgets
    late = replace(
        evidence, budgets=[replace(tenant, settled_nanos=4 * COST), job], usage=UsageSeen(5, told_of, 4 * COST)
    )

    assert len(check(late).findings) == findings


Breakage = Callable[[Evidence], Evidence]


def _job(name: str, **fields: object) -> Breakage:
    return lambda e: replace(e, jobs={**e.jobs, name: replace(e.jobs[name], **fields)})  # type: ignore[arg-type]


def _row(name: str, number: int, **fields: object) -> Breakage:
    def broken(e: Evidence) -> Evidence:
        rows = [replace(a, **fields) if a.attempt == number else a for a in e.attempts[name]]  # type: ignore[arg-type]
        return replace(e, attempts={**e.attempts, name: rows})

    return broken


BROKEN: dict[str, tuple[Breakage, tuple[str, str]]] = {
    "a job is gone": (lambda e: replace(e, jobs={k: v for k, v in e.jobs.items() if k != "job-1"}), ("P1", "job-1")),
    "a job nobody was promised": (lambda e: replace(e, strangers=["job-9"]), ("P1", "job-9")),
    "a record of a job nobody was promised": (
        lambda e: replace(e, outputs=[*e.outputs, OutputSeen("job-9", "out-9", 1, 1, {})]),
        ("P1", "job-9"),
    ),
    "one key, two jobs": (
        lambda e: replace(e, accepted=[*e.accepted, Accepted("m1", "job-2", 11.0)]),
        ("P7", "job-1"),
    ),
    "a job that never ends": (_job("job-1", state="running"), ("P2", "job-1")),
    "a job on hold": (_job("job-1", state="held", hold_reason="dead letter"), ("P2", "job-1")),
    "a dropped record": (lambda e: replace(e, outputs=e.outputs[1:]), ("P2", "job-1")),
    "a repeated record": (
        lambda e: replace(e, outputs=[*e.outputs, replace(e.outputs[0], offset=99)]),
        ("P2", "job-1"),
    ),
    "a repeated record under another id": (
        lambda e: replace(e, outputs=[*e.outputs, replace(e.outputs[0], offset=99, record_id="other")]),
        ("P2", "job-1"),
    ),
    "a changed record": (
        lambda e: replace(e, outputs=[replace(e.outputs[0], output={"marker": "m1"}), *e.outputs[1:]]),
        ("P2", "job-1"),
    ),
    "an output that no call gave": (_job("job-1", output={"marker": "m2"}), ("P2", "job-1")),
    "an output of a cancelled job": (
        lambda e: replace(e, outputs=[*e.outputs, OutputSeen("job-4", "out-4", 0, 9, {})]),
        ("P2", "job-4"),
    ),
    "a search document that is missing": (lambda e: replace(e, documents={}), ("P2", "job-1")),
    "a search document that differs": (
        lambda e: replace(e, documents={**(e.documents or {}), "job-1": {}}),
        ("P2", "job-1"),
    ),
    "no terminal event": (lambda e: replace(e, events=[]), ("P2", "job-4")),
    "two terminal events": (
        lambda e: replace(e, events=[*e.events, replace(e.events[0], offset=1, sequence=2, record_id="event-5")]),
        ("P2", "job-4"),
    ),
    "a terminal event of a job that succeeded": (
        lambda e: replace(e, events=[*e.events, replace(e.events[0], job_id="job-1")]),
        ("P2", "job-1"),
    ),
    "an event of another ending": (
        lambda e: replace(e, events=[replace(e.events[0], kind="headrace.job.failed")]),
        ("P2", "job-4"),
    ),
    "a gap in the sequence": (lambda e: replace(e, events=[replace(e.events[0], sequence=2)]), ("P2", "job-4")),
    "events out of order": (
        lambda e: replace(
            e,
            events=[
                replace(e.events[0], sequence=2, offset=0),
                replace(e.events[0], sequence=1, offset=1, terminal=False, kind="headrace.job.held"),
            ],
        ),
        ("P2", "job-4"),
    ),
    "events in two partitions": (
        lambda e: replace(
            e, events=[*e.events, replace(e.events[0], partition=1, terminal=False, kind="headrace.job.held")]
        ),
        ("P2", "job-4"),
    ),
    "a cancel that did not hold": (_job("job-4", state="succeeded"), ("P8", "job-4")),
    "an attempt after a cancel": (
        lambda e: replace(e, attempts={**e.attempts, "job-4": [_attempt("job-4", 1, "failed", 12.5)]}),
        ("P8", "job-4"),
    ),
    "a failure that the model did not cause": (_job("job-1", state="failed", failure_code="timeout"), ("P9", "job-1")),
    "a failure after a good answer": (_job("job-2", state="failed", failure_code="timeout"), ("P9", "job-2")),
    "an expiry without a deadline": (_job("job-1", state="expired"), ("P9", "job-1")),
    "an expiry before the deadline": (
        lambda e: _job("job-1", state="expired")(
            replace(e, accepted=[replace(e.accepted[0], deadline=30.0), *e.accepted[1:]])
        ),
        ("P9", "job-1"),
    ),
    "an attempt after the deadline": (
        lambda e: replace(e, accepted=[replace(e.accepted[0], deadline=10.5), *e.accepted[1:]]),
        ("P8", "job-1"),
    ),
    "an attempt while paused": (
        lambda e: replace(e, pauses=[Paused("job-2", 12.0, 14.0)]),
        ("P8", "job-2"),
    ),
    "a lost settle": (_row("job-1", 1, state="reserved", request_id=None, cost_nanos=None), ("P3", "job-1")),
    "a call without a row": (lambda e: replace(e, calls=[*e.calls, _call("m1", 2, 11.5)]), ("P3", "job-1")),
    "a call for a job without any row": (lambda e: replace(e, calls=[*e.calls, _call("m4", 1, 11.5)]), ("P3", "job-4")),
    "a row that names a call nobody made": (_row("job-1", 1, request_id="m1-7"), ("P3", "job-1")),
    "two rows for one call": (_row("job-2", 1, request_id="m2-2"), ("P3", "job-2")),
    "an answered row without a call": (_row("job-1", 1, request_id=None), ("P3", "job-1")),
    "a lost worker where none was harmed": (lambda e: replace(e, faults=[]), ("P3", "job-3")),
    "an answer lost on the way where nothing was harmed": (
        lambda e: _row("job-3", 1, error_code="connection")(replace(e, faults=[])),
        ("P3", "job-3"),
    ),
    "a wrong price": (_row("job-1", 1, cost_nanos=COST + 1), ("P4", "job-1")),
    "a refusal that was charged": (_row("job-2", 1, cost_nanos=5), ("P4", "job-2")),
    "an unknown that was not charged": (_row("job-3", 1, cost_nanos=0), ("P4", "job-3")),
    "a call while the budget was empty": (lambda e: replace(e, broke=[Interval(12.5, 14.0)]), ("P4", "job-2")),
    "a budget that is not its ledger's sum": (
        lambda e: replace(e, budgets=[replace(e.budgets[0], settled_nanos=1)]),
        ("P4", "-"),
    ),
    "a job's budget that is not its attempts' sum": (
        lambda e: replace(e, budgets=[replace(e.budgets[1], settled_nanos=1)]),
        ("P4", "job-1"),
    ),
    "a reservation that nobody gives back": (
        lambda e: replace(e, budgets=[replace(e.budgets[0], reserved_nanos=7)]),
        ("P4", "-"),
    ),
    "usage that does not add up": (lambda e: replace(e, usage=UsageSeen(5, 1, 1)), ("P4", "-")),
    "a call bought again that usage does not tell": (
        lambda e: replace(e, usage=UsageSeen(5, 0, 3 * COST + RESERVED)),
        ("P4", "-"),
    ),
    "a dead letter": (lambda e: replace(e, dead_letters=["model_layer: broken"]), ("P6", "-")),
    "a wrong sum": (_job("job-2", cost_nanos=COST + 1), ("P4", "job-2")),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_found(name: str) -> None:
    breakage, wanted = BROKEN[name]

    assert wanted in _found(breakage(clean()))


def _without_sums(evidence: Evidence) -> Evidence:
    return replace(evidence, budgets=(), usage=None)


def test_a_call_cut_on_the_way_needs_a_row_and_no_fault() -> None:
    evidence = clean()
    rows = [_attempt("job-2", 1, "unknown", 11.0, error="connection"), evidence.attempts["job-2"][1]]
    calls = [_call("m2", 1, 11.0, "cut", whole=False) if c.call_id == "m2-1" else c for c in evidence.calls]
    evidence = replace(evidence, attempts={**evidence.attempts, "job-2": rows}, calls=calls)
    evidence = _without_sums(_job("job-2", cost_nanos=COST + RESERVED)(evidence))

    assert check(evidence).findings == []


def test_a_late_answer_is_no_finding() -> None:
    evidence = clean()
    late = replace(_attempt("job-3", 1, "answered", 11.0, call="m3-1"), ended_at=25.0)
    evidence = replace(evidence, attempts={**evidence.attempts, "job-3": [late, evidence.attempts["job-3"][1]]})

    assert check(_without_sums(evidence)).findings == []


def test_findings_of_a_kind_are_told_briefly() -> None:
    evidence = clean()
    many = {f"01a1fdb0-0000-7000-8000-{n:012d}" for n in range(30)}
    evidence = replace(evidence, strangers=sorted(many))

    lines = told(check(evidence).findings)

    assert len(lines) == 9
    assert "22 more" in lines[-1]
