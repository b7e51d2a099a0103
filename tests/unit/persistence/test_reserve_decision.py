"""The reserve decision, case by case: what the ledger answers, given what it read."""

from uuid import UUID

import pytest

from common.contracts import Lane, StepRef
from common.ids import uuid7
from common.ports import NOT_CALLED, Reservation, ReserveKind
from persistence.postgres.states import AttemptState, HoldKind, JobState
from persistence.reserve_decision import (
    LEASE_EXPIRED,
    AttemptFacts,
    BudgetFacts,
    Decided,
    JobFacts,
    decide,
    exhausted_reason,
)

ME, OTHER = uuid7(), uuid7()
JOB = uuid7()


def ask(amount: int = 1, *, attempt: int = 1, max_attempts: int = 4, job_id: UUID = JOB) -> Reservation:
    ref = StepRef(
        tenant_id="t", job_id=job_id, step="main", attempt=attempt, lane=Lane.BULK, recipe="card@1.0.0", recipe_hash="h"
    )
    return Reservation(ref, max_attempts, "d", "m", "v", "h", amount, b"{}")


def row(attempt: int, state: AttemptState, **given: object) -> AttemptFacts:
    facts: dict[str, object] = {
        "attempt": attempt, "state": state, "worker": OTHER, "lease_until": None, "reserved_nanos": 5,
        "budget_ids": (1,), "deployment": "d", "raw": b"raw", "final": False, "error_code": None,
    }  # fmt: skip
    return AttemptFacts(**(facts | given))  # type: ignore[arg-type]  # fields by name


def budget(limit: int, settled: int = 0, reserved: int = 0) -> BudgetFacts:
    return BudgetFacts(1, "t", "tenant", "", limit, settled, reserved)


def answer(
    *rows: AttemptFacts,
    job: JobFacts | None = None,
    budgets: tuple[BudgetFacts, ...] = (),
    item: Reservation | None = None,
) -> tuple[ReserveKind, int, Decided]:
    facts = job or JobFacts(JobState.OPEN, expired=False, held=False)
    ledger = {(JOB, "main", 0): {each.attempt: each for each in rows}}
    decided = decide([item or ask()], {JOB: facts}, ledger, budgets, ME)
    [decision] = decided.decisions
    return decision.kind, decision.attempt, decided


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], (ReserveKind.GRANTED, 1)),
        ([row(1, AttemptState.ANSWERED)], (ReserveKind.ANSWERED, 1)),
        ([row(1, AttemptState.RESERVED, worker=ME)], (ReserveKind.IN_FLIGHT, 1)),
        ([row(1, AttemptState.RESERVED, lease_until=9.0)], (ReserveKind.LEASED, 1)),
        ([row(1, AttemptState.RESERVED)], (ReserveKind.GRANTED, 2)),
        ([row(1, AttemptState.FAILED)], (ReserveKind.SUPERSEDED, 1)),
        ([row(1, AttemptState.FAILED, final=True)], (ReserveKind.FAILED, 1)),
        ([row(1, AttemptState.UNKNOWN, error_code="timeout")], (ReserveKind.SUPERSEDED, 1)),
        ([row(1, AttemptState.UNKNOWN, error_code=LEASE_EXPIRED)], (ReserveKind.GRANTED, 2)),
        (
            [row(1, AttemptState.UNKNOWN, error_code=LEASE_EXPIRED), row(2, AttemptState.ANSWERED)],
            (ReserveKind.ANSWERED, 2),
        ),
        ([row(n, AttemptState.RESERVED) for n in (1, 2, 3, 4)], (ReserveKind.FAILED, 5)),
        ([row(1, AttemptState.FAILED, error_code=NOT_CALLED, final=True)], (ReserveKind.GRANTED, 2)),
        (
            [row(n, AttemptState.FAILED, error_code=NOT_CALLED, final=True) for n in (1, 2, 3, 4)],
            (ReserveKind.GRANTED, 5),
        ),
    ],
)
def test_the_ledger_is_followed_to_the_attempt_to_be_made(
    rows: list[AttemptFacts], expected: tuple[ReserveKind, int]
) -> None:
    kind, attempt, _ = answer(*rows)
    assert (kind, attempt) == expected


