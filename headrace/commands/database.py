"""``headrace migrate`` and ``headrace repair``. The running system does both by itself; these are by hand."""

import json
import os
import subprocess
import sys
from typing import Annotated

import typer
from rich.console import Console

from common.errors import StackError
from headrace.commands import exit_codes
from headrace.local.stack import Stack
from headrace.local.state import State, home


def register(app: typer.Typer) -> None:
    """Adds this module's commands."""
    app.command()(migrate)
    app.command()(repair)


def migrate() -> None:
    """Bring the database of HEADRACE_DATABASE_URL, else that of the stack on this machine, to this version."""
    _persistence("migrate", ["postgres"])
    Console().print("The schema is up to date.")


def repair(
    as_json: Annotated[bool, typer.Option("--json", help="For programs: JSON instead of words.")] = False,
) -> None:
    """Look for work that was lost between Postgres and Kafka, once, and publish it again. Harmless at any time.

    The persistence service does this all the time; here it says what it found. For the servers of
    HEADRACE_DATABASE_URL and HEADRACE_KAFKA_BOOTSTRAP, else for the stack on this machine.
    """
    found = json.loads(_persistence("repair", ["postgres", "kafka"]))
    if as_json:
        sys.stdout.write(json.dumps(found) + "\n")
        return
    Console().print(
        f"{found['published']} jobs published again, {found['given_up']} calls of dead workers charged,"
        f" {found['topics']} topics created.",
        highlight=False,
    )


def _persistence(command: str, servers: list[str]) -> str:
    """Run a chore in a process of its own: loading the schema's libraries would slow every other command."""
    environ = {**os.environ}
    if "HEADRACE_DATABASE_URL" not in environ:
        environ |= _local_servers(servers)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "persistence", command],
        env=environ,
        check=False,
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise typer.Exit(exit_codes.FAILED)
    return done.stdout


def _local_servers(servers: list[str]) -> dict[str, str]:
    state = State(home(os.environ))
    record = state.run_record()
    if record is None or "postgres" not in record.processes or not state.locked():
        raise StackError(
            f"No database runs on {state.folder}.",
            "Start the system with headrace up (it migrates by itself), or set HEADRACE_DATABASE_URL.",
        )
    stack = Stack(state.folder, servers)
    stack.attach()
    return dict(stack.endpoints.environment())
