"""``headrace cancel``, ``pause``, ``resume``, ``retry`` and ``operations``: what is done to jobs, one or many."""

import json
import sys
import time
from enum import StrEnum
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer
from rich.console import Console

from common.contracts import Lane
from common.control_ports import Action
from common.errors import RequestError
from headrace.commands.client import Api, connect

LOOK_EVERY_S: Final = 0.5

AsJson = Annotated[bool, typer.Option("--json", help="For programs: JSON instead of a sentence.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="A job's id, or a batch's.")]
Wait = Annotated[bool, typer.Option("--wait", "-w", help="Until all of it is done.")]


class StateName(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    HELD = "held"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


def register(app: typer.Typer) -> None:
    """Adds this module's commands."""
    for command in (cancel, pause, resume, retry):
        app.command()(command)
    group = typer.Typer(no_args_is_help=True, help="Actions on many jobs, done in the background.")
    group.command("begin")(begin)
    group.command("show")(show)
    app.add_typer(group, name="operations")


def cancel(job_id: Id, wait: Wait = False, as_json: AsJson = False) -> None:
    """Cancel a job, or those of a batch: no new call; one in flight is recorded and charged, not published."""
    _act(Action.CANCEL, job_id, wait=wait, as_json=as_json)


def pause(job_id: Id, wait: Wait = False, as_json: AsJson = False) -> None:
    """Pause a job, or those of a batch: no new call; one in flight is recorded and charged, not published."""
    _act(Action.PAUSE, job_id, wait=wait, as_json=as_json)


def resume(job_id: Id, wait: Wait = False, as_json: AsJson = False) -> None:
    """Let a paused job go on, or one that waited for you (a refused key); or those of a batch."""
    _act(Action.RESUME, job_id, wait=wait, as_json=as_json)


def retry(job_id: Id, wait: Wait = False, as_json: AsJson = False) -> None:
    """Run a job again that failed, expired or was cancelled, as a new job; or those of a batch."""
    _act(Action.RETRY, job_id, wait=wait, as_json=as_json)


def begin(
    action: Annotated[Action, typer.Argument(help="What to do to each.")],
    state: Annotated[StateName | None, typer.Option(help="Only those in this state.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Only those of this recipe: name, or name@version.")] = None,
    lane: Annotated[Lane | None, typer.Option(help="Only those of this lane.")] = None,
    batch: Annotated[str | None, typer.Option(metavar="ID", help="Only those of this batch.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only those with this tag.")] = None,
    before: Annotated[str | None, typer.Option(metavar="TIME", help="Only those made before; RFC 3339.")] = None,
    after: Annotated[str | None, typer.Option(metavar="TIME", help="Only those made after; RFC 3339.")] = None,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Cancel, pause, resume or retry all jobs there are now for which all given conditions hold."""
    conditions = {
        "state": state and state.value,
        "recipe": recipe,
        "lane": lane and lane.value,
        "batch_id": batch,
        "tag": tag,
        "created_before": before,
        "created_after": after,
    }
    given = {name: value for name, value in conditions.items() if value}
    if not given:
        raise typer.BadParameter("give at least one, such as --state failed", param_hint="conditions")
    api = connect()
    body = json.dumps({"action": action.value, "filter": given}).encode()
    _follow(api, api.post("/operations", body), wait=wait, as_json=as_json)


def show(
    operation_id: Annotated[str, typer.Argument(metavar="ID", help="An operation's id.")],
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Show how far an operation is."""
    api = connect()
    _follow(api, api.get(f"/operations/{quote(operation_id, safe='')}"), wait=wait, as_json=as_json)


def operation_words(operation: dict[str, Any]) -> str:
    """One sentence: how far it is."""
    done = {"cancel": "cancelled", "pause": "paused", "resume": "resumed", "retry": "run again"}[operation["action"]]
    told = f"{operation['changed']} {done} of {operation['matched']} meant, {operation['scanned']} looked at"
    return f"Operation {operation['id']} is {operation['state']}: {told}."


def _act(action: Action, job_id: str, *, wait: bool, as_json: bool) -> None:
    api, named = connect(), quote(job_id, safe="")
    try:
        job = api.post(f"/jobs/{named}/{action.value}")
    except RequestError as missing:
        if missing.code != "not_found":
            raise
        try:
            operation = api.post(f"/batches/{named}/{action.value}")
        except RequestError as error:
            # What it is not a batch either: what was said of the job is the better answer.
            raise (missing if error.code == "not_found" else error) from None
        _follow(api, operation, wait=wait, as_json=as_json)
        return
    if as_json:
        _print_json(job)
        return
    again = f"; it runs {job_id} again" if action is Action.RETRY else ""
    reason = f" ({job['hold_reason']})" if job.get("hold_reason") else ""
    Console().print(f"{job['id']} is {job['state']}{reason}{again}.", highlight=False, soft_wrap=True)


def _follow(api: Api, operation: dict[str, Any], *, wait: bool, as_json: bool) -> None:
    while wait and operation["state"] != "done":
        time.sleep(LOOK_EVERY_S)
        operation = api.get(f"/operations/{operation['id']}")
    if as_json:
        _print_json(operation)
    else:
        Console().print(operation_words(operation), highlight=False, soft_wrap=True)


def _print_json(body: Any) -> None:
    sys.stdout.write(json.dumps(body, indent=2, ensure_ascii=False) + "\n")
