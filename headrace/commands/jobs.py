"""``headrace jobs`` and ``output``: what became of what was submitted."""

import json
import sys
from contextlib import suppress
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console
from rich.markup import escape

from common.errors import RequestError
from headrace.commands import exit_codes
from headrace.commands.client import LONGEST_WAIT_S, TERMINAL, Api, connect
from headrace.commands.screen import screen
from headrace.commands.tables import attempt_table, job_table, plain_table, state_text, tokens, took, usd, why


class StateName(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    HELD = "held"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


AsJson = Annotated[bool, typer.Option("--json", help="For programs: JSON instead of a table.")]
JobId = Annotated[str, typer.Argument(metavar="ID", help="A job's id.")]


def register(app: typer.Typer) -> None:
    """Adds this module's commands."""
    for command in (jobs, output):
        app.command()(command)


def jobs(
    job_id: Annotated[str | None, typer.Argument(metavar="ID", help="One job, or one batch.")] = None,
    state: Annotated[StateName | None, typer.Option(help="Only those in this state.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Only those of this recipe: name, or name@version.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200)] = 20,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first; or show one with its attempts, or how far a batch is."""
    api = connect()
    if job_id is not None:
        _one(api, job_id, as_json=as_json)
        return
    page = api.jobs({"state": state.value if state else None, "recipe": recipe}, limit)
    if as_json:
        _print_json(page)
        return
    if page["jobs"]:
        console = screen()
        console.print(job_table(page["jobs"], console.width))
    elif page["next_cursor"] is None:
        screen().print("No jobs yet." if state is None and recipe is None else "No such jobs.")
    if page["next_cursor"]:
        more = "There are more; see --limit." if len(page["jobs"]) == limit else "Older jobs were not looked at."
        Console(stderr=True).print(more, style="dim")


def _one(api: Api, job_id: str, *, as_json: bool) -> None:
    try:
        job = api.job(job_id)
    except RequestError as error:
        if error.code != "not_found":
            raise
        with suppress(RequestError):
            _batch(api.get(f"/batches/{quote(job_id, safe='')}"), as_json=as_json)
            return
        raise
    attempts = api.attempts(job_id)
    if as_json:
        _print_json({**job, "ledger": attempts})
        return
    console = screen()
    facts = plain_table("", "")
    facts.show_header = False
    facts.add_row("job", job["id"])
    facts.add_row("state", state_text(job["state"]))
    facts.add_row("recipe", job["recipe"])
    facts.add_row("lane", job["lane"])
    for name, value in (("why", why(job)), ("tags", ", ".join(job["tags"])), ("batch", job["batch_id"])):
        if value:
            facts.add_row(name, escape(value))
    facts.add_row("time", took(job))
    facts.add_row("cost", f"{usd(job['cost_usd'])} for {tokens(job['usage'])} tokens")
    console.print(facts)
    if attempts:
        console.print("\n[dim]attempts[/]")
        console.print(attempt_table(attempts))
    if job["output"] is not None:
        console.print("\n[dim]output[/]")
        console.print_json(json.dumps(job["output"]))


def _batch(batch: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        _print_json(batch)
        return
    states = ", ".join(f"{count} {state}" for state, count in sorted(batch["states"].items()) if count)
    screen().print(f"Batch {batch['id']}: {batch['total']} jobs: {states}; {usd(batch['cost_usd'])}.", soft_wrap=True)


def output(
    job_id: JobId,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Until the job has ended.")] = False,
) -> None:
    """Print a job's output, as JSON.

    Exit code: 0 printed, 4 the job has no output (yet), and standard error says why.
    """
    api = connect()
    job = api.job(job_id, wait_s=LONGEST_WAIT_S if wait else 0)
    while wait and job["state"] not in TERMINAL:
        job = api.job(job_id, wait_s=LONGEST_WAIT_S)
    if job["state"] != "succeeded":
        reason = why(job)
        sys.stderr.write(f"headrace: The job is {job['state']}{f': {reason}' if reason else ''}. It has no output.\n")
        raise typer.Exit(exit_codes.NOT_SUCCEEDED)
    if sys.stdout.isatty():
        Console().print_json(json.dumps(job["output"]))
    else:
        _print_json(job["output"])


def _print_json(body: Any) -> None:
    sys.stdout.write(json.dumps(body, indent=2, ensure_ascii=False) + "\n")
