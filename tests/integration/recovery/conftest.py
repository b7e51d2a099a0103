"""One whole system of processes over its own servers, and clients that submit to it."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from headrace.local.server import get_json_status
from tests.chaos.history import Journal
from tests.chaos.load import Load
from tests.chaos.system import System, running_system
from tests.chaos.topics import Tail
from tests.chaos.workload import RECIPES_FOLDER

SEED = 404


@dataclass(frozen=True)
class Pipeline:
    """A running system, its clients, and what readers of the public topics have seen."""

    system: System
    load: Load
    tail: Tail


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def pipeline() -> AsyncIterator[Pipeline]:
    history = Path(tempfile.mkdtemp(prefix="headrace-recovery-"))
    settings = {
        "HEADRACE_DRAIN_S": "3",
        "HEADRACE_LOST_AFTER_S": "5",
        "HEADRACE_RECIPES_PATH": f"{RECIPES_FOLDER}:{Path(__file__).with_name('recipes')}",
    }
    try:
        async with running_system(history, seed=SEED, fault_share=0, elasticsearch=False, settings=settings) as system:
            tail = Tail(system.stack.endpoints.kafka_bootstrap, system.topic("outputs"), system.topic("events"))
            journal = Journal(history / "clients.jsonl")
            try:
                yield Pipeline(
                    system, Load(system.api, system.api_key, SEED, journal, 0.0, some_with_deadlines=False), tail
                )
            finally:
                tail.close()
                journal.close()
    finally:
        shutil.rmtree(history, ignore_errors=True)


async def until(condition: Callable[[], Awaitable[bool]], bound_s: float = 60) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(bound_s):
        while not await condition():
            await asyncio.sleep(0.2)


async def ready_reason(pipeline: Pipeline, stage: str) -> str:
    """Why a stage says that it is not ready; empty when it is."""
    status, body = await get_json_status(pipeline.system.fleet.instance(stage).port, "/health/ready")
    return "" if status == 200 else str(json.loads(body)["reason"])


async def servers_down(pipeline: Pipeline) -> set[str]:
    """The servers that the API's health says are down."""
    _, body = await get_json_status(pipeline.system.fleet.instance("ingestion").port, "/api/v1/health")
    return {name for name, server in json.loads(body)["dependencies"].items() if server["state"] == "down"}


@pytest.fixture
async def database(pipeline: Pipeline) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(pipeline.system.stack.endpoints.database_url)
    yield connection
    await connection.close()
