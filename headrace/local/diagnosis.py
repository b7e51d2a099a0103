"""``headrace doctor``: what keeps the system from running on this machine, and how to mend it.

Looks only; changes nothing. Each check gives findings as values, and those that judge the machine's figures
are given them, so that they can be tested without such a machine.
"""

import asyncio
import importlib.util
import os
import platform
import pwd
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from headrace.local import jars, ports
from headrace.local.inspection import inspect_stack
from headrace.local.logs import last_lines
from headrace.local.postgres import abandoned
from headrace.local.process import NOBODY
from headrace.local.services import SERVICES
from headrace.local.stack import SECOND_PORTS, SERVERS
from headrace.local.state import State
from headrace.local.wheels import missing_wheels

GB = 1_000_000_000
OLDEST_GLIBC = (2, 28)
NEEDED_DISK_BYTES = 500_000_000
GOOD_DISK_BYTES = 2 * GB
# Idle, all servers take about 0.7 GB and the five services up to 0.6 GB.
NEEDED_MEMORY_BYTES = 1_000_000_000
GOOD_MEMORY_BYTES = 2 * GB
SMALLER = "Leave parts out: headrace up --without elasticsearch (saves 300 MB), --without llm (saves 250 MB)."
JAR_BUNDLES = ("kafka", "elasticsearch", "elasticsearch-netty")
CONNECT_BOUND_S = 3.0
MANY_RESTARTS = 3
LOG_LINES = 200
LAST_WORDS: Mapping[str, tuple[str, str]] = {
    "No space left on device": ("the disk was full", "Make room, then headrace down and up."),
    "Disk quota exceeded": (
        "the disk quota was used up",
        "Make room, then headrace down and up.",
    ),
    "OutOfMemoryError": ("it ran out of memory", SMALLER),
    "Cannot allocate memory": ("the machine ran out of memory", SMALLER),
    "Too many open files": (
        "it ran out of file handles",
        "Raise the limit (ulimit -n 65536).",
    ),
    "Address already in use": (
        "its port was taken",
        "Let Headrace take free ports: headrace up --free-ports.",
    ),
    "Illegal instruction": ("this CPU lacks AVX2, which the local LLM needs", "headrace up --without llm"),
}


class Severity(Enum):
    FINE = "fine"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    severity: Severity
    subject: str
    what: str
    mend: str = ""


async def diagnose(state: State, environ: Mapping[str, str]) -> list[Finding]:
    """All checks, the machine first, then the installation, then this state."""
    running = state.locked()
    findings = [
        system_finding(sys.platform, platform.libc_ver()),
        cpu_finding(platform.machine(), _cpu_flags()),
        memory_finding(available_memory_bytes(), running=running),
        *_disk_findings(state, environ),
        *_user_findings(),
        *_abandoned_findings(),
        packages_finding(missing_wheels()),
        await asyncio.to_thread(_jars_finding, jars.jar_cache(state.folder, environ)),
    ]
    if running:
        findings += await _running_findings(state)
    else:
        findings += [*_idle_findings(state), *_port_findings(state)]
    return [*findings, *_log_findings(state)]


def system_finding(system: str, libc: tuple[str, str]) -> Finding:
    if system != "linux":
        return Finding(
            Severity.WRONG,
            "system",
            f"the one-machine stack runs on Linux; this is {system}",
            "Use a Linux machine or virtual machine, or point HEADRACE_* at servers elsewhere.",
        )
    name, version = libc
    if name != "glibc":
        return Finding(
            Severity.WRONG,
            "system",
            "the C library is not glibc (musl, as on Alpine, has no PostgreSQL package)",
            "Use a distribution with glibc, such as Debian, Ubuntu or Fedora.",
        )
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_GLIBC:
        return Finding(
            Severity.WRONG,
            "system",
            f"glibc {version} is too old; the servers need 2.28",
            "Use a distribution of 2019 or later (Debian 10, Ubuntu 20.04, RHEL 8).",
        )
    return Finding(Severity.FINE, "system", f"Linux with glibc {version}, Python {platform.python_version()}")


def cpu_finding(machine: str, flags: frozenset[str]) -> Finding:
    if machine == "x86_64" and flags and "avx2" not in flags:
        return Finding(
            Severity.WRONG,
            "processor",
            "it lacks AVX2, which the local LLM needs",
            "headrace up --without llm",
        )
    return Finding(Severity.FINE, "processor", f"{machine}, {os.cpu_count()} cores")


def memory_finding(available_bytes: int | None, *, running: bool) -> Finding:
    if available_bytes is None:
        return Finding(Severity.NOTE, "memory", "how much is free could not be read")
    free = f"{available_bytes / GB:.1f} GB free"
    if running or available_bytes >= GOOD_MEMORY_BYTES:
        return Finding(Severity.FINE, "memory", free)
    severity = Severity.WRONG if available_bytes < NEEDED_MEMORY_BYTES else Severity.NOTE
    return Finding(severity, "memory", f"{free}; the whole system wants about 1.3 GB", SMALLER)


def disk_finding(subject: str, folder: Path, free_bytes: int) -> Finding:
    free = f"{free_bytes / GB:.1f} GB free for {folder}"
    if free_bytes >= GOOD_DISK_BYTES:
        return Finding(Severity.FINE, subject, free)
    severity = Severity.WRONG if free_bytes < NEEDED_DISK_BYTES else Severity.NOTE
    return Finding(severity, subject, free, "Make room, or set HEADRACE_HOME (data) or HEADRACE_CACHE (jars).")


