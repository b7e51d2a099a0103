"""``headrace migrate``: brings the database's schema to this version's. ``headrace up`` does so by itself."""

import os
import subprocess
import sys

import typer
from rich.console import Console

from common.errors import StackError
from headrace.commands import exit_codes
from headrace.local.stack import Stack
from headrace.local.state import State, home


def register(app: typer.Typer) -> None:
    """Adds this module's command."""
    app.command()(migrate)


def migrate() -> None:
    """Bring the database of HEADRACE_DATABASE_URL, else that of the stack on this machine, to this version."""
    url = os.environ.get("HEADRACE_DATABASE_URL") or _local_database()
    # In a process of its own: loading the schema's libraries would slow every other command.
    done = subprocess.run(
        [sys.executable, "-P", "-m", "persistence", "migrate"],
        env={**os.environ, "HEADRACE_DATABASE_URL": url},
        check=False,
    )
    if done.returncode:
        raise typer.Exit(exit_codes.FAILED)
    Console().print("The schema is up to date.")


def _local_database() -> str:
    state = State(home(os.environ))
    record = state.run_record()
    if record is None or "postgres" not in record.processes or not state.locked():
        raise StackError(
            f"No database runs on {state.folder}.",
            "Start the system with headrace up (it migrates by itself), or set HEADRACE_DATABASE_URL.",
        )
    stack = Stack(state.folder, ["postgres"])
    stack.attach()
    return stack.endpoints.database_url
