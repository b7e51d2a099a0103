"""What the demo shows: cards, counts, hits, the record, and how to go on. Values in, lines on the console."""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

from rich.console import Console
from rich.text import Text

from common.kafka.public_reader import PublicRecord
from headrace.commands.consume import record_text
from headrace.commands.tables import hit_text, plain_table, state_text, tokens, took, usd, why
from headrace.demo.packages import RECIPE
from headrace.demo.run import Found
from headrace.demo.session import Session
from headrace.demo.tally import Card, Tally

BUNDLED = (
    "The bundled model (SmolLM2, 135 million parameters, on one thread) is tiny and judges poorly:"
    " this shows the pipeline, not quality."
)
REAL_MODEL = (
    "A real one: make demo MODEL=gpt-5-mini PRICE=0.25/2.00 (US dollars a million tokens in/out; key from"
    " OPENAI_API_KEY; BASE_URL=http://... for your own vLLM, Ollama or gateway, its key from HEADRACE_MODEL_KEY)."
)


def heading(console: Console, words: str) -> None:
    console.print(f"\n[bold]{words}[/]")


def show_cards(console: Console, cards: Sequence[Card]) -> None:
    numbers = ("attempts", "cost", "model time", "time")
    table = plain_table("package", "card", "state", "model", "attempts", "tokens", "cost", *numbers[2:], right=numbers)
    table.expand = True
    table.columns[1].ratio = 1
    table.columns[0].max_width = 24
    for card in cards:
        job = card.job
        table.add_row(
            Text(f"{card.package.name} {card.package.version}", overflow="fold"),
            _card_text(card),
            state_text(job["state"]),
            ", ".join(card.models),
            str(job["attempts"]),
            tokens(job["usage"]),
            usd(job["cost_usd"]),
            f"{card.model_ms / 1000:.1f} s",
            took(job),
        )
    console.print(table)


def _card_text(card: Card) -> Text:
    output = card.job["output"]
    if output is None:
        return Text(why(card.job), style="dim")
    words = ", ".join(output["keywords"])
    return Text.assemble(output["summary"], ("\n" + f"{output['category']} · {output['audience']} · {words}", "dim"))


def show_tally(console: Console, counted: Tally) -> None:
    console.print(
        f"\n{counted.jobs} jobs: {counted.first} accepted at first, {counted.reasked} after a re-ask,"
        f" {counted.rejected} rejected"
        + (f", {counted.otherwise} ended otherwise" if counted.otherwise else "")
        + f". {counted.attempts} calls, {counted.input_tokens} tokens in, {counted.output_tokens} out,"
        f" {usd(str(counted.cost_usd))}.",
        soft_wrap=True,
    )


def show_search(console: Console, found: Found | None) -> None:
    heading(console, "Search over the results, through Elasticsearch")
    if found is None:
        console.print("There is no card to look for.")
        return
    console.print(
        f"[dim]GET /api/v1/search?{urlencode({'q': found.query, 'recipe': RECIPE})}[/]  {found.total} found",
        soft_wrap=True,
    )
    for hit in found.hits[:3]:
        console.print(hit_text(hit), soft_wrap=True)
    if found.waited_s > 1:
        console.print(f"(the search index followed after {found.waited_s:.1f} s)", style="dim")


def show_record(console: Console, record: PublicRecord) -> None:
    heading(console, "The first record of these jobs on the public Kafka topic (read_committed)")
    console.print(record_text(record, indent=2), soft_wrap=True)


def show_how_to_go_on(console: Console, session: Session, card: Card, query: str) -> None:
    headrace = _command()
    key_file = shlex.quote(_near(session.state.api_key_file))
    auth = f'-H "Authorization: Bearer $(cat {key_file})"'
    url = session.api.url + "/api/v1"
    body = shlex.quote(f'{{"recipe":"{RECIPE}","input":{{"name":"left-pad","summary":"Pads strings."}}}}')
    heading(console, "Go on by hand")
    lines = [
        f"curl {auth} -H 'content-type: application/json' \\\n    -d {body} {url}/jobs",
        f"curl {auth} '{url}/jobs/{card.job['id']}?wait=10'",
        f"{headrace} jobs",
        f"{headrace} jobs {card.job['id']}",
        f"{headrace} output {card.job['id']}",
        f"{headrace} search {shlex.quote(query)}",
        f"{headrace} consume outputs --from-beginning --max 3",
        f'echo \'{{"name": "left-pad"}}\' | {headrace} submit {RECIPE} - --wait',
        f"{headrace} recipes",
        f"{headrace} down",
    ]
    if session.stays:
        console.print("It goes on running. Stop it with the last of these.")
    else:
        console.print(
            "The demo stops what it started, and all data is kept: start it again first (or: make demo KEEP=1)."
        )
        lines.insert(0, f"{headrace} up --detach")
    for line in lines:
        console.print(f"  {line}", markup=False, soft_wrap=True)


def _command() -> str:
    """How this very headrace is called from here."""
    return shlex.quote(_near(Path(sys.executable).with_name("headrace")))


def _near(path: Path) -> str:
    here = Path.cwd()
    return os.path.relpath(path, here) if path.is_relative_to(here) else str(path)
