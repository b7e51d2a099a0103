"""Deficit round robin over the tenants of one lane, in memory: hints, rebuilt from the outbox at any time.

Pure. Every tenant with rows gets its quantum a round; what a release cut off is owed in the next one. The
cursor spares a release the dead rows at the head of a tenant's queue; a wake drops it, for it may hide a
more urgent row behind it.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(slots=True)
class _Place(Generic[C]):
    deficit: int = 0
    after: C | None = None


class Ring(Generic[C]):
    """The tenants that may have rows, in the order of their turns."""

    def __init__(self) -> None:
        self._places: OrderedDict[str, _Place[C]] = OrderedDict()
        self._woken: set[str] = set()

    def __len__(self) -> int:
        return len(self._places)

    def wake(self, tenant_id: str) -> None:
        """A tenant got rows: it has a turn, from the head of its queue."""
        self._woken.add(tenant_id)
        place = self._places.get(tenant_id)
        if place is None:
            self._places[tenant_id] = _Place()
        else:
            place.after = None

    def refresh(self, tenant_ids: Iterable[str]) -> None:
        """These tenants have rows; nobody's cursor is trusted any longer."""
        for place in self._places.values():
            place.after = None
        for tenant_id in tenant_ids:
            if tenant_id not in self._places:
                self._places[tenant_id] = _Place()

    def plan(self, limit: int) -> list[Turn[C]]:
        """Return the turns of one release of at most ``limit`` rows. Follow it by ``settle``."""
        self._woken.clear()
        if limit <= 0 or not self._places:
            return []
        quantum = -(-limit // len(self._places))
        turns: list[Turn[C]] = []
        left = limit
        for tenant_id in list(self._places):
            place = self._places[tenant_id]
            entitled = place.deficit + quantum
            rows = min(entitled, left)
            place.deficit = entitled - rows
            turns.append(Turn(tenant_id, rows, place.after))
            left -= rows
            if place.deficit == 0:
                self._places.move_to_end(tenant_id)
            if left == 0:
                break
        return turns

    def settle(self, turns: Sequence[Turn[C]], given: Mapping[str, Given[C]]) -> None:
        """Account for a release: who gave less than its turn has no rows left and leaves the ring."""
        for tenant_id, rows, _ in turns:
            place = self._places.get(tenant_id)
            if place is None or tenant_id in self._woken:
                continue
            gift = given.get(tenant_id)
            if gift is None or gift.rows < rows:
                del self._places[tenant_id]
            else:
                place.after = gift.last
