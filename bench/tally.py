"""What the bench's own processes tell each other: a shared counter, and files of timed job ids.

Times are CLOCK_MONOTONIC seconds, one clock for all processes of a host.
"""

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self
from uuid import UUID

_COUNT: Final = struct.Struct("<Q")
ACCEPTED: Final = struct.Struct("<16sdd")
SEEN: Final = struct.Struct("<16sd")


class SharedCount:
    """A number in a small file that one process writes and others read, without a system call."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        if create:
            path.write_bytes(bytes(_COUNT.size))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _COUNT.size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._memory.close()

    @property
    def value(self) -> int:
        """The number now."""
        return int(_COUNT.unpack_from(self._memory)[0])

    @value.setter
    def value(self, number: int) -> None:
        _COUNT.pack_into(self._memory, 0, number)


def read_accepted(path: Path) -> Iterator[tuple[UUID, float, float]]:
    """Yield (job, POST begun, 202 received) of a load generator's file."""
    for job, begun_s, answered_s in ACCEPTED.iter_unpack(path.read_bytes()):
        yield UUID(bytes=job), begun_s, answered_s


def read_seen(path: Path) -> Iterator[tuple[UUID, float]]:
    """Yield (job, seen) of the watcher's file; a record that is being written now is left out."""
    content = path.read_bytes()
    whole = len(content) - len(content) % SEEN.size
    for job, seen_s in SEEN.iter_unpack(memoryview(content)[:whole]):
        yield UUID(bytes=job), seen_s
