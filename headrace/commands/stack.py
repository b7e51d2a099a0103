"""``up``, ``down``, ``status``, ``logs`` and ``doctor``: the system on one machine, from the shell."""

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from common.errors import StackError
from headrace.commands import running
from headrace.local.diagnosis import Severity, diagnose
from headrace.local.inspection import StackStatus, inspect_stack
from headrace.local.logs import follow as follow_logs
from headrace.local.logs import last_lines
from headrace.local.services import SERVICES
from headrace.local.stack import SERVERS
from headrace.local.state import State, home

OPTIONAL_SERVERS = ("elasticsearch", "llm")
NOT_RUNNING = 3
MARKS = {Severity.FINE: "[green]ok  [/]", Severity.NOTE: "[yellow]note[/]", Severity.WRONG: "[red]BAD [/]"}

Detach = Annotated[bool, typer.Option("--detach", "-d", help="Run in the background; return when all is ready.")]
FreePorts = Annotated[
    bool, typer.Option("--free-ports", help="Take free ports where the usual or kept ones are taken.")
]
Without = Annotated[
    list[str] | None,
    typer.Option("--without", metavar="SERVER", help="Leave out elasticsearch or llm; may be repeated."),
]
LogName = Annotated[str | None, typer.Argument(help="A service, a server, or supervisor; all when left out.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines are written; Ctrl-C ends.")]
LineCount = Annotated[int, typer.Option("--lines", "-n", min=0, help="How many lines of the past.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs: JSON instead of a table.")]


def register(app: typer.Typer) -> None:
    """Adds this module's commands."""
    for command in (up, down, status, logs, doctor):
        app.command()(command)


def up(detach: Detach = False, free_ports: FreePorts = False, without: Without = None) -> None:
    """Start the whole system on this machine: real servers and the five services.

    Data, ports and keys are kept in $HEADRACE_HOME (default: .headrace in the current folder), so the next
    start goes on where this one stops. In the foreground, Ctrl-C stops everything. The first start downloads
    the jars of Kafka and Elasticsearch (about 80 MB) into a cache; later ones need no network.
    """
    left_out = set(without or [])
    if unknown := sorted(left_out - set(OPTIONAL_SERVERS)):
        raise typer.BadParameter(
            f"{unknown[0]} cannot be left out; only {' and '.join(OPTIONAL_SERVERS)} can.",
            param_hint="--without",
        )
    servers = [name for name in SERVERS if name not in left_out]
    state_dir = home(os.environ)
    if detach:
        running.in_background(state_dir, servers, free_ports=free_ports)
    else:
        running.in_foreground(state_dir, servers, free_ports=free_ports)


def down(
    delete_data: Annotated[
        bool,
        typer.Option("--delete-data", help="Then delete all jobs, results, keys and logs of this state."),
    ] = False,
) -> None:
    """Stop the system that runs on this state, and wait until it has stopped. Data stays, unless told."""
    state = State(home(os.environ))
    console = Console()
    stopped = running.stop_running(state)
    console.print("Stopped." if stopped else f"Nothing runs on {state.folder}.", highlight=False)
    if delete_data:
        deleted = running.delete_data(state)
        words = "Deleted the data in" if deleted else "There is no data in"
        console.print(f"{words} {state.folder}.", highlight=False, soft_wrap=True)


def status(as_json: AsJson = False) -> None:
    """Show each process: its port, pid, restarts, and whether it is ready or why not.

    Exit code: 0 all ready, 1 something is not, 3 not running.
    """
    found = asyncio.run(inspect_stack(State(home(os.environ))))
    if as_json:
        sys.stdout.write(found.model_dump_json(indent=2) + "\n")
    else:
        _show_status(found, Console())
    if not found.running:
        raise typer.Exit(NOT_RUNNING)
    if not found.all_ready:
        raise typer.Exit(1)


def _show_status(found: StackStatus, console: Console) -> None:
    if not found.running:
        console.print(f"Nothing runs on {found.state_dir}. Start it with: headrace up", highlight=False, soft_wrap=True)
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("process", "port", "pid", "restarts", "state"):
        table.add_column(heading, justify="right" if heading in {"port", "pid", "restarts"} else "left")
    for process in found.processes:
        state = "[green]ready[/]" if process.ready else f"[red]not ready[/]: {escape(process.reason)}"
        port = "" if process.port is None else str(process.port)
        table.add_row(process.name, port, str(process.pid), str(process.restarts), state)
    console.print(table)
    console.print(f"\n{found.url or 'still starting'}   state: {found.state_dir}", highlight=False, soft_wrap=True)


def logs(name: LogName = None, follow: Follow = False, lines: LineCount = 50) -> None:
    """Print the logs of the services and servers."""
    state = State(home(os.environ))
    known = (*SERVICES, *SERVERS, "supervisor")
    if name is not None and name not in known:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(known)}.", param_hint="name")
    if not state.logs.exists():
        raise StackError(f"There are no logs in {state.folder}.", "Start the system with headrace up.")
    files: list[Path] = sorted(state.logs.glob("*.log")) if name is None else [state.logs / f"{name}.log"]
    with suppress(KeyboardInterrupt):
        asyncio.run(_print_logs(files, lines, go_on=follow))


async def _print_logs(files: list[Path], lines: int, *, go_on: bool) -> None:
    width = max((len(file.stem) for file in files), default=0)

    def show(file: Path, line: str) -> None:
        prefix = f"{file.stem:<{width}} | " if len(files) > 1 else ""
        sys.stdout.write(f"{prefix}{line}\n")

    starts = [file.stat().st_size if file.exists() else 0 for file in files]
    for file in files:
        for line in last_lines(file, lines):
            show(file, line)
    sys.stdout.flush()
    if go_on:
        async for file, line in follow_logs(files, starts):
            show(file, line)
            sys.stdout.flush()


def doctor() -> None:
    """Look for what keeps Headrace from running on this machine, and say how to mend it.

    Exit code: 0 nothing is wrong, 1 something is.
    """
    state = State(home(os.environ))
    findings = asyncio.run(diagnose(state, os.environ))
    console = Console()
    for finding in findings:
        mark = MARKS[finding.severity]
        console.print(f"{mark} [bold]{finding.subject}[/]: {escape(finding.what)}", highlight=False, soft_wrap=True)
        if finding.mend:
            console.print(f"    [cyan]mend[/]: {escape(finding.mend)}", highlight=False, soft_wrap=True)
    wrong = sum(finding.severity is Severity.WRONG for finding in findings)
    console.print(f"\n{wrong} thing(s) to mend." if wrong else "\nNothing is wrong.")
    if wrong:
        raise typer.Exit(1)
