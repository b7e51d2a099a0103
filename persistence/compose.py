"""What composition roots bind alike: a stage over its Postgres parts, its producer, runner and health page.

The health page is up before anything is waited for, and a stop while waiting ends the wait.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from common.process import run_together, unless_stopped
from common.recipes.shelf import RecipeShelf
from common.runner import BatchStage, StreamStage
from common.service import JoinedProbe, health_page, load_recipes, make_producer, make_registry, make_runner
from common.settings import Settings
from persistence.postgres.installation import wait_for_installation
from persistence.postgres.parking import PostgresParking
from persistence.postgres.pool import Pool, PostgresProbe, wait_for_pool
from persistence.postgres.recipes import PostgresRecipes


@dataclass(frozen=True, slots=True)
class Parts:
    """What a stage may be built from."""

    settings: Settings
    pool: Pool
    shards: int
    shelf: RecipeShelf
    parking: PostgresParking
    cleanup: AsyncExitStack
    registry: CollectorRegistry


Build = Callable[[Parts], Awaitable[BatchStage | StreamStage]]


async def run_stage(
    name: str,
    settings: Settings,
    stop: asyncio.Event,
    build: Build,
    *,
    pool_size: int = 2,
    window: int = 1,
) -> None:
    """Run one stage of the pipeline table until ``stop`` is set. Raises ConfigurationError at start."""
    recipes = load_recipes(settings)
    registry = make_registry(name)
    url = settings.database_url.get_secret_value()
    async with health_page(name, settings, registry) as health, AsyncExitStack() as cleanup:
        health.started = False
        pool = await unless_stopped(stop, wait_for_pool(url, size=pool_size, application=name))
        cleanup.callback(pool.terminate)
        shards = (await unless_stopped(stop, wait_for_installation(pool))).shards
        parking = PostgresParking(pool, shards=shards, source=settings.installation)
        shelf = RecipeShelf(recipes, PostgresRecipes(pool))
        stage = await build(Parts(settings, pool, shards, shelf, parking, cleanup, registry))
        producer = make_producer(name, settings)
        cleanup.push_async_callback(producer.close)
        runner = make_runner(name, stage, settings, producer, parking, registry, window=window)
        health.need(PostgresProbe(pool), JoinedProbe(runner))
        health.started = True
        await run_together(stop, runner.run(stop))
