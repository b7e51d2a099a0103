"""The console of tables: a terminal as it is; elsewhere (a pipe, a log) wide enough that nothing is cut."""

from typing import Final

from rich.console import Console

WIDTH_WITHOUT_TERMINAL: Final = 160


def screen() -> Console:
    """Standard output, for people."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDTH_WITHOUT_TERMINAL)
