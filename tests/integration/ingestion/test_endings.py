"""Endings over a real Valkey: told to who waits, survived when it goes and comes back."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from common.errors import CacheUnavailable
from common.ids import uuid7
from common.redis import EndingsPublisher, RedisEndings, RedisProbe
from headrace.local.stack import Stack

pytestmark = pytest.mark.stack


@pytest.fixture
async def valkey() -> AsyncIterator[Stack]:
    """A Valkey that may be killed."""
    folder = Path(tempfile.mkdtemp(prefix="headrace test "))
    try:
        async with Stack(folder, ["valkey"], free_ports=True) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def subscribed(url: SecretStr, registry: CollectorRegistry) -> AsyncIterator[RedisEndings]:
    endings = RedisEndings(url, "test", registry)
    running = asyncio.create_task(endings.run())
    try:
        await until(registry, subscribed=1)
        yield endings
    finally:
        running.cancel()
        await asyncio.wait({running})


async def until(registry: CollectorRegistry, *, subscribed: int) -> None:
    async with asyncio.timeout(30):
        while registry.get_sample_value("headrace_endings_subscribed") != subscribed:
            await asyncio.sleep(0.01)


async def test_who_waits_is_told_and_others_are_not(valkey: Stack) -> None:
    url = SecretStr(valkey.endpoints.redis_url)
    registry = CollectorRegistry()
    job_ids = [uuid7() for _ in range(2500)]
    async with subscribed(url, registry) as endings:
        publisher = EndingsPublisher(url, "test", registry)
        waiting = [asyncio.create_task(endings.wait(job_id, 30)) for job_id in job_ids for _ in range(2)]
        other = asyncio.create_task(endings.wait(uuid7(), 0.5))
        await asyncio.sleep(0)

        await publisher.publish(job_ids)

        assert all(await asyncio.gather(*waiting))
        assert await other is False
        await publisher.close()


async def test_a_valkey_that_goes_wakes_who_waits_and_is_found_again(valkey: Stack) -> None:
    url = SecretStr(valkey.endpoints.redis_url)
    registry = CollectorRegistry()
    async with subscribed(url, registry) as endings:
        publisher = EndingsPublisher(url, "test", registry)
        job_id = uuid7()
        waiting = asyncio.create_task(endings.wait(job_id, 60))
        await asyncio.sleep(0)

        await valkey.kill_server("valkey")
        assert await waiting is False
        await publisher.publish([job_id, uuid7()])
        assert registry.get_sample_value("headrace_endings_lost_total") == 2
        with pytest.raises(CacheUnavailable):
            await RedisProbe(url).check()

        await valkey.start_server("valkey")
        await until(registry, subscribed=1)
        await RedisProbe(url).check()
        again = asyncio.create_task(endings.wait(job_id, 60))
        while not again.done():
            # Publishing stays silent for a second after a failure.
            await publisher.publish([job_id])
            await asyncio.sleep(0.05)
        await publisher.close()


async def test_a_hung_valkey_is_noticed(valkey: Stack) -> None:
    url = SecretStr(valkey.endpoints.redis_url)
    registry = CollectorRegistry()
    async with subscribed(url, registry):
        valkey.pause_server("valkey")
        try:
            await until(registry, subscribed=0)
            await EndingsPublisher(url, "test", CollectorRegistry()).publish([uuid7()])
        finally:
            valkey.resume_server("valkey")
        await until(registry, subscribed=1)
