"""``headrace dead-letters`` and ``errors``: what was set aside and what went wrong, for keys with scope operator."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console

from common.errors import RequestError, StackError
from headrace.commands import exit_codes
from headrace.commands.client import Api, connect
from headrace.commands.screen import screen
from headrace.commands.tables import plain_table

PAGE = 200


class StateName(StrEnum):
    OPEN = "open"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


AsJson = Annotated[bool, typer.Option("--json", help="For programs: JSON instead of a table.")]
Number = Annotated[int, typer.Argument(metavar="NUMBER", min=1, help="A letter's number.")]
Numbers = Annotated[list[int] | None, typer.Argument(metavar="NUMBER", help="Letters' numbers.")]
OfStage = Annotated[str | None, typer.Option("--stage", help="Only those that this stage set aside.")]
All = Annotated[bool, typer.Option("--all", help="All open ones, or all of --stage.")]


def register(app: typer.Typer) -> None:
    """Adds this module's commands."""
    letters = typer.Typer(no_args_is_help=True, help="Messages that were set aside: list, show, edit, replay, discard.")
    letters.command("list")(list_letters)
    for command in (show, edit, replay, discard):
        letters.command()(command)
    app.add_typer(letters, name="dead-letters")
    app.command()(errors)


def list_letters(
    state: Annotated[StateName, typer.Option(help="Which ones.")] = StateName.OPEN,
    stage: OfStage = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=PAGE)] = 20,
    as_json: AsJson = False,
) -> None:
    """List dead letters, newest first. Each keeps its job on hold while it is open."""
    page = connect().get("/dead-letters", {"state": state.value, "stage": stage, "limit": limit})
    if as_json:
        _print_json(page)
        return
    if not page["dead_letters"]:
        screen().print("None.")
        return
    table = plain_table("number", "set aside", "stage", "job", "times", "reason", right=("number", "times"))
    for letter in page["dead_letters"]:
        at = letter["created_at"][:19].replace("T", " ")
        times, reason = str(letter["count"]), letter["reason"]
        table.add_row(str(letter["id"]), at, letter["stage"], letter["job_id"] or "", times, reason)
    screen().print(table)
    if page["next_before"]:
        Console(stderr=True).print("There are more; see --limit.", style="dim")


def show(number: Number) -> None:
    """Show one with its bytes and headers, as JSON."""
    _print_json(connect().get(f"/dead-letters/{number}"))


def edit(
    number: Number,
    file: Annotated[Path, typer.Argument(help="The new value; - for standard input.", allow_dash=True)],
) -> None:
    """Set what a replay will send. The original stays and is shown beside it."""
    try:
        value = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise StackError(f"{file} cannot be read: {error.strerror}.", "Name a file that can, or - .") from error
    connect().put(f"/dead-letters/{number}/value", value)
    screen().print(f"{number} is edited; headrace dead-letters replay {number} sends it.", highlight=False)


def replay(numbers: Numbers = None, stage: OfStage = None, every: All = False) -> None:
    """Send letters again, under their own keys, headers and ids."""
    _deal("replay", "sent again", numbers, stage, every=every)


def discard(numbers: Numbers = None, stage: OfStage = None, every: All = False) -> None:
    """Give letters up. Their jobs go on from the ledger; cancel those that are to end."""
    _deal("discard", "discarded", numbers, stage, every=every)


def errors(
    job: Annotated[str | None, typer.Argument(metavar="JOB", help="All of one job.")] = None,
    hours: Annotated[int | None, typer.Option(min=1, max=720, help="How far back. Default: 24.")] = None,
    stage: Annotated[str | None, typer.Option(help="Only those of this stage.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what went wrong for a job, or in the stages, newest first, with how often and when."""
    if job is not None and (hours is not None or stage is not None):
        raise typer.BadParameter("of one job all are shown; leave out --hours and --stage", param_hint="JOB")
    api = connect()
    if job is not None:
        found = api.get(f"/jobs/{quote(job, safe='')}/errors")
    else:
        found = api.get("/errors", {"hours": hours or 24, "stage": stage})
    if as_json:
        _print_json(found)
        return
    if not found["errors"]:
        screen().print("None.")
        return
    table = plain_table("last", "stage", "kind", "times", "job", "what", right=("times",))
    for error in found["errors"]:
        at = error["last_at"][:19].replace("T", " ")
        table.add_row(at, error["stage"], error["kind"], str(error["count"]), error["job_id"] or "", error["detail"])
    screen().print(table)


def _deal(action: str, done: str, numbers: list[int] | None, stage: str | None, *, every: bool) -> None:
    if bool(numbers) == (every or stage is not None):
        hint = f"headrace dead-letters {action} NUMBER..., or --stage NAME, or --all"
        raise typer.BadParameter(f"say which letters, one way: {hint}", param_hint="NUMBER")
    api = connect()
    refused = 0
    for number in numbers if numbers else _open(api, stage):
        try:
            api.post(f"/dead-letters/{number}/{action}")
        except RequestError as error:
            if error.code not in {"dead_letter_conflict", "not_found"}:
                raise
            refused += 1
            Console(stderr=True).print(f"{number}: {error.detail}", highlight=False)
        else:
            screen().print(f"{number} {done}.", highlight=False)
    if refused:
        raise typer.Exit(exit_codes.FAILED)


def _open(api: Api, stage: str | None) -> list[int]:
    found: list[int] = []
    before: int | None = None
    while True:
        page = api.get("/dead-letters", {"stage": stage, "limit": PAGE, "before": before})
        found += [letter["id"] for letter in page["dead_letters"]]
        before = page["next_before"]
        if before is None:
            return sorted(found)


def _print_json(body: Any) -> None:
    sys.stdout.write(json.dumps(body, indent=2, ensure_ascii=False) + "\n")
