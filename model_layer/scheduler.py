"""Who gets the next free slot of a deployment: an in-memory queue, fair by lane and by tenant.

Lanes share slots by weight (stride scheduling); within a lane, tenants take turns; a tenant's items come
out earliest deadline first, then in order of arrival. No lane and no tenant starves; O(log n) an item.
"""

import heapq
import math
from collections import deque
from collections.abc import Mapping
from typing import Generic, TypeVar

from common.contracts import Lane

Item = TypeVar("Item")

DEFAULT_WEIGHTS: Mapping[Lane, int] = {Lane.INTERACTIVE: 8, Lane.STANDARD: 3, Lane.BULK: 1}


class Scheduler(Generic[Item]):
    """One instance serves one deployment, from one task or event loop."""

    def __init__(self, weights: Mapping[Lane, int] = DEFAULT_WEIGHTS) -> None:
        if any(weight < 1 for weight in weights.values()):
            raise ValueError("a lane's weight is at least 1")
        whole = math.lcm(*weights.values())
        self._lanes = {lane: _LaneQueue[Item](whole // weight) for lane, weight in weights.items()}
        self._arrivals = 0
        self._size = 0
        self._now = 0

    def __len__(self) -> int:
        return self._size

    def push(self, item: Item, *, lane: Lane, tenant_id: str, deadline: float | None = None) -> None:
        """Add an item. ``deadline`` is any number that orders deadlines; None comes after all of them."""
        queue = self._lanes[lane]
        if not queue:
            # A lane that was empty has no claim on the slots it did not use.
            queue.due = max(queue.due, self._now)
        self._arrivals += 1
        self._size += 1
        queue.push(item, tenant_id, math.inf if deadline is None else deadline, self._arrivals)

    def pop(self) -> Item | None:
        """Take the item whose turn it is, or None if there is none."""
        waiting = [queue for queue in self._lanes.values() if queue]
        if not waiting:
            return None
        queue = min(waiting, key=lambda each: each.due)
        self._now = queue.due
        queue.due += queue.stride
        self._size -= 1
        return queue.pop()

    def waiting(self, lane: Lane) -> int:
        """How many items of a lane are queued."""
        return len(self._lanes[lane])


class _LaneQueue(Generic[Item]):
    """``due`` is the lane's place in the stride order; ``stride`` what one slot moves it."""

    def __init__(self, stride: int) -> None:
        self.stride = stride
        self.due = 0
        self._tenants: dict[str, list[tuple[float, int, Item]]] = {}
        self._turns: deque[str] = deque()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def push(self, item: Item, tenant_id: str, deadline: float, arrival: int) -> None:
        heap = self._tenants.get(tenant_id)
        if heap is None:
            heap = self._tenants[tenant_id] = []
            self._turns.append(tenant_id)
        heapq.heappush(heap, (deadline, arrival, item))
        self._size += 1

    def pop(self) -> Item:
        tenant_id = self._turns.popleft()
        heap = self._tenants[tenant_id]
        _, _, item = heapq.heappop(heap)
        if heap:
            self._turns.append(tenant_id)
        else:
            del self._tenants[tenant_id]
        self._size -= 1
        return item
