"""The composition of the persistence service: writer, relay and indexer, in one process or each in its own."""

import asyncio
from collections.abc import Awaitable, Callable, Collection

import structlog

from common.errors import BrokerUnavailable
from common.kafka.admin import create_topics
from common.ports import HealthProbe
from common.redis import EndingsPublisher
from common.process import run_together
from common.service import JoinedProbe, health_page, make_producer, make_registry, make_runner
from common.settings import Settings
from persistence.indexer import Indexer, SearchProbe
from persistence.postgres.installation import wait_for_installation
from persistence.postgres.parking import PostgresParking
from persistence.postgres.pool import PostgresProbe, wait_for_pool
from persistence.relay.relay import Relay
from persistence.writer import Writer

log = structlog.get_logger(__name__)

NAME = "persistence"
PARTS = ("writer", "relay", "indexer")


def service(parts: Collection[str]) -> Callable[[Settings, asyncio.Event], Awaitable[None]]:
    """Return the main function that runs these parts."""

    async def main(settings: Settings, stop: asyncio.Event) -> None:
        await _run(settings, stop, parts)

    return main


async def wait_for_topics(settings: Settings, shards: int) -> None:
    """Create the topics of the pipeline, waiting with back-off for as long as Kafka is away."""
    delay_s = 0.1
    while True:
        try:
            created = await create_topics(settings.kafka_bootstrap, settings.installation, shards=shards)
        except BrokerUnavailable as trouble:
            log.warning("topics wait", trouble=str(trouble))
            await asyncio.sleep(delay_s)
            delay_s = min(2.0, delay_s * 2)
        else:
            if created:
                log.info("topics created", count=len(created))
            return


async def _run(settings: Settings, stop: asyncio.Event, parts: Collection[str]) -> None:
    registry = make_registry(NAME)
    url = settings.database_url.get_secret_value()
    pool = await wait_for_pool(url, size=settings.pool_size, application=NAME)
    installation = await wait_for_installation(pool)
    producer = make_producer(NAME, settings)
    parking = PostgresParking(pool, shards=installation.shards, source=settings.installation)
    endings = EndingsPublisher(settings.redis_url, settings.installation, registry) if settings.redis_url else None
    needs: list[HealthProbe] = [PostgresProbe(pool)]
    work: list[Awaitable[None]] = []
    if "writer" in parts:
        writer = Writer(pool, endings, source=settings.installation, shards=installation.shards)
        runner = make_runner("persistence", writer, settings, producer, parking, registry)
        needs.append(JoinedProbe(runner))
        work.append(runner.run(stop))
    if "relay" in parts:
        relay = Relay(settings, pool, installation, registry)
        work.append(relay.run(stop))
    indexer = None
    if "indexer" in parts and settings.elasticsearch_url is not None:
        indexer = Indexer(settings.elasticsearch_url, settings.installation)
        work.append(make_runner("indexer", indexer, settings, producer, parking, registry).run(stop))
    try:
        async with health_page(NAME, settings, registry, *needs):
            await wait_for_topics(settings, installation.shards)
            await run_together(stop, *work)
    finally:
        await producer.close()
        if endings is not None:
            await endings.close()
        if indexer is not None:
            await indexer.close()
        pool.terminate()
