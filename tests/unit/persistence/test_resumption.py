"""Where a lost step goes on, from its ledger rows."""

from datetime import UTC, datetime, timedelta

import pytest

from common.ports import NOT_CALLED
from persistence.postgres.states import AttemptState, VerdictCode
from persistence.reconciler.resumption import PastAttempt, resume_point
from persistence.reserve_decision import LEASE_EXPIRED

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
ANSWERED, FAILED, UNKNOWN, RESERVED = (
    AttemptState.ANSWERED,
    AttemptState.FAILED,
    AttemptState.UNKNOWN,
    AttemptState.RESERVED,
)


def row(
    attempt: int,
    state: AttemptState,
    *,
    final: bool = False,
    error: str | None = None,
    verdict: VerdictCode | None = None,
    late: bool = False,
) -> PastAttempt:
    """One attempt a minute; a late answer comes after the next one began."""
    started = BEGIN + timedelta(minutes=attempt)
    ended = None if state is RESERVED else started + timedelta(minutes=5 if late else 0, seconds=10)
    return PastAttempt(attempt, state, final, error, verdict, started, ended)


def died(attempt: int) -> PastAttempt:
    return row(attempt, UNKNOWN, error=LEASE_EXPIRED)


@pytest.mark.parametrize(
    ("past", "expected"),
    [
        pytest.param([], (1, 0, 0, 0), id="never called: from the beginning"),
        pytest.param([row(1, RESERVED)], (1, 0, 0, 0), id="its worker died: the same message, the ledger goes on"),
        pytest.param([died(1), row(2, RESERVED)], (1, 0, 0, 0), id="two workers died: still the first message"),
        pytest.param([row(1, ANSWERED)], (1, 0, 0, 0), id="answered: the answer is replayed"),
        pytest.param([row(1, FAILED, error="overloaded")], (2, 0, 0, 1), id="failed: its successor was lost"),
        pytest.param([row(1, FAILED), died(2)], (2, 0, 0, 1), id="the successor's worker died"),
        pytest.param([row(1, FAILED), row(2, FAILED, final=True)], (2, 0, 0, 1), id="failed for good: told again"),
        pytest.param([row(1, FAILED), row(2, ANSWERED)], (2, 0, 0, 1), id="answered at last"),
        pytest.param(
            [row(1, ANSWERED, verdict=VerdictCode.REASK), row(2, ANSWERED)], (2, 1, 0, 0), id="a re-ask was answered"
        ),
        pytest.param([row(1, ANSWERED), row(2, ANSWERED)], (2, 1, 0, 0), id="its verdict was lost too"),
        pytest.param(
            [row(1, ANSWERED), row(2, RESERVED)], (1, 0, 1, 0), id="the re-ask died: worded anew as the second"
        ),
        pytest.param(
            [row(1, ANSWERED), row(2, FAILED)], (1, 0, 2, 0), id="the re-ask failed: worded anew as the third"
        ),
        pytest.param(
            [row(1, ANSWERED), row(2, FAILED), row(3, FAILED, final=True)],
            (1, 0, 2, 0),
            id="the re-ask failed for good",
        ),
        pytest.param([row(1, ANSWERED, late=True), row(2, ANSWERED)], (2, 0, 0, 0), id="a late answer is no re-ask"),
        pytest.param(
            [row(1, ANSWERED, late=True), row(2, FAILED, final=True, error=NOT_CALLED)],
            (1, 0, 0, 0),
            id="an answer overtook the second: it is replayed",
        ),
    ],
)
def test_a_lost_step_goes_on_where_the_ledger_ends(
    past: list[PastAttempt], expected: tuple[int, int, int, int]
) -> None:
    assert resume_point(past) == expected
