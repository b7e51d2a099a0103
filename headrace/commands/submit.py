"""``headrace submit``: files in, jobs out; with ``--wait`` until they have ended."""

import json
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from common.contracts import Lane
from common.errors import StackError
from headrace.commands import exit_codes
from headrace.commands.client import LONGEST_WAIT_S, NDJSON, TERMINAL, Api, connect
from headrace.commands.inputs import batch_body, job_body, read_inputs
from headrace.commands.screen import screen
from headrace.commands.tables import job_table, why

POLL_S = 0.3
UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}

AsJson = Annotated[bool, typer.Option("--json", help="For programs: JSON instead of a table.")]


def register(app: typer.Typer) -> None:
    """Adds this module's command."""
    app.command()(submit)


def submit(
    recipe: Annotated[str, typer.Argument(help="name, or name@version; see headrace recipes.")],
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE|-",
            help="One JSON object: a job. A JSON array, or NDJSON: a batch, one job an item. -: standard input.",
        ),
    ],
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Until every job has ended; then show them.")] = False,
    lane: Annotated[Lane | None, typer.Option(help="Service class.")] = None,
    budget_usd: Annotated[str | None, typer.Option(help="The most one job may cost, in US dollars.")] = None,
    deadline: Annotated[
        str | None, typer.Option(help="RFC 3339 time, or from now: 90s, 15m, 2h, 1d. No call starts after it.")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Put on each job; may be repeated.")] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option(
            help="The same key and request again: the same jobs, not new ones. Write --deadline as a time then."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Submit jobs. Prints their ids, or with --wait their endings.

    Exit code: 0 accepted (with --wait: all succeeded), 4 a job did not succeed.
    """
    inputs = read_inputs(_read(file))
    api = connect()
    fields: dict[str, object] = {
        "lane": lane.value if lane else None,
        "budget_usd": budget_usd,
        "deadline": moment(deadline, datetime.now(UTC)) if deadline else None,
        "tags": tag,
    }
    headers = {"idempotency-key": idempotency_key} if idempotency_key else {}
    if inputs.batch:
        body = batch_body(recipe, inputs.items, fields)
        accepted = api.post("/batches", body, {"content-type": NDJSON, **headers})
        ids = accepted["jobs"]
    else:
        accepted = api.post("/jobs", job_body(recipe, inputs.items[0], fields), headers)
        ids = [accepted["id"]]
    if not wait:
        _show_accepted(accepted, ids, as_json=as_json)
        return
    ended = wait_for(api, ids, Console(stderr=True))
    _show_ended(ended, as_json=as_json)
    if any(job["state"] != "succeeded" for job in ended):
        raise typer.Exit(exit_codes.NOT_SUCCEEDED)


def _read(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise StackError(
            f"{file} cannot be read: {error.strerror}.", "Name a file, or - for standard input."
        ) from error


def moment(text: str, now: datetime) -> str:
    """``15m`` as the time it will be then; anything else as it is, for the API to judge."""
    number, unit = text[:-1], text[-1:]
    if unit in UNITS_S and number.isascii() and number.isdigit():
        return (now + timedelta(seconds=min(int(number), 10**9) * UNITS_S[unit])).isoformat()
    return text


def wait_for(api: Api, ids: list[str], notes: Console) -> list[dict[str, Any]]:
    """Every job, when it has ended, in the order given. Holds are told once."""
    ended: list[dict[str, Any]] = []
    for job_id in ids:
        told = ""
        while (job := api.job(job_id, wait_s=LONGEST_WAIT_S))["state"] not in TERMINAL:
            if job["state"] == "held" and why(job) != told:
                told = why(job)
                notes.print(f"{job_id} is on hold: {told}", highlight=False, markup=False)
            time.sleep(POLL_S)
        ended.append(job)
        if notes.is_terminal and len(ids) > 1:
            notes.print(f"{len(ended)} of {len(ids)}", end="\r")
    return ended


def _show_accepted(accepted: dict[str, Any], ids: list[str], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(accepted, indent=2) + "\n")
        return
    if "jobs" in accepted:
        sys.stderr.write(f"Batch {accepted['id']} with {len(ids)} jobs is accepted.\n")
    sys.stdout.write("".join(f"{job_id}\n" for job_id in ids))


def _show_ended(ended: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(ended if len(ended) > 1 else ended[0], indent=2, ensure_ascii=False) + "\n")
        return
    console = screen()
    console.print(job_table(ended, console.width))
    if len(ended) == 1 and ended[0]["output"] is not None:
        Console().print_json(json.dumps(ended[0]["output"]))
