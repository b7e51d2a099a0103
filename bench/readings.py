"""What the kernel says of processes: CPU time of a family, its memory (PSS), and how busy the machine was.

Linux only. A family is a process and its living descendants, with what its ended children had used (the kernel
adds that to the parent that reaped them), so that Postgres backends count even when they are gone.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from headrace.local.process import family

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s_of_stat(line: str, ticks_per_s: int = _TICKS_PER_S) -> float:
    """Return user and system seconds of one ``/proc/<pid>/stat`` line, its reaped children's included."""
    # The command name, in parentheses, may itself hold spaces and parentheses.
    fields = line[line.rindex(")") + 2 :].split()
    return sum(map(int, fields[11:15])) / ticks_per_s


def family_cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process and all it started, ended ones included."""
    used_s = 0.0
    for member in family(pid):
        try:
            used_s += cpu_s_of_stat(Path(f"/proc/{member}/stat").read_text())
        except OSError:
            continue
    return used_s


def cpu_s_by_name(pids: Mapping[str, int]) -> dict[str, float]:
    """Return the CPU seconds of several families."""
    return {name: family_cpu_s(pid) for name, pid in pids.items()}


def pss_kb_of_rollup(text: str) -> int:
    """Return the proportional set size in a ``smaps_rollup``. Raises ValueError where there is none."""
    return _kb_of_rollup(text, "Pss:")


def own_kb_of_rollup(text: str) -> int:
    """Return what of it is the process's own: anonymous memory, swapped or not. Raises ValueError.

    A leak shows here. Shared memory (Postgres' buffers, which fill with use) and mapped files (Kafka's indexes,
    libraries) do not count; pages shared since a fork count in proportion.
    """
    return _kb_of_rollup(text, "Pss_Anon:") + _kb_of_rollup(text, "SwapPss:")


def _kb_of_rollup(text: str, name: str) -> int:
    for line in text.splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise ValueError(f"no {name} line")


def family_pss_mb(pid: int, kb_of_rollup: Callable[[str], int] = pss_kb_of_rollup) -> float | None:
    """Return the PSS of a family in MB (10^6 bytes); None where the kernel does not let us look."""
    size_kb = 0
    for member in family(pid):
        try:
            size_kb += kb_of_rollup(Path(f"/proc/{member}/smaps_rollup").read_text())
        except PermissionError:
            return None
        except (OSError, ValueError):
            # It ended meanwhile, or is a zombie.
            continue
    return size_kb * 1024 / 1e6


@dataclass(frozen=True, slots=True)
class MachineTime:
    """Seconds of all CPUs since boot, by use. ``stolen_s``: a hypervisor gave them to somebody else."""

    busy_s: float
    idle_s: float
    stolen_s: float

    def since(self, earlier: "MachineTime") -> "MachineTime":
        """Return the difference."""
        return MachineTime(self.busy_s - earlier.busy_s, self.idle_s - earlier.idle_s, self.stolen_s - earlier.stolen_s)

    @property
    def whole_s(self) -> float:
        """All of it."""
        return self.busy_s + self.idle_s + self.stolen_s

    @property
    def busy_share(self) -> float:
        """How much of the machine was in use, 0 to 1."""
        return self.busy_s / self.whole_s if self.whole_s else 0.0


def machine_time_of(stat: str, ticks_per_s: int = _TICKS_PER_S) -> MachineTime:
    """Read the first line of ``/proc/stat``."""
    user, nice, system, idle, iowait, irq, softirq, steal = map(int, stat.split("\n", 1)[0].split()[1:9])
    busy = user + nice + system + irq + softirq
    return MachineTime(busy / ticks_per_s, (idle + iowait) / ticks_per_s, steal / ticks_per_s)


def machine_time() -> MachineTime:
    """Return the machine's times until now."""
    return machine_time_of(Path("/proc/stat").read_text())


def filesystem_of(folder: Path, mounts: str) -> str:
    """Return the type of the file system that holds a folder, from the text of ``/proc/mounts``."""
    found, longest = "unknown", -1
    for line in mounts.splitlines():
        _, point, kind, *_ = line.split()
        place = point.replace("\\040", " ")
        if folder.is_relative_to(place) and len(place) >= longest:
            found, longest = kind, len(place)
    return found


def cpu_model(cpuinfo: str) -> str:
    """Return the processor's name from the text of ``/proc/cpuinfo``."""
    names: Iterable[str] = (
        line.split(":", 1)[1].strip() for line in cpuinfo.splitlines() if line.startswith("model name")
    )
    return next(iter(names), "unknown")
