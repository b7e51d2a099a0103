"""Starts ingestion: the composition root that binds the API to Postgres, Redis and Elasticsearch.

It listens at once and is live; it is ready when Postgres answers and every recipe version is published. SIGTERM:
not ready, long polls released, requests in flight answered within ``drain_s``, what was taken committed.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry

from common.errors import DatabaseUnavailable
from common.health import Health, HealthApp, serving
from common.kafka.greeting import GreetingProbe
from common.ports import HealthProbe, JobEndings
from common.process import serve
from common.recipes import RecipeCatalogue, load_catalogue, shipped_recipes
from common.redis import EndingsPublisher, PolledEndings, RedisEndings, RedisProbe
from common.search_port import Search
from common.settings import Settings
from common.telemetry import new_registry
from ingestion.app import Door, build_fastapi
from ingestion.group_commit import GroupCommit
from ingestion.httpmetrics import HttpMetrics
from ingestion.keys import KeyRing
from ingestion.longpoll import LongPolls
from ingestion.servicehealth import ServiceHealth
from ingestion.services import Opening, Services
from ingestion.submit import Limits, SubmitRoutes
from persistence.elastic import SearchProbe
from persistence.postgres.budgets import PostgresBudgets
from persistence.postgres.dead_letters import PostgresDeadLetters
from persistence.postgres.errors import PostgresErrors
from persistence.postgres.installation import wait_for_installation
from persistence.postgres.job_control import PostgresJobControl
from persistence.postgres.jobs import PostgresJobStore
from persistence.postgres.keys import PostgresKeyStore
from persistence.postgres.pool import Pool, PostgresProbe, wait_for_pool
from persistence.postgres.recipes import PostgresRecipes
from persistence.postgres.usage import PostgresUsage
from persistence.search import ElasticsearchSearch

NAME: Final = "ingestion"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Optional:
    """What may be away without anything being refused: endings and search, with the probes that tell."""

    endings: JobEndings
    announcer: EndingsPublisher | None
    search: Search | None
    probes: tuple[HealthProbe, ...]
    not_configured: tuple[str, ...]


class _Backend:
    """Everything behind the door that needs Postgres."""

    def __init__(
        self, settings: Settings, catalogue: RecipeCatalogue, optional: _Optional, registry: CollectorRegistry
    ) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._optional = optional
        self._registry = registry
        self._pool: Pool | None = None
        self._commit: GroupCommit | None = None
        self._polls: LongPolls | None = None

    async def open(self, health: Health, opening: Opening) -> None:
        """Wait for Postgres, publish the recipes, serve. Raises RecipeError where a version would change."""
        settings = self._settings
        url = settings.database_url.get_secret_value()
        pool = self._pool = await wait_for_pool(url, size=settings.pool_size, application=NAME)
        installation = await wait_for_installation(pool)
        await _publish(pool, self._catalogue)
        jobs = PostgresJobStore(pool, shards=installation.shards, source=settings.installation)
        keys = KeyRing(PostgresKeyStore(pool))
        commit = self._commit = GroupCommit(jobs, self._registry)
        polls = self._polls = LongPolls(jobs, self._optional.endings, self._registry)
        submit = SubmitRoutes(
            keys=keys,
            catalogue=self._catalogue,
            commit=commit,
            jobs=jobs,
            limits=Limits(settings.input_limit_bytes, settings.request_limit_bytes, settings.batch_limit_jobs),
            now=lambda: datetime.now(UTC),
        )
        opening.open(
            Services(
                keys,
                jobs,
                submit,
                polls,
                self._catalogue,
                self._optional.search,
                self._optional.announcer,
                PostgresDeadLetters(pool, shards=installation.shards, prefix=settings.installation),
                PostgresErrors(pool),
                PostgresBudgets(pool),
                PostgresUsage(pool),
                PostgresJobControl(pool, jobs, shards=installation.shards, source=settings.installation),
            )
        )
        health.need(PostgresProbe(pool))
        health.started = True
        _log.info("open", recipes=len(self._catalogue.list()))

    def release(self) -> None:
        """Let long polls go."""
        if self._polls is not None:
            self._polls.release()

    async def close(self) -> None:
        """Commit what was taken, then leave Postgres."""
        if self._commit is not None:
            await self._commit.close()
        if self._pool is not None:
            self._pool.terminate()


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until ``stop``. Raises ConfigurationError for what the operator has to mend."""
    catalogue = load_catalogue([shipped_recipes(), *(Path(p) for p in settings.recipes_path.split(":") if p)])
    registry = new_registry(NAME, version("headrace"))
    async with _optional(settings, registry) as optional:
        backend = _Backend(settings, catalogue, optional, registry)
        health = Health(wanted=optional.probes)
        health.started = False
        opening = Opening()
        door = _door(settings, registry, health, opening, optional)
        try:
            async with serving(door, settings.host, settings.port, drain_s=settings.drain_s) as port:
                _log.info("listening", host=settings.host, port=port)
                await _open_until(stop, backend.open(health, opening))
                health.draining = True
                backend.release()
        finally:
            await backend.close()


