"""How a start looks: a live table on a terminal, plain lines elsewhere, and the same lines in supervisor.log.

The lines (``<UTC time> <name> <phase> <detail>``) are also how ``up --detach`` follows its background child.
"""

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

REFRESH_EVERY_S = 0.15
WHOLE = "headrace"
STYLES = {
    "waiting": "dim",
    "fetching": "yellow",
    "preparing": "yellow",
    "starting": "yellow",
    "ready": "green",
    "crashed": "red",
    "failed": "bold red",
    "stopping": "dim",
    "stopped": "dim",
}


def event_line(name: str, phase: str, detail: str) -> str:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{now} {name} {phase} {detail}".rstrip()


def parse_event(line: str) -> tuple[str, str, str] | None:
    """The (name, phase, detail) of an event line; None for any other line."""
    words = line.split(" ", 3)
    if len(words) < 3 or words[2] not in STYLES:
        return None
    return words[1], words[2], words[3] if len(words) > 3 else ""


class Lines:
    """One plain line an event."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, name: str, phase: str, detail: str) -> None:
        self._console.print(event_line(name, phase, detail), markup=False, highlight=False, soft_wrap=True)


@dataclass(slots=True)
class _Row:
    phase: str = "waiting"
    detail: str = ""
    began_s: float | None = None
    took_s: float | None = None


class StartTable:
    """A live table, one row a process. Refreshed by a task of the event loop: no thread beside the forks."""

    def __init__(self, console: Console, names: list[str]) -> None:
        self._rows = {name: _Row() for name in names}
        self._live = Live(self._table(), console=console, auto_refresh=False, transient=False)
        self._task: asyncio.Task[None] | None = None

    def __call__(self, name: str, phase: str, detail: str) -> None:
        if self._task is None:
            self._start()
        row = self._rows.setdefault(name, _Row())
        now = time.monotonic()
        if row.began_s is None:
            row.began_s = now
        if phase == "ready" and row.took_s is None:
            row.took_s = now - row.began_s
        row.phase, row.detail = phase, detail

    def _start(self) -> None:
        self._live.start()
        self._task = asyncio.get_running_loop().create_task(self._refresh())

    def stop(self) -> None:
        """Leaves the last state on the screen."""
        if self._task is None:
            return
        self._task.cancel()
        self._task = None
        self._live.update(self._table(), refresh=True)
        self._live.stop()

    async def _refresh(self) -> None:
        while True:
            self._live.update(self._table(), refresh=True)
            await asyncio.sleep(REFRESH_EVERY_S)

    def _table(self) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
        now = time.monotonic()
        for name, row in self._rows.items():
            seconds = row.took_s if row.took_s is not None else (now - row.began_s if row.began_s else None)
            table.add_row(
                name,
                Text(row.phase, style=STYLES.get(row.phase, "")),
                "" if seconds is None else f"{seconds:5.1f} s",
                Text(row.detail, style="dim"),
            )
        return table
