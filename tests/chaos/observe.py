"""Gathers the evidence of a run from the public surfaces (REST, topics) and the two logs (clients, model server)."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar

import aiohttp
import orjson

from tests.chaos.evidence import (
    Accepted,
    AttemptSeen,
    BudgetSeen,
    CallSeen,
    Cancelled,
    Evidence,
    FaultSeen,
    Interval,
    JobSeen,
    Paused,
    UsageSeen,
)
from tests.chaos.history import lines
from tests.chaos.load import client
from tests.chaos.system import System
from tests.chaos.topics import events_of, outputs_of, read_topic
from tests.chaos.workload import cost_nanos, is_steered, number_of

_READERS: Final = 8
_TRIES: Final = 30
_SAMPLE: Final = 200
_SEARCH_S: Final = 30.0
# A worker counts as dead for good a minute after its lease.
_SETTLED_S: Final = 100.0

T = TypeVar("T")


async def gather_evidence(system: System, faults: Sequence[FaultSeen], *, search: bool) -> Evidence:
    """Read everything. The run is over and has healed, or never will."""
    bootstrap = system.stack.endpoints.kafka_bootstrap
    told = clients_log(system.history / "clients.jsonl")
    accepted = told.accepted
    job_ids = sorted({one.job_id for one in accepted})
    async with client(system.api_key) as session:
        api = Api(session, system.api)
        jobs = await api.jobs(job_ids)
        attempts = await api.settled_attempts(job_ids)
        listed = await api.all_job_ids()
        sampled = frozenset([i for i in job_ids if i in jobs and jobs[i].state == "succeeded"][:_SAMPLE])
        markers = {one.job_id: one.marker for one in accepted}
        documents = await api.documents({i: markers[i] for i in sampled}) if search else None
        budgets, usage, letters = await api.budgets(), await api.usage(), await api.dead_letters()
    outputs = await asyncio.to_thread(read_topic, bootstrap, system.topic("outputs"))
    events = await asyncio.to_thread(read_topic, bootstrap, system.topic("events"))
    return Evidence(
        accepted=accepted,
        cancelled=told.cancelled,
        pauses=told.pauses,
        broke=told.broke,
        budgets=budgets,
        usage=usage,
        dead_letters=letters,
        jobs=jobs,
        attempts=attempts,
        outputs=outputs_of(outputs),
        events=events_of(events),
        calls=calls_log(system.calls_file),
        faults=faults,
        strangers=sorted(listed - set(job_ids)),
        documents=documents,
        sampled=sampled,
    )


@dataclass(slots=True)
class Told:
    """What clients were told."""

    accepted: list[Accepted] = field(default_factory=list)
    cancelled: list[Cancelled] = field(default_factory=list)
    pauses: list[Paused] = field(default_factory=list)
    broke: list[Interval] = field(default_factory=list)


def clients_log(path: Path) -> Told:
    """Read the clients' log."""
    told = Told()
    paused: dict[str, float] = {}
    for line in lines(path):
        match line["what"]:
            case "accepted":
                told.accepted.append(Accepted(line["marker"], line["job_id"], line["at"], line["deadline"]))
            case "cancel" if line["status"] == 200:
                told.cancelled.append(Cancelled(line["job_id"], line["at"]))
            case "pause" if line["status"] == 200:
                paused[line["job_id"]] = line["at"]
            case "resuming" if line["job_id"] in paused:
                told.pauses.append(Paused(line["job_id"], paused[line["job_id"]], line["at"]))
            case "budget_filling":
                told.broke.append(Interval(line["since"], line["at"]))
            case "resuming_many":
                steered = {
                    one.job_id for one in told.accepted if one.at < line["asked"] and is_steered(number_of(one.marker))
                }
                told.pauses += [Paused(job_id, line["since"], line["at"]) for job_id in sorted(steered)]
    return told


def calls_log(path: Path) -> list[CallSeen]:
    """Read what the model server did."""
    whole: set[str] = set()
    begun: list[dict[str, Any]] = []
    for line in lines(path):
        if "whole" in line:
            whole.add(line["whole"])
        else:
            begun.append(line)
    return [
        CallSeen(
            call_id=line["call"],
            marker=line["marker"],
            number=line["number"],
            at=line["at"],
            fault=line["fault"],
            whole=line["call"] in whole,
            cost_nanos=cost_nanos(line["input_tokens"], line["output_tokens"]),
            output=line["output"],
        )
        for line in begun
    ]


