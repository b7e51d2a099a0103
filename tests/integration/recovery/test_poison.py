"""Poison in a work topic: its neighbours proceed, a flood pauses the stage and says so, operators let it go on."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiokafka import AIOKafkaProducer

from common.ids import uuid7
from tests.chaos.healing import healed
from tests.integration.recovery.conftest import Pipeline, ready_reason, until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

STAGE = "output_validation"
FLOOD = 600
ENDS_WITHIN_S = 60


@pytest.fixture
async def api(pipeline: Pipeline) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"authorization": f"Bearer {pipeline.system.api_key}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        yield session


async def poison(pipeline: Pipeline, count: int) -> None:
    async with AIOKafkaProducer(bootstrap_servers=pipeline.system.stack.endpoints.kafka_bootstrap) as producer:
        topic = pipeline.system.topic("completions")
        sends = [await producer.send(topic, b"no message", str(uuid7()).encode()) for _ in range(count)]
        await asyncio.gather(*sends)


async def open_letters(pipeline: Pipeline, api: aiohttp.ClientSession) -> list[dict[str, Any]]:
    async with api.get(f"{pipeline.system.api}/dead-letters", params={"stage": STAGE, "limit": 200}) as answer:
        assert answer.status == 200, await answer.text()
        found: list[dict[str, Any]] = (await answer.json())["dead_letters"]
        return found


async def test_p6_poison_is_set_aside_and_a_flood_pauses_the_stage_until_it_is_dealt_with(
    pipeline: Pipeline, api: aiohttp.ClientSession
) -> None:
    await poison(pipeline, 3)
    jobs = await pipeline.load.submit(10, over_s=1)
    assert await healed(pipeline.tail, dict.fromkeys(jobs, ""), ENDS_WITHIN_S) is not None
    letters = await open_letters(pipeline, api)
    assert [letter["exception"] for letter in letters] == ["UndecodableMessage"] * 3

    await poison(pipeline, FLOOD)
    await until(lambda: _says(pipeline, "paused"))
    waiting = await pipeline.load.submit(5, over_s=1)
    assert not set(waiting) & set(pipeline.tail.ended)

    async def dealt_with() -> bool:
        while found := await open_letters(pipeline, api):
            for letter in found:
                async with api.post(f"{pipeline.system.api}/dead-letters/{letter['id']}/discard") as answer:
                    assert answer.status == 200, await answer.text()
        return set(waiting) <= set(pipeline.tail.ended)

    await until(dealt_with)
    assert await ready_reason(pipeline, STAGE) == ""
    async with api.get(f"{pipeline.system.api}/errors", params={"stage": STAGE}) as answer:
        assert any(error["kind"] == "UndecodableMessage" for error in (await answer.json())["errors"])


async def _says(pipeline: Pipeline, word: str) -> bool:
    return word in await ready_reason(pipeline, STAGE)
