"""The demo from beginning to end: submit a batch, follow it, show the cards, search, read the topic.

Everything goes through REST, search and the public topic, as it would from elsewhere. Nothing is made up: what
is shown is what came back.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from common.errors import StackError
from common.kafka.public_reader import PublicRecord, public_reader
from common.pipeline import Topic, topic_name
from headrace.commands.client import NDJSON, TERMINAL, Api
from headrace.commands.consume import installation
from headrace.commands.inputs import batch_body
from headrace.commands.tables import took, why
from headrace.demo.packages import RECIPE, Package
from headrace.demo.session import Session
from headrace.demo.tally import Card

POLL_S: Final = 0.4
STALL_S: Final = 300.0
HOLD_S: Final = 20.0
SEARCH_S: Final = 20.0
RECORD_S: Final = 30.0
UNPAID_BUDGET_USD: Final = "0.000000001"
"""Where no model was named, a call that costs anything is held by the ledger, not made."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search over the results brought."""

    query: str
    total: int
    hits: Sequence[dict[str, Any]]
    waited_s: float


async def public_ends(session: Session) -> dict[int, int]:
    """Where the outputs topic ends now, by partition."""
    async with public_reader(session.kafka, outputs_topic(), from_beginning=False) as reader:
        return await reader.positions()


def outputs_topic() -> str:
    return topic_name(installation(), Topic.OUTPUTS)


def submit(api: Api, packages: Sequence[Package], *, may_cost: bool) -> dict[str, Any]:
    """One batch, all or nothing."""
    inputs = [json.dumps(package.as_input(), ensure_ascii=False).encode() for package in packages]
    fields: dict[str, object] = {"tags": ["demo"]}
    if not may_cost:
        fields["budget_usd"] = UNPAID_BUDGET_USD
    accepted: dict[str, Any] = api.post("/batches", batch_body(RECIPE, inputs, fields), {"content-type": NDJSON})
    return accepted


class Watch:
    """Follows the jobs of one batch until all have ended. Raises StackError where nothing moves any more."""

    def __init__(self, api: Api, batch: dict[str, Any], packages: Sequence[Package], console: Console) -> None:
        self._api = api
        self._names = dict(zip(batch["jobs"], (package.name for package in packages), strict=True))
        self._batch_id = batch["id"]
        self._console = console
        self._ended: dict[str, dict[str, Any]] = {}
        self._moved_s = time.monotonic()
        self._held_since_s: float | None = None

    def until_all_ended(self) -> dict[str, dict[str, Any]]:
        """Every job by id, as it ended; told one line each as it happens."""
        columns = (
            SpinnerColumn(),
            TextColumn("cards"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.description}"),
        )
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task("", total=len(self._names))
            while True:
                opened = self._look(progress)
                progress.update(task, completed=len(self._ended), description=opened)
                if len(self._ended) == len(self._names):
                    return self._ended
                self._refuse_stall()
                time.sleep(POLL_S)

    def _look(self, progress: Progress) -> str:
        """Asks about the batch, and about its open jobs only where it has moved or something is held."""
        states = self._api.get(f"/batches/{self._batch_id}")["states"]
        ended = sum(count for state, count in states.items() if state in TERMINAL)
        if ended > len(self._ended) or states.get("held"):
            held = ""
            for job_id in self._names.keys() - self._ended.keys():
                job = self._api.job(job_id)
                if job["state"] in TERMINAL:
                    self._note_end(job, progress)
                elif job["state"] == "held":
                    held = why(job)
            self._note_hold(held)
        return ", ".join(f"{count} {state}" for state, count in sorted(states.items()) if count)

    def _note_end(self, job: dict[str, Any], progress: Progress) -> None:
        self._ended[job["id"]] = job
        self._moved_s = time.monotonic()
        line = f"{len(self._ended):3}/{len(self._names)}  {self._names[job['id']]}: {job['state']} after {took(job)}"
        reason = why(job)
        progress.console.print(f"{line}  {reason}".rstrip(), highlight=False, markup=False)

    def _note_hold(self, reason: str) -> None:
        """A hold that stays while nothing else moves is the demo's failure, with the hold's own reason."""
        if not reason:
            self._held_since_s = None
            return
        now = time.monotonic()
        self._held_since_s = self._held_since_s or now
        if now - max(self._held_since_s, self._moved_s) > HOLD_S:
            raise StackError(
                f"The jobs are on hold: {reason}.",
                "Look at the models.toml of this Headrace (docs/models.md). A hold for budget means that its default"
                " model costs money: name it with MODEL= and PRICE=, and the demo may spend.",
            )

    def _refuse_stall(self) -> None:
        if time.monotonic() - self._moved_s > STALL_S:
            raise StackError(
                f"No job has ended for {STALL_S:.0f} s; {len(self._ended)} of {len(self._names)} have.",
                "See headrace status and headrace logs.",
            )

    def cancel_open(self) -> None:
        """Nothing of a demo that failed is left to run, or to cost."""
        for job_id in self._names.keys() - self._ended.keys():
            self._api.post(f"/jobs/{job_id}/cancel")