class Api:
    """The public REST surface, read with patience."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session = session
        self._base = base

    async def jobs(self, job_ids: Sequence[str]) -> dict[str, JobSeen]:
        """Return the jobs that the API knows."""
        bodies = await _each(job_ids, lambda job_id: self.get(f"/jobs/{job_id}"))
        return {job_id: job_of(body) for job_id, body in bodies.items() if body is not None}

    async def attempts(self, job_ids: Sequence[str]) -> dict[str, list[AttemptSeen]]:
        """Return the ledger of each job."""
        bodies = await _each(job_ids, lambda job_id: self.get(f"/jobs/{job_id}/attempts"))
        return {
            job_id: [attempt_of(job_id, row) for row in body["attempts"]]
            for job_id, body in bodies.items()
            if body is not None
        }

    async def settled_attempts(self, job_ids: Sequence[str]) -> dict[str, list[AttemptSeen]]:
        """Return the ledger of each job, once what dead workers left in it is charged, or time is up."""
        found = await self.attempts(job_ids)
        deadline = asyncio.get_running_loop().time() + _SETTLED_S
        while asyncio.get_running_loop().time() < deadline:
            unsettled = [job_id for job_id, rows in found.items() if any(row.state == "reserved" for row in rows)]
            if not unsettled:
                break
            await asyncio.sleep(1.0)
            found |= await self.attempts(unsettled)
        return found

    async def all_job_ids(self) -> set[str]:
        """Return the id of every job that the API lists."""
        found: set[str] = set()
        cursor: str | None = None
        while True:
            after = f"&cursor={cursor}" if cursor else ""
            page = await self.get(f"/jobs?limit=200{after}") or {"jobs": [], "next_cursor": None}
            found.update(job["id"] for job in page["jobs"])
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    async def budgets(self) -> list[BudgetSeen]:
        """Return every budget and how it stands; those of single jobs are shown only when asked for."""
        return [*await self._budgets(""), *await self._budgets("&scope=job")]

    async def _budgets(self, wanted: str) -> list[BudgetSeen]:
        found: list[BudgetSeen] = []
        after = 0
        while True:
            page = await self.get(f"/budgets?limit=200&after={after}{wanted}")
            assert page is not None
            found += [
                BudgetSeen(b["scope"], b["key"], _nanos(b["settled_usd"]) or 0, _nanos(b["reserved_usd"]) or 0)
                for b in page["budgets"]
            ]
            if page["next_after"] is None:
                return found
            after = page["next_after"]

    async def usage(self) -> UsageSeen:
        """Return what was used since yesterday, in all."""
        today = datetime.now(UTC).date()
        told = await self.get(f"/usage?from={today - timedelta(days=1)}&to={today}")
        assert told is not None
        rows = told["usage"]
        return UsageSeen(
            attempts=sum(row["attempts"] for row in rows),
            rebought=sum(row["rebought"] for row in rows),
            cost_nanos=sum(_nanos(row["cost_usd"]) or 0 for row in rows),
        )

    async def dead_letters(self) -> list[str]:
        """Return what was set aside and not dealt with, in short."""
        page = await self.get("/dead-letters")
        return [f"{letter['stage']}: {letter['reason']}" for letter in (page or {"dead_letters": []})["dead_letters"]]

    async def documents(self, marker_of: Mapping[str, str]) -> dict[str, Any]:
        """Return the search document of each job that search finds by its marker, waiting for the last ones."""
        found: dict[str, Any] = {}
        deadline = asyncio.get_running_loop().time() + _SEARCH_S
        while True:
            missing = sorted(set(marker_of) - set(found))
            bodies = await _each(missing, lambda job_id: self.get(f"/search?q={marker_of[job_id]}&limit=50"))
            for job_id, body in bodies.items():
                found |= {
                    hit["job_id"]: hit["output"] for hit in (body or {"hits": []})["hits"] if hit["job_id"] == job_id
                }
            if len(found) == len(marker_of) or asyncio.get_running_loop().time() > deadline:
                return found
            await asyncio.sleep(1.0)

    async def get(self, path: str) -> dict[str, Any] | None:
        """GET until it is answered; None where there is no such thing."""
        for _ in range(_TRIES):
            try:
                async with self._session.get(self._base + path) as response:
                    if response.status == 200:
                        body: dict[str, Any] = orjson.loads(await response.read())
                        return body
                    if response.status == 404:
                        return None
            except (aiohttp.ClientError, TimeoutError, OSError):
                pass
            await asyncio.sleep(0.5)
        raise TimeoutError(f"GET {path} was not answered")


async def _each(keys: Iterable[str], ask: Callable[[str], Awaitable[T]]) -> dict[str, T]:
    gate = asyncio.Semaphore(_READERS)

    async def one(key: str) -> tuple[str, T]:
        async with gate:
            return key, await ask(key)

    return dict(await asyncio.gather(*(one(key) for key in keys)))


def job_of(body: Mapping[str, Any]) -> JobSeen:
    """Read a job as the API shows it."""
    return JobSeen(
        job_id=body["id"],
        state=body["state"],
        output=body["output"],
        revision=body["revision"],
        cost_nanos=_nanos(body["cost_usd"]) or 0,
        hold_reason=body["hold_reason"],
        failure_code=(body["failure"] or {}).get("code"),
        finished_at=_time(body["finished_at"]),
    )


def attempt_of(job_id: str, row: Mapping[str, Any]) -> AttemptSeen:
    """Read a row of the ledger as the API shows it."""
    return AttemptSeen(
        job_id=job_id,
        attempt=row["attempt"],
        state=row["state"],
        started_at=_time(row["started_at"]) or 0.0,
        ended_at=_time(row["ended_at"]),
        reserved_nanos=_nanos(row["reserved_usd"]) or 0,
        cost_nanos=_nanos(row["cost_usd"]),
        request_id=row["request_id"],
        error_code=row["error_code"],
    )


def _time(written: str | None) -> float | None:
    return None if written is None else datetime.fromisoformat(written).timestamp()


def _nanos(usd: str | None) -> int | None:
    return None if usd is None else int(Decimal(usd) * 1_000_000_000)