def test_only_a_call_after_a_lost_worker_is_bought_again() -> None:
    for state, code, expected in (
        (AttemptState.RESERVED, None, 1),
        (AttemptState.UNKNOWN, LEASE_EXPIRED, 1),
        (AttemptState.FAILED, "rate_limited", 0),
    ):
        _, _, decided = answer(row(1, state, error_code=code), item=ask(attempt=1 if expected else 2))
        assert len(decided.rebought) == expected
        assert decided.decisions[0].rebought is bool(expected)


def test_a_lost_call_is_charged_even_if_the_job_has_ended() -> None:
    spent = budget(9, reserved=5)
    closed = JobFacts(JobState.CANCELLED, expired=False, held=False)
    kind, _, decided = answer(row(1, AttemptState.RESERVED), job=closed, budgets=(spent,))
    assert (kind, len(decided.abandoned)) == (ReserveKind.CLOSED, 1)
    assert (spent.settled_nanos, spent.reserved_nanos) == (5, 0)


@pytest.mark.parametrize(
    ("state", "kind"), [(JobState.SUCCEEDED, ReserveKind.CLOSED), (JobState.OPEN, ReserveKind.ANSWERED)]
)
def test_a_reservation_behind_a_late_answer_is_named(state: JobState, kind: ReserveKind) -> None:
    facts = JobFacts(state, expired=False, held=False)
    late, mine = row(1, AttemptState.ANSWERED), row(2, AttemptState.RESERVED, worker=ME)
    [decision] = answer(late, mine, job=facts)[2].decisions
    assert (decision.kind, decision.attempt, decision.unused) == (kind, 1, 2)
    [decision] = answer(late, row(2, AttemptState.RESERVED, lease_until=9.0), job=facts)[2].decisions
    assert (decision.kind, decision.attempt, decision.unused) == (kind, 1, None)


def test_settled_spend_holds_and_calls_in_flight_wait() -> None:
    assert answer(budgets=(budget(9, settled=9),))[0] is ReserveKind.HELD
    assert answer(budgets=(budget(9, reserved=9),))[0] is ReserveKind.WAIT
    assert answer(budgets=(budget(9, settled=4, reserved=4),))[0] is ReserveKind.GRANTED


def test_a_paused_job_is_held_whatever_money_there_is_and_an_expired_one_ends() -> None:
    paused = JobFacts(JobState.OPEN, expired=False, held=True, paused=True)
    kind, _, decided = answer(job=paused)
    assert (kind, decided.held[0].kind) == (ReserveKind.HELD, HoldKind.PAUSED)
    late = JobFacts(JobState.OPEN, expired=True, held=True, paused=True)
    assert answer(job=late)[0] is ReserveKind.EXPIRED
    # What is answered already is told all the same: no call is made for it
    assert answer(row(1, AttemptState.ANSWERED), job=paused)[0] is ReserveKind.ANSWERED


def test_a_held_job_that_may_call_or_wait_is_on_hold_no_more() -> None:
    held = JobFacts(JobState.OPEN, expired=False, held=True)
    assert len(answer(job=held)[2].released) == 1
    assert len(answer(job=held, budgets=(budget(9, reserved=9),))[2].released) == 1
    assert answer(job=held, budgets=(budget(9, settled=9),))[2].released == []


def test_the_reason_names_the_budget_what_is_left_and_what_would_help() -> None:
    told = exhausted_reason(BudgetFacts(1, "t", "batch", "b", 2_500_000_000, 2_000_000_001, 0), 600_000_000)
    assert told == (
        "budget_exhausted: the batch's budget of 2.5 USD has 0.499999999 left; this call may cost up to 0.6."
        " It goes on when the limit is raised"
    )
