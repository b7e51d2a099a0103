"""``headrace demo``: what this is, shown on this machine's own input, with everything real."""

import asyncio
import os
import signal
import time
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from common.errors import HeadraceError, StackError
from headrace.commands.screen import screen
from headrace.demo import report
from headrace.demo.models import ModelChoice, chosen_model
from headrace.demo.packages import DESCRIPTION_CHARACTERS, RECIPE, Package, installed_packages, spread
from headrace.demo.run import Watch, cards_of, public_ends, read_first_record, search_for, submit
from headrace.demo.session import Session, running_system
from headrace.demo.tally import Tally, tally
from headrace.local.state import State, home

MOST_JOBS = 1_000


def register(app: typer.Typer) -> None:
    """Adds this module's command."""
    app.command()(demo)


def demo(
    jobs: Annotated[int, typer.Option(min=1, max=MOST_JOBS, help="How many packages to make cards of.")] = 12,
    keep: Annotated[bool, typer.Option("--keep", help="Leave it running at the end.")] = False,
    model: Annotated[str | None, typer.Option(help="A real model instead of the bundled tiny one.")] = None,
    base_url: Annotated[
        str | None, typer.Option(help="Where it is: an OpenAI-compatible API, up to /v1. Default: OpenAI's.")
    ] = None,
    price: Annotated[
        str | None, typer.Option(help="What it costs: input/output, US dollars a million tokens, as 0.25/2.00.")
    ] = None,
) -> None:
    """Make catalogue cards of the Python packages installed here: five services, Kafka, a real local LLM.

    Uses the Headrace that runs on $HEADRACE_HOME, else starts one, and stops it at the end unless told to keep
    it. A named model is called with the key in $HEADRACE_MODEL_KEY, or at OpenAI in $OPENAI_API_KEY; nothing
    else spends money.
    """
    signal.signal(signal.SIGTERM, _as_interrupt)
    signal.signal(signal.SIGHUP, _as_interrupt)
    choice = chosen_model(model, base_url, price, os.environ)
    installed = installed_packages()
    packages = spread(installed, jobs)
    if not packages:
        raise StackError("No Python package with metadata is installed here.", "Run it from make demo's .venv.")
    console = screen()
    _introduce(console, packages, len(installed), jobs, choice)
    with running_system(State(home(os.environ)), choice, console, keep=keep) as session:
        counted = _run(session, packages, console, may_cost=choice is not None)
    if counted.otherwise or counted.rejected == counted.jobs:
        raise StackError(
            f"{counted.otherwise} of {counted.jobs} jobs ended without an answer."
            if counted.otherwise
            else "No card was accepted.",
            "The table says why; see also headrace logs model_layer.",
        )


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _introduce(
    console: Console, packages: list[Package], installed: int, wanted: int, choice: ModelChoice | None
) -> None:
    console.print("[bold]Headrace demo[/]: package metadata in, schema-valid JSON cards out.")
    chosen = f"{len(packages)} of the {installed} Python packages installed here"
    if wanted >= installed:
        chosen = f"all {installed} Python packages installed here (fewer than the {wanted} asked for)"
    console.print(
        f"Input: name, version, summary and the first {DESCRIPTION_CHARACTERS:,} characters of the description of"
        f" {chosen}.",
        soft_wrap=True,
    )
    console.print(choice.words if choice is not None else report.BUNDLED, soft_wrap=True)
    if choice is None:
        console.print(report.REAL_MODEL, style="dim", soft_wrap=True)
    console.print()


def _run(session: Session, packages: list[Package], console: Console, *, may_cost: bool) -> Tally:
    """Returns what happened to the jobs. Raises HeadraceError when the pipeline did not do its part."""
    start = asyncio.run(public_ends(session))
    began_s = time.monotonic()
    batch = submit(session.api, packages, may_cost=may_cost)
    took_ms = (time.monotonic() - began_s) * 1000
    console.print(
        f"\nBatch {batch['id']} of {batch['total']} jobs is committed in Postgres after {took_ms:.0f} ms (202).",
        soft_wrap=True,
    )
    watch = Watch(session.api, batch, packages, console)
    try:
        ended = watch.until_all_ended()
    except (HeadraceError, KeyboardInterrupt):
        watch.cancel_open()
        raise
    report.heading(console, f"Cards ({RECIPE}), {time.monotonic() - began_s:.1f} s after the submit")
    cards = cards_of(session.api, batch, packages, ended)
    report.show_cards(console, cards)
    counted = tally(cards)
    report.show_tally(console, counted)
    found = None
    if any(card.succeeded for card in cards):
        if session.has_search:
            found = search_for(session.api, cards)
            report.show_search(console, found)
        else:
            console.print("\nThis Headrace runs without Elasticsearch: no search.")
        report.show_record(console, read_first_record(session, start, batch["jobs"]))
    shown = next((card for card in cards if card.succeeded), cards[0])
    report.show_how_to_go_on(console, session, shown, found.query if found else "python")
    return counted
