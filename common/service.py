"""The parts every pipeline stage has alike: its producer, its runner, its health page."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

from prometheus_client import CollectorRegistry

from common.health import Health, HealthApp, serving
from common.kafka.producer import WorkProducer
from common.metrics import RunnerMetrics
from common.pipeline import STAGES
from common.ports import HealthProbe, Parking
from common.recipes.catalogue import RecipeCatalogue, load_catalogue, shipped_recipes
from common.runner import BatchStage, Runner, StreamStage
from common.settings import Settings
from common.telemetry import new_registry


class JoinedProbe:
    """Health: has the stage joined its consumer group, does Kafka answer it, and has no flood of poison paused it?"""

    name = "kafka"

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def check(self) -> None:
        """Raise InfrastructureError with what is missing."""
        await self._runner.check()


def load_recipes(settings: Settings) -> RecipeCatalogue:
    """Return the shipped recipes and those in the operator's folders. Raises RecipeError."""
    return load_catalogue([shipped_recipes(), *(Path(p) for p in settings.recipes_path.split(":") if p)])


def make_runner(
    name: str,
    stage: BatchStage | StreamStage,
    settings: Settings,
    producer: WorkProducer,
    parking: Parking,
    registry: CollectorRegistry,
    *,
    window: int = 1,
) -> Runner:
    """Return the runner of one stage of the pipeline table."""
    return Runner(
        STAGES[name],
        stage,
        bootstrap=settings.kafka_bootstrap,
        prefix=settings.installation,
        producer=producer,
        parking=parking,
        metrics=RunnerMetrics(registry, name),
        window=window,
        drain_s=settings.drain_s,
        reject_limit=settings.reject_limit,
    )


def make_producer(name: str, settings: Settings) -> WorkProducer:
    """Return the one producer of a process."""
    return WorkProducer(settings.kafka_bootstrap, settings.installation, client_id=f"{settings.installation}.{name}")


def make_registry(name: str) -> CollectorRegistry:
    """Return the metrics registry of a process."""
    return new_registry(name, version("headrace"))


@asynccontextmanager
async def health_page(
    name: str, settings: Settings, registry: CollectorRegistry, *needs: HealthProbe
) -> AsyncIterator[Health]:
    """Serve a stage's health page; on leaving, it says that the stage is draining."""
    health = Health(needed=needs)
    port = settings.health_port if settings.health_port is not None else STAGES[name].port
    async with serving(
        HealthApp(health, registry, metrics_public=settings.metrics_public), settings.host, port, drain_s=1.0
    ):
        try:
            yield health
        finally:
            health.draining = True
