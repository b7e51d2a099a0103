"""What follows a failed call, pure: how the ledger books it, and whether and when it is tried again."""

from dataclasses import dataclass

from common.errors import ProviderError, ProviderErrorKind
from common.ports import Outcome

_BACKOFF_FIRST_S = 0.5
_BACKOFF_LAST_S = 60.0
# Refusals that cost nothing (rate limits, overload, no connection) do not use up the recipe's paid attempts;
# with the back-off above this many take about a quarter of an hour.
UNBILLED_TRIES = 16
_OPERATORS_BUSINESS = frozenset({ProviderErrorKind.AUTH, ProviderErrorKind.QUOTA})


@dataclass(frozen=True, slots=True)
class Aftermath:
    """``delay_s`` None with ``retry``: hold until released on command. No ``retry``: the job fails with it."""

    outcome: Outcome
    cost_nanos: int
    retry: bool
    delay_s: float | None = None


def aftermath(
    error: ProviderError, *, attempt: int, paid: int, max_attempts: int, reserved_nanos: int, jitter: float
) -> Aftermath:
    """Decide. ``paid``: attempts up to this one, itself included, that may have cost something.

    ``jitter`` in [0, 1) spreads waiters over up to a quarter more.

    What may have been billed is unknown and charged whole (P3); what surely was not is failed and free. The
    operator's business (key, quota) is a hold, not the job's failure.
    """
    outcome = Outcome.UNKNOWN if error.sent else Outcome.FAILED
    cost = reserved_nanos if error.sent else 0
    if error.kind in _OPERATORS_BUSINESS:
        return Aftermath(outcome, cost, retry=True)
    used_up = error.sent and paid >= max_attempts
    if not error.retryable or used_up or attempt >= max_attempts + UNBILLED_TRIES:
        return Aftermath(outcome, cost, retry=False)
    delay_s = min(_BACKOFF_LAST_S, _BACKOFF_FIRST_S * 2 ** (attempt - 1))
    if error.retry_after_s is not None:
        delay_s = max(delay_s, error.retry_after_s)
    return Aftermath(outcome, cost, retry=True, delay_s=delay_s * (1 + jitter / 4))
