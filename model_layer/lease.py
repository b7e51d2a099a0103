"""This worker incarnation's lease: one row renewed each second; no call starts on a lease that may have ended."""

import asyncio

import structlog

from common.clock import Clock
from common.errors import DatabaseUnavailable
from common.ports import Ledger

log = structlog.get_logger(__name__)

_RENEW_EVERY_S = 1.0


class Lease:
    """Keeps the lease alive. A worker that was stopped and wakes up finds its lease stale and renews first."""

    def __init__(self, ledger: Ledger, lease_s: float, clock: Clock) -> None:
        self._ledger = ledger
        self._lease_s = lease_s
        self._clock = clock
        self._renewed_at = float("-inf")

    def fresh(self) -> bool:
        """Return whether the lease surely holds for another renewal."""
        return self._clock() - self._renewed_at < self._lease_s - _RENEW_EVERY_S

    async def renew(self) -> None:
        """Extend it. Raises DatabaseUnavailable."""
        asked_at = self._clock()
        await self._ledger.renew_lease()
        self._renewed_at = asked_at

    async def keep(self) -> None:
        """Renew each second until cancelled; calls in flight outlive the stop of everything else."""
        while True:
            try:
                await self.renew()
            except DatabaseUnavailable as trouble:
                log.warning("lease not renewed", trouble=str(trouble))
            await asyncio.sleep(_RENEW_EVERY_S)
