"""Round robin over the tenants of one lane, in memory: hints, rebuilt from the outbox at any time.

Pure. A row costs one whatever it holds, so deficit round robin comes down to shares that differ by at most
one row, the odd rows going round. The cursor spares a release the dead rows at the head of a tenant's queue;
a wake drops it, for it may hide a more urgent row behind it.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

C = TypeVar("C")


class Turn(NamedTuple, Generic[C]):
    """How many rows one tenant may give to a release, and after which cursor (None: from the head)."""

    tenant_id: str
    rows: int
    after: C | None


class Given(NamedTuple, Generic[C]):
    """What a tenant gave: how many rows, and the cursor behind the last."""

    rows: int
    last: C


class Ring(Generic[C]):
    """The tenants that may have rows, in the order of their turns."""

    def __init__(self) -> None:
        self._after: OrderedDict[str, C | None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._after)

    def wake(self, tenant_id: str) -> None:
        """A tenant got rows: it has a turn, from the head of its queue."""
        self._after[tenant_id] = None

    def refresh(self, tenant_ids: Iterable[str]) -> None:
        """These tenants have rows; nobody's cursor is trusted any longer."""
        for tenant_id in [*self._after, *tenant_ids]:
            self._after[tenant_id] = None

    def plan(self, limit: int) -> list[Turn[C]]:
        """Return the turns of one release of at most ``limit`` rows. Follow it by ``settle``."""
        if limit <= 0 or not self._after:
            return []
        share, odd = divmod(limit, len(self._after))
        order = list(islice(self._after, odd if share == 0 else len(self._after)))
        for tenant_id in order[:odd]:
            self._after.move_to_end(tenant_id)
        return [Turn(tenant_id, share + (n < odd), self._after[tenant_id]) for n, tenant_id in enumerate(order)]

    def settle(self, turns: Sequence[Turn[C]], given: Mapping[str, Given[C]]) -> None:
        """Account for a release: who gave less than its turn has no rows left and leaves the ring."""
        for tenant_id, rows, _ in turns:
            gift = given.get(tenant_id)
            if gift is None or gift.rows < rows:
                del self._after[tenant_id]
            else:
                self._after[tenant_id] = gift.last
