"""``python -m model_layer``: the composition root of the model stage."""

import asyncio
import os

from common.clock import monotonic_clock
from common.errors import ConfigurationError
from common.ids import uuid7
from common.process import run_together, serve
from common.recipes.shelf import RecipeShelf
from common.service import JoinedProbe, health_page, load_recipes, make_producer, make_registry, make_runner
from common.settings import Settings
from model_layer.deployments import load_deployments
from model_layer.lease import Lease
from model_layer.providers import build_provider
from model_layer.stage import ModelStage
from persistence.postgres.installation import wait_for_installation
from persistence.postgres.ledger import PostgresLedger
from persistence.postgres.parking import PostgresParking
from persistence.postgres.pool import PostgresProbe, wait_for_pool
from persistence.postgres.recipes import PostgresRecipes

NAME = "model_layer"


async def main(settings: Settings, stop: asyncio.Event) -> None:
    """Run the stage until ``stop`` is set."""
    if settings.models_file is None:
        raise ConfigurationError(
            "HEADRACE_MODELS_FILE is not set: name your models.toml (see docs/models.md)"
        )
    catalogue = load_deployments(settings.models_file, os.environ)
    providers = {
        d.alias: build_provider(d, os.environ) for d in catalogue.deployments if d.unavailable is None
    }
    recipes = load_recipes(settings)
    registry = make_registry(NAME)
    pool = await wait_for_pool(
        settings.database_url.get_secret_value(), size=settings.pool_size, application=NAME
    )
    shards = (await wait_for_installation(pool)).shards
    ledger = PostgresLedger(
        pool, worker=uuid7(), lease_s=settings.lease_s, shards=shards, source=settings.installation
    )
    lease = Lease(ledger, settings.lease_s, monotonic_clock)
    stage = ModelStage(
        shelf=RecipeShelf(recipes, PostgresRecipes(pool)),
        catalogue=catalogue,
        providers=providers,
        ledger=ledger,
        lease=lease,
    )
    producer = make_producer(NAME, settings)
    parking = PostgresParking(pool, shards=shards, source=settings.installation)
    runner = make_runner(NAME, stage, settings, producer, parking, registry, window=settings.model_window)
    keeping = asyncio.create_task(lease.keep(), name="lease")
    try:
        async with health_page(NAME, settings, registry, PostgresProbe(pool), JoinedProbe(runner)):
            await run_together(stop, runner.run(stop))
    finally:
        keeping.cancel()
        await producer.close()
        for provider in providers.values():
            await provider.close()
        pool.terminate()


if __name__ == "__main__":
    serve(NAME, main)