def cards_of(api: Api, batch: dict[str, Any], packages: Sequence[Package], ended: dict[str, Any]) -> list[Card]:
    """In the order of the packages, each with its rows of the ledger."""
    return [
        Card(package, ended[job_id], api.attempts(job_id))
        for job_id, package in zip(batch["jobs"], packages, strict=True)
    ]


def search_for(api: Api, cards: Sequence[Card]) -> Found | None:
    """Looks for a keyword of one of the cards until that card is found. None: no card has one."""
    wanted = next((card for card in cards if card.succeeded and card.job["output"]["keywords"]), None)
    if wanted is None:
        return None
    query = str(wanted.job["output"]["keywords"][0]).replace("-", " ")
    began_s = time.monotonic()
    while True:
        answer = api.get("/search", {"q": query, "recipe": RECIPE, "limit": 5})
        waited_s = time.monotonic() - began_s
        if answer["total"] and _up_to_date(api, query, wanted, answer):
            return Found(query, answer["total"], answer["hits"], waited_s)
        if waited_s > SEARCH_S:
            raise StackError(
                f"The search for {query!r} does not find job {wanted.job['id']} after {SEARCH_S:.0f} s.",
                "See headrace logs persistence and headrace logs elasticsearch.",
            )
        time.sleep(POLL_S)


def _up_to_date(api: Api, query: str, wanted: Card, answer: dict[str, Any]) -> bool:
    """Whether the card is among the hits, of which older runs may have left many."""
    wanted_id = wanted.job["id"]
    if any(hit["job_id"] == wanted_id for hit in answer["hits"]):
        return True
    more = api.get("/search", {"q": f"{query} {wanted.job['output']['summary']}"[:500], "recipe": RECIPE, "limit": 50})
    return any(hit["job_id"] == wanted_id for hit in more["hits"])


async def first_record(session: Session, start: dict[int, int], job_ids: Sequence[str]) -> PublicRecord:
    """The first record of these jobs that a read_committed consumer sees after ``start``."""
    async with public_reader(session.kafka, outputs_topic(), from_beginning=False, start=start) as reader:
        deadline = time.monotonic() + RECORD_S
        while time.monotonic() < deadline:
            for record in await reader.fetch(timeout_s=POLL_S):
                if record.headers.get("ce_subject") in job_ids:
                    return record
    raise StackError(
        f"No record of these jobs came on {outputs_topic()} within {RECORD_S:.0f} s.",
        "See headrace logs persistence.",
    )


def read_first_record(session: Session, start: dict[int, int], job_ids: Sequence[str]) -> PublicRecord:
    return asyncio.run(first_record(session, start, job_ids))
