"""A measured window: the difference of two readings of everything that is counted. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.readings import MachineTime
from bench.servers import PostgresWork


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything that is counted, at one moment; CPU seconds by name since each process began."""

    at_s: float
    counted_s: Mapping[str, float]
    uncounted_s: Mapping[str, float]
    machine: MachineTime
    postgres: PostgresWork


@dataclass(frozen=True, slots=True)
class Window:
    """What was used between two readings. ``uncounted_s``: by the bench's own processes."""

    began_s: float
    ended_s: float
    counted_s: Mapping[str, float]
    uncounted_s: Mapping[str, float]
    machine: MachineTime
    commits: int
    wal_bytes: int

    @property
    def seconds(self) -> float:
        """How long it was."""
        return self.ended_s - self.began_s

    @property
    def strangers_share(self) -> float:
        """How much of the machine neither Headrace, its servers nor the bench used, though somebody did."""
        known_s = sum(self.counted_s.values()) + sum(self.uncounted_s.values())
        return max(0.0, self.machine.busy_s - known_s) / self.machine.whole_s if self.machine.whole_s else 0.0

    def holds(self, at_s: float) -> bool:
        """Whether a moment lies in it."""
        return self.began_s <= at_s < self.ended_s


def window_between(first: Reading, last: Reading) -> Window:
    """Return what was used between two readings of the same processes."""
    return Window(
        began_s=first.at_s,
        ended_s=last.at_s,
        counted_s={name: used_s - first.counted_s[name] for name, used_s in last.counted_s.items()},
        uncounted_s={name: used_s - first.uncounted_s[name] for name, used_s in last.uncounted_s.items()},
        machine=last.machine.since(first.machine),
        commits=last.postgres.commits - first.postgres.commits,
        wal_bytes=last.postgres.wal_bytes - first.postgres.wal_bytes,
    )
