"""Which ports the stack listens on: an own default range, or free ones; the choice is kept with the state.

Free ports are taken below the kernel's ephemeral range, so that no outgoing connection can occupy the port
of a server while it restarts (a client that reconnects in a loop can even connect to itself there).
"""

import random
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from common.errors import StackError

LOOPBACK = "127.0.0.1"

DEFAULT_PORTS: Mapping[str, int] = {
    "postgres": 15432,
    "valkey": 16379,
    "kafka": 19092,
    "kafka-controller": 19093,
    "elasticsearch": 19200,
    "elasticsearch-transport": 19300,
    "llm": 18080,
    "ingestion": 8000,
    "prompt_engine": 8001,
    "model_layer": 8002,
    "output_validation": 8003,
    "persistence": 8004,
}
LOWEST_FREE_PORT = 20_000
USUAL_EPHEMERAL_START = 32_768


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        # A port in TIME_WAIT is free to a server, which sets the same option.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def choose(names: Iterable[str], kept: Mapping[str, int], *, free_ports: bool) -> dict[str, int]:
    """A port for each name: the kept one, else its default, else (``free_ports``) any free one.

    Raises StackError naming the first port that is taken and, where it can be found out, by whom.
    """
    chosen: dict[str, int] = {}
    for name in names:
        port = kept.get(name) or (None if free_ports else DEFAULT_PORTS[name])
        if port is None or (free_ports and not is_free(port)):
            port = _any_free(chosen.values())
        elif not is_free(port):
            raise _taken(name, port)
        chosen[name] = port
    return chosen


def _taken(name: str, port: int) -> StackError:
    owner = owner_of(port)
    by = f" by {owner}" if owner else ""
    return StackError(
        f"Port {port}, wanted for {name}, is taken{by}.",
        "Stop that program, or let Headrace take free ports: headrace up --free-ports.",
    )


def _any_free(used: Iterable[int]) -> int:
    taken = set(used)
    candidates = range(LOWEST_FREE_PORT, _ephemeral_start())
    for _ in range(1000):
        port = random.choice(candidates)  # noqa: S311  spreads stacks apart; nothing secret about it
        if port not in taken and is_free(port):
            return port
    raise StackError("No free port was found.", "Too many programs listen on this machine; stop some.")


def _ephemeral_start() -> int:
    try:
        start = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return USUAL_EPHEMERAL_START
    return start if start > LOWEST_FREE_PORT + 1000 else USUAL_EPHEMERAL_START


def owner_of(port: int) -> str | None:
    """``name (pid n)`` of the process that listens on a port, where /proc lets us see it."""
    inodes = _listening_inodes(port)
    if not inodes:
        return None
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and not wanted.isdisjoint(_open_files(process)):
            return f"{_name(process)} (pid {process.name})"
    return None


def _open_files(process: Path) -> Iterator[str]:
    """What a process's file descriptors point to, as far as we may see; they come and go meanwhile."""
    with suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError):
                yield str(descriptor.readlink())


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return "a program"


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            columns = row.split()
            listening = columns[3] == "0A"
            if listening and int(columns[1].rsplit(":", 1)[1], 16) == port:
                inodes.add(columns[9])
    return inodes