def packages_finding(missing: list[str]) -> Finding:
    if missing:
        return Finding(
            Severity.WRONG,
            "packages",
            f"not installed: {', '.join(missing)}",
            "Install the one-machine stack: pip install 'headrace[local]'.",
        )
    if importlib.util.find_spec("persistence") is None:
        return Finding(Severity.WRONG, "packages", "the services are not installed", "pip install headrace")
    return Finding(Severity.FINE, "packages", "all servers are installed")


def _disk_findings(state: State, environ: Mapping[str, str]) -> Iterator[Finding]:
    cache = jars.jar_cache(state.folder, environ).folder
    for subject, folder in (("disk", state.folder), ("jar cache", cache)):
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
        if not os.access(nearest, os.W_OK | os.X_OK):
            variable = "HEADRACE_HOME" if subject == "disk" else "HEADRACE_CACHE"
            yield Finding(
                Severity.WRONG,
                subject,
                f"{nearest} cannot be written",
                f"Set {variable} to a folder that can.",
            )
        else:
            yield disk_finding(subject, folder, shutil.disk_usage(nearest).free)


def _user_findings() -> Iterator[Finding]:
    """PostgreSQL's initdb insists on a user with a name; containers often run as a bare number."""
    uid = NOBODY if os.geteuid() == 0 else os.geteuid()
    try:
        pwd.getpwuid(uid)
    except KeyError:
        yield Finding(
            Severity.WRONG,
            "user",
            f"user id {uid} has no name, and PostgreSQL refuses to be set up by such a user",
            f"Add a line for it to /etc/passwd, or run as another user (id {uid} runs PostgreSQL here).",
        )


def _abandoned_findings() -> Iterator[Finding]:
    for folder in abandoned():
        what = f"{folder} holds the database of a state folder that is gone"
        yield Finding(Severity.NOTE, "disk", what, f"If you do not want it back: rm -r {folder}")


def _jars_finding(cache: jars.JarCache) -> Finding:
    folder = cache.folder
    absent = [jar for bundle in JAR_BUNDLES for jar in jars.missing(bundle, folder)]
    if not absent:
        return Finding(Severity.FINE, "jars", "all there and intact; a start needs no network")
    if missing_wheels():
        return Finding(Severity.NOTE, "jars", "not looked at while packages are missing")
    damaged = [jar for jar in absent if jar.path_in(folder).exists()]
    size_mb = sum(jar.size_bytes for jar in absent) / jars.MB
    what = f"{len(absent)} to download ({size_mb:.0f} MB)"
    if damaged:
        what += f", {len(damaged)} of them damaged (such as {damaged[0].file_name})"
    host, port = jars.repository_address(cache)
    if not _reachable(host, port):
        return Finding(
            Severity.WRONG,
            "jars",
            f"{what}, and {host} cannot be reached",
            "Connect to the network for the first start, or copy the cache folder from another machine.",
        )
    return Finding(Severity.NOTE, "jars", what, "Nothing to do: the next headrace up downloads them.")


def _reachable(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=CONNECT_BOUND_S):
            return True
    except OSError:
        return False


def _port_findings(state: State) -> Iterator[Finding]:
    kept = state.ports()
    taken = False
    for name in (*SERVERS, *SECOND_PORTS.values(), *SERVICES):
        port = kept.get(name, ports.DEFAULT_PORTS[name])
        if not ports.is_free(port):
            taken = True
            owner = ports.owner_of(port)
            by = f" by {owner}" if owner else ""
            yield Finding(
                Severity.WRONG,
                "ports",
                f"{port}, wanted for {name}, is taken{by}",
                "Stop that program, or let Headrace take free ports: headrace up --free-ports.",
            )
    if not taken:
        yield Finding(Severity.FINE, "ports", "all free")


def _idle_findings(state: State) -> Iterator[Finding]:
    record = state.run_record()
    if record is None:
        yield Finding(Severity.FINE, "state", f"nothing runs on {state.folder}")
        return
    left = [name for name, process in record.processes.items() if process.identity.alive()]
    what = f"the last run on {state.folder} was killed"
    if left:
        what += f"; still ending: {', '.join(left)}"
    yield Finding(Severity.NOTE, "state", what, "Nothing to do: the next headrace up cleans up and goes on.")


async def _running_findings(state: State) -> list[Finding]:
    status = await inspect_stack(state)
    findings = [
        Finding(
            Severity.WRONG,
            process.name,
            f"is not ready: {process.reason}",
            f"Wait a moment if it just started; else read headrace logs {process.name}.",
        )
        for process in status.processes
        if not process.ready
    ]
    findings += [
        Finding(
            Severity.WRONG,
            process.name,
            f"crashed {process.restarts} times",
            f"Read headrace logs {process.name}.",
        )
        for process in status.processes
        if process.restarts >= MANY_RESTARTS
    ]
    return findings or [Finding(Severity.FINE, "state", f"runs on {state.folder}, everything is ready")]


def _log_findings(state: State) -> Iterator[Finding]:
    for log in sorted(state.logs.glob("*.log")) if state.logs.exists() else []:
        text = "\n".join(last_lines(log, LOG_LINES))
        for words, (what, mend) in LAST_WORDS.items():
            if words in text:
                yield Finding(Severity.NOTE, log.stem, f"its log says that {what}", mend)


def available_memory_bytes() -> int | None:
    """What this machine, or the container we are in, still has."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None
    try:
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text())
        return min(free, limit - int((group / "memory.current").read_text()))
    except (OSError, ValueError):
        return free


def _cpu_flags() -> frozenset[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line.split(":", 1)[1] for line in lines if line.startswith("flags")), "").split())
