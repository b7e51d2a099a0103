"""The whole API over a real socket, with our ports in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from prometheus_client import CollectorRegistry

from common.health import Health, HealthApp, serving
from common.redis import PolledEndings
from ingestion.app import Door, build_fastapi
from ingestion.group_commit import GroupCommit
from ingestion.httpmetrics import HttpMetrics
from ingestion.keys import KeyRing
from ingestion.longpoll import LongPolls
from ingestion.servicehealth import ServiceHealth
from ingestion.services import Opening, Services
from ingestion.submit import Limits, SubmitRoutes
from tests.unit.ingestion.columns import Columns
from tests.unit.ingestion.doubles import NOW, SECRET, MemoryJobs, MemoryKeys, MemorySearch, catalogue

LIMITS = Limits(input_bytes=4096, request_bytes=256 * 1024, batch_jobs=20)


@dataclass
class Api:
    """A running API, a client that has a key, and the doubles behind it."""

    port: int
    client: aiohttp.ClientSession
    jobs: MemoryJobs
    keys: MemoryKeys
    search: MemorySearch
    health: Health
    polls: LongPolls
    registry: CollectorRegistry

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def forget(self) -> None:
        """Empty the doubles and mend what was broken in them."""
        fresh = MemoryJobs(), MemorySearch()
        vars(self.jobs).update(vars(fresh[0]))
        vars(self.search).update(vars(fresh[1]))
        self.health.draining = False


@asynccontextmanager
async def running_api(*, limits: Limits = LIMITS, opened: bool = True) -> AsyncIterator[Api]:
    """Run the API until left."""
    registry = CollectorRegistry()
    jobs, keys, search = MemoryJobs(), MemoryKeys(), MemorySearch()
    recipes = catalogue()
    polls = LongPolls(jobs, PolledEndings(), registry)
    ring = KeyRing(keys)
    submit = SubmitRoutes(
        keys=ring,
        catalogue=recipes,
        commit=GroupCommit(jobs, registry),
        jobs=jobs,
        limits=limits,
        now=lambda: NOW,
    )
    opening = Opening()
    if opened:
        columns = Columns()
        opening.open(
            Services(ring, jobs, submit, polls, recipes, search, None, columns, columns, columns, columns, columns)
        )
    health = Health()
    metrics = HttpMetrics(registry)
    door = Door(
        opening=opening,
        fastapi=build_fastapi(opening, metrics, "0.0.0"),
        health_app=HealthApp(health, registry),
        service_health=ServiceHealth(health, needed=frozenset()),
        metrics=metrics,
    )
    headers = {"authorization": f"Bearer {SECRET}"}
    async with serving(door, "127.0.0.1", 0) as port, aiohttp.ClientSession(headers=headers) as client:
        try:
            yield Api(port, client, jobs, keys, search, health, polls, registry)
        finally:
            polls.release()