@asynccontextmanager
async def _optional(settings: Settings, registry: CollectorRegistry) -> AsyncIterator[_Optional]:
    probes: list[HealthProbe] = [GreetingProbe(settings.kafka_bootstrap)]
    endings: JobEndings = PolledEndings()
    announcer: EndingsPublisher | None = None
    search: Search | None = None
    async with AsyncExitStack() as cleanup:
        if settings.redis_url is not None:
            subscribed = RedisEndings(settings.redis_url, settings.installation, registry)
            cleanup.push_async_callback(_ended, asyncio.create_task(subscribed.run(), name="endings"))
            endings = subscribed
            announcer = EndingsPublisher(settings.redis_url, settings.installation, registry)
            cleanup.push_async_callback(announcer.close)
            probes.append(RedisProbe(settings.redis_url))
        if settings.elasticsearch_url is not None:
            search = ElasticsearchSearch(settings.elasticsearch_url, settings.installation)
            cleanup.push_async_callback(search.close)
            probe = SearchProbe(settings.elasticsearch_url)
            cleanup.push_async_callback(probe.close)
            probes.append(probe)
        there = {probe.name for probe in probes}
        absent = tuple(name for name in ("redis", "elasticsearch") if name not in there)
        yield _Optional(endings, announcer, search, tuple(probes), absent)


def _door(
    settings: Settings, registry: CollectorRegistry, health: Health, opening: Opening, optional: _Optional
) -> Door:
    metrics = HttpMetrics(registry)
    return Door(
        opening=opening,
        fastapi=build_fastapi(opening, metrics, version("headrace")),
        health_app=HealthApp(health, registry, metrics_public=settings.metrics_public),
        service_health=ServiceHealth(health, needed=frozenset({"postgres"}), not_configured=optional.not_configured),
        metrics=metrics,
    )


async def _open_until(stop: asyncio.Event, opening: Coroutine[None, None, None]) -> None:
    """Return when told to stop, whether open by then or not. Raises what keeps the backend from opening."""
    stopping = asyncio.create_task(stop.wait(), name="await-stop")
    opened = asyncio.create_task(opening, name="open-backend")
    try:
        await asyncio.wait({stopping, opened}, return_when=asyncio.FIRST_COMPLETED)
        if opened.done():
            await opened
        await stopping
    finally:
        await _ended(opened)
        await _ended(stopping)


async def _ended(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait({task})


async def _publish(pool: Pool, catalogue: RecipeCatalogue) -> None:
    """Publish every version, waiting while Postgres is away. Raises RecipeError where one would change."""
    recipes = PostgresRecipes(pool)
    delay_s = 0.1
    for recipe in catalogue.list():
        while True:
            try:
                await recipes.publish(recipe.name, recipe.version, recipe.content_hash, recipe.bundle())
                break
            except DatabaseUnavailable as trouble:
                _log.warning("recipes.wait", trouble=str(trouble))
                await asyncio.sleep(delay_s)
                delay_s = min(2.0, delay_s * 2)


def main() -> None:
    """Run the service."""
    serve(NAME, run)


if __name__ == "__main__":
    main()
