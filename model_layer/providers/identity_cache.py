"""What is derived from a schema, remembered by the schema object's identity. Bounded; oldest out first.

Schemas are immutable by the seam's contract and stay referenced here, so that an identity is never reused.
"""

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

Derived = TypeVar("Derived")


class IdentityCache(Generic[Derived]):
    def __init__(self, capacity: int = 256) -> None:
        self._capacity = capacity
        self._entries: dict[int, tuple[Mapping[str, Any], Derived]] = {}

    def get(self, schema: Mapping[str, Any], derive: Callable[[Mapping[str, Any]], Derived]) -> Derived:
        entry = self._entries.get(id(schema))
        if entry is not None:
            return entry[1]
        derived = derive(schema)
        if len(self._entries) >= self._capacity:
            del self._entries[next(iter(self._entries))]
        self._entries[id(schema)] = (schema, derived)
        return derived
