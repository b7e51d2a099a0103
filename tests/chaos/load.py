"""Clients of a run: they submit with a key, repeat as a real client would until they are answered, cancel and
pause some.

A 202 is written to the journal the moment it is read. The same key is repeated after a 503, a broken connection or
no answer in time, so whatever was accepted is known by the end.
"""

import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
import orjson

from tests.chaos.history import Journal
from tests.chaos.workload import batch_of, is_steered, job_body, marker, patience_s

CLIENTS = 16
REQUEST_TIMEOUT_S = 8.0
CANCEL_SHARE = 0.08
PAUSE_SHARE = 0.05
TWIN_SHARE = 0.05
_LONGEST_WAIT_S = 2.0


class RefusedError(Exception):
    """The API answered with what no repeating changes."""


@dataclass
class Load:
    """Submits numbered jobs at a steady rate; several calls of ``submit`` may follow one another."""

    api: str
    api_key: str
    seed: int
    journal: Journal
    cancel_share: float = CANCEL_SHARE
    some_with_deadlines: bool = True
    accepted: dict[str, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    posts: int = 0
    _deadlines: dict[int, float] = field(default_factory=dict)
    _next: int = 0

    async def submit(self, jobs: int, *, over_s: float) -> list[str]:
        """Submit this many, evenly over a time; return their ids once each has its 202."""
        first, self._next = self._next, self._next + jobs
        gate = asyncio.Semaphore(CLIENTS)
        async with client(self.api_key) as session, asyncio.TaskGroup() as group:
            tasks = []
            for place in range(jobs):
                tasks.append(group.create_task(self._one(session, gate, first + place)))
                await asyncio.sleep(over_s / jobs)
        return [job_id for task in tasks if (job_id := task.result()) is not None]

    async def _one(self, session: aiohttp.ClientSession, gate: asyncio.Semaphore, number: int) -> str | None:
        chance = random.Random(f"client {self.seed} {number}")
        async with gate:
            try:
                twins = 2 if chance.random() < TWIN_SHARE else 1
                ids = await asyncio.gather(*(self._post(session, number, chance) for _ in range(twins)))
            except RefusedError as refusal:
                self.refused.append(f"{marker(number)}: {refusal}")
                return None
        if chance.random() < self.cancel_share:
            await asyncio.sleep(chance.choice((0.0, 0.02, 0.1, 0.5, 2.0)))
            await self._steer(session, ids[0], "cancel", chance)
        elif not is_steered(number) and chance.random() < PAUSE_SHARE:
            await self._steer(session, ids[0], "pause", chance)
            await asyncio.sleep(chance.choice((0.0, 0.5, 3.0)))
            self.journal.note("resuming", job_id=ids[0])
            await self._steer(session, ids[0], "resume", chance)
        return ids[0]

    async def cancel_newest(self, jobs: int) -> None:
        """Cancel the newest jobs."""
        chance = random.Random(f"cancel {self.seed} {len(self.accepted)}")
        async with client(self.api_key) as session:
            newest = list(self.accepted)[-jobs:]
            await asyncio.gather(*(self._steer(session, job_id, "cancel", chance) for job_id in newest))

    async def _post(self, session: aiohttp.ClientSession, number: int, chance: random.Random) -> str:
        """Submit a job, or a batch of which it is the first; return its id."""
        headers = {"idempotency-key": f"chaos-{self.seed}-{number}", "content-type": "application/json"}
        together = batch_of(self.seed, number)
        deadline = self._deadline(number) if len(together) == 1 else None
        written = None if deadline is None else datetime.fromtimestamp(deadline, UTC).isoformat()
        bodies = [job_body(self.seed, each, written) for each in together]
        path, body = ("/jobs", bodies[0]) if len(bodies) == 1 else ("/batches", b"[" + b",".join(bodies) + b"]")
        answered = await until_answered(session, "POST", self.api + path, body, headers, chance, {202})
        self.posts += answered.asked
        if answered.status != 202:
            raise RefusedError(f"{answered.status} {answered.body.get('code')}")
        ids = [str(job_id) for job_id in answered.body.get("jobs", [answered.body["id"]])]
        for job_id, each in zip(ids, together, strict=True):
            self.journal.note("accepted", marker=marker(each), job_id=job_id, deadline=deadline)
            self.accepted.setdefault(job_id, marker(each))
        return ids[0]

    def _deadline(self, number: int) -> float | None:
        """The same for every repetition: another body under the key would be another job."""
        patience = patience_s(self.seed, number) if self.some_with_deadlines else None
        return None if patience is None else self._deadlines.setdefault(number, time.time() + patience)

    async def _steer(self, session: aiohttp.ClientSession, job_id: str, how: str, chance: random.Random) -> None:
        # 409: it has ended already, perhaps by the first of several tries, whose answer was lost.
        url = f"{self.api}/jobs/{job_id}/{how}"
        answered = await until_answered(session, "POST", url, b"", {}, chance, {200, 409})
        self.posts += answered.asked
        if answered.status not in {200, 409}:
            self.refused.append(f"{how} of {job_id}: {answered.status} {answered.body.get('code')}")
        self.journal.note(how, job_id=job_id, status=answered.status)


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer of the API for good, and how often it had to be asked."""

    status: int
    body: dict[str, Any]
    asked: int


async def until_answered(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    chance: random.Random,
    wanted: set[int],
) -> Answered:
    """Ask until the API answers for good: what is wanted, or a refusal that repeating does not change."""
    wait_s = 0.05
    asked = 0
    while True:
        asked += 1
        try:
            async with session.request(method, url, data=body, headers=headers) as response:
                answer = orjson.loads(await response.read())
                if response.status in wanted or response.status not in {429, 503}:
                    return Answered(response.status, answer, asked)
        except (aiohttp.ClientError, TimeoutError, OSError, orjson.JSONDecodeError):
            pass
        await asyncio.sleep(wait_s * chance.uniform(0.5, 1.5))
        wait_s = min(_LONGEST_WAIT_S, wait_s * 2)


def client(api_key: str) -> aiohttp.ClientSession:
    """Return a session that authenticates and gives up on a silent server."""
    return aiohttp.ClientSession(
        headers={"authorization": f"Bearer {api_key}"},
        timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S, sock_connect=2.0),
    )
