"""``python -m model_layer``: the composition root of the model stage."""

import asyncio
import os

from common.clock import monotonic_clock
from common.errors import ConfigurationError
from common.ids import uuid7
from common.process import serve
from common.settings import Settings
from model_layer.deployments import load_deployments
from model_layer.lease import Lease
from model_layer.metrics import ModelMetrics
from model_layer.providers import build_provider
from model_layer.stage import ModelStage
from persistence.compose import Parts, run_stage
from persistence.postgres.ledger import PostgresLedger

NAME = "model_layer"


async def main(settings: Settings, stop: asyncio.Event) -> None:
    """Run the stage until ``stop`` is set."""
    if settings.models_file is None:
        raise ConfigurationError("HEADRACE_MODELS_FILE is not set: name your models.toml (see docs/models.md)")
    catalogue = load_deployments(settings.models_file, os.environ)
    providers = {d.alias: build_provider(d, os.environ) for d in catalogue.deployments if d.unavailable is None}

    async def build(parts: Parts) -> ModelStage:
        ledger = PostgresLedger(
            parts.pool,
            worker=uuid7(),
            lease_s=settings.lease_s,
            shards=parts.shards,
            source=settings.installation,
        )
        lease = Lease(ledger, settings.lease_s, monotonic_clock)
        keeping = asyncio.create_task(lease.keep(), name="lease")
        parts.cleanup.callback(keeping.cancel)
        for provider in providers.values():
            parts.cleanup.push_async_callback(provider.close)
        return ModelStage(
            shelf=parts.shelf,
            catalogue=catalogue,
            providers=providers,
            ledger=ledger,
            lease=lease,
            metrics=ModelMetrics(parts.registry),
        )

    await run_stage(NAME, settings, stop, build, pool_size=settings.pool_size, window=settings.model_window)


if __name__ == "__main__":
    serve(NAME, main)
