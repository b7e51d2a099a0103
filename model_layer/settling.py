"""Settles calls in few transactions, and for as long as it takes: what was paid for is never dropped.

A settlement that the ledger refuses takes no other along. Its attempt is closed as unknown at the same cost, so
that no replay of its message makes the call again. So is that of a call which broke off by a bug.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from common.coalesce import Coalescer
from common.contracts import StepRef
from common.errors import InfrastructureError
from common.ports import NOT_CALLED, Ledger, Outcome, Settlement

log = structlog.get_logger(__name__)

UNSTORABLE: Final = "unstorable_answer"
BROKEN: Final = "broken_call"
_BACKOFF_LAST_S: Final = 2.0


def broken_call(ref: StepRef, attempt: int, reserved_nanos: int) -> Settlement:
    """Return how a call is settled of which a bug hides whether it was sent: as one that was, for good."""
    return Settlement(ref, attempt, Outcome.UNKNOWN, reserved_nanos, error_code=BROKEN)


def not_called(ref: StepRef, attempt: int) -> Settlement:
    """Return how a reservation is settled that no call was made on: it was overtaken."""
    return Settlement(ref, attempt, Outcome.FAILED, 0, error_code=NOT_CALLED)


class Settling:
    """``settle`` returns when the outcome is committed."""

    def __init__(self, ledger: Ledger, *, most: int) -> None:
        self._ledger = ledger
        self._batches: Coalescer[Settlement, None] = Coalescer(self._patiently, most=most, lanes=2, atomic=True)

    async def settle(self, item: Settlement) -> None:
        """Settle one call. Raises what the ledger says against its data, once its attempt is closed without them."""
        try:
            await self._batches.submit(item)
        except Exception as refusal:
            log.error("settlement refused", job_id=str(item.ref.job_id), refusal=type(refusal).__name__)
            bare = Settlement(item.ref, item.attempt, Outcome.UNKNOWN, item.cost_nanos, error_code=UNSTORABLE)
            await self._patiently([bare])
            raise

    async def _patiently(self, items: Sequence[Settlement]) -> Sequence[None]:
        delay_s = 0.1
        while True:
            try:
                await self._ledger.settle(items)
            except InfrastructureError as trouble:
                log.warning("settle waits", trouble=str(trouble), items=len(items))
                await asyncio.sleep(delay_s)
                delay_s = min(_BACKOFF_LAST_S, delay_s * 2)
            else:
                return [None] * len(items)
