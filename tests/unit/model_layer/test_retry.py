"""What follows a failed call: what cost nothing uses up none of the calls that a recipe pays for."""

import pytest

from common.errors import ProviderError, ProviderErrorKind
from common.ports import Outcome
from model_layer.retry import UNBILLED_TRIES, Aftermath, aftermath

REFUSED = ProviderError(ProviderErrorKind.RATE_LIMITED, "slow down", sent=False, retryable=True)
LOST = ProviderError(ProviderErrorKind.TIMEOUT, "no answer in time", sent=True, retryable=True)


def after(error: ProviderError, *, attempt: int, paid: int) -> Aftermath:
    return aftermath(error, attempt=attempt, paid=paid, max_attempts=4, reserved_nanos=9, jitter=0.0)


@pytest.mark.parametrize(
    ("error", "attempt", "paid", "retry"),
    [
        pytest.param(REFUSED, 4, 4, True, id="a refusal costs nothing, and is asked again"),
        pytest.param(REFUSED, 4 + UNBILLED_TRIES, 1, False, id="but not for ever"),
        pytest.param(LOST, 3, 3, True, id="one more may be paid"),
        pytest.param(LOST, 4, 4, False, id="all are paid"),
        pytest.param(LOST, 9, 3, True, id="refusals before it do not count"),
        pytest.param(LOST, 9, 4, False, id="those that were paid do"),
    ],
)
def test_what_is_tried_again(error: ProviderError, attempt: int, paid: int, retry: bool) -> None:
    found = after(error, attempt=attempt, paid=paid)
    assert found.retry is retry
    assert (found.outcome, found.cost_nanos) == ((Outcome.UNKNOWN, 9) if error.sent else (Outcome.FAILED, 0))
