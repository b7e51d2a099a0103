"""Keeps compiled schemas by their content, up to a number and an estimate of bytes. The least recently used go first.

Safe for threads: who looks something up takes no lock, and may at worst not find what is being given up.
"""

from collections import OrderedDict
from threading import Lock
from typing import Generic, TypeAlias, TypeVar

Content: TypeAlias = tuple[bytes, bytes, bool]
"""A schema and its resources as texts, which are hashed in a fifth of a digest's time; whether formats are checked."""

_T = TypeVar("_T")


class Kept(Generic[_T]):
    """What was made of some contents."""

    __slots__ = ("_bytes", "_kept", "_lock", "_most", "_most_bytes")

    def __init__(self, most: int, most_bytes: int) -> None:
        self._kept: OrderedDict[Content, tuple[_T, int]] = OrderedDict()
        self._bytes = 0
        self._most = most
        self._most_bytes = most_bytes
        self._lock = Lock()

    def get(self, content: Content) -> _T | None:
        """Return what is kept for a content, which is then the last to be given up."""
        try:
            self._kept.move_to_end(content)
            return self._kept[content][0]
        except KeyError:
            return None

    def put(self, content: Content, made: _T, size_bytes: int) -> None:
        """Keep what was made. What is larger than all may be is kept alone."""
        with self._lock:
            self._bytes -= self._kept.pop(content, (made, 0))[1]
            while self._kept and (len(self._kept) >= self._most or self._bytes + size_bytes > self._most_bytes):
                self._bytes -= self._kept.popitem(last=False)[1][1]
            self._kept[content] = made, size_bytes
            self._bytes += size_bytes
