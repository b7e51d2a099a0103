"""``python -m ingestion`` as a process of its own, on a new database of the shared Postgres."""

import asyncio
import json
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest

from headrace.local.stack import Endpoints
from persistence.postgres.keys import PostgresKeyStore
from persistence.postgres.pool import Pool
from tests.integration.persistence.conftest import database_url, pool

__all__ = ["database_url", "pool"]

TICKET = {"subject": "Charged twice", "body": "Please refund one of them."}
JOB = {"recipe": "ticket-triage", "input": TICKET}
_CLOSED_PORT = "127.0.0.1:1"


@dataclass
class Ingestion:
    """A running process and a client that has a key of the tenant ``acme``."""

    process: asyncio.subprocess.Process
    port: int
    client: aiohttp.ClientSession
    lines: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def until_ready(self, status: int = 200) -> None:
        """Ask until it is ready, or answers ``status``."""
        async with asyncio.timeout(30):
            while True:
                async with self.client.get(self.url + "/health/ready") as response:
                    if response.status == status:
                        return
                await asyncio.sleep(0.02)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)

    async def stop(self) -> int:
        if self.process.returncode is None:
            self.process.terminate()
        return await self.process.wait()


Start = Callable[..., AbstractAsyncContextManager[Ingestion]]


def environment(database_url: str, **settings: str) -> dict[str, str]:
    """A service's environment: what is not given is nowhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    defaults = {"database_url": database_url, "kafka_bootstrap": _CLOSED_PORT, "port": "0"}
    given = {f"HEADRACE_{name.upper()}": value for name, value in {**defaults, **settings}.items()}
    return {**kept, **given}


@asynccontextmanager
async def started(env: dict[str, str], key: str) -> AsyncIterator[Ingestion]:
    """Run the service until left."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ingestion", env=env, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    lines: list[str] = []
    reading = None
    try:
        port = 0
        async with asyncio.timeout(30):
            while not port:
                line = (await process.stderr.readline()).decode()
                assert line, f"ingestion ended: {lines}"
                lines.append(line)
                told = json.loads(line)
                port = told["port"] if told["event"] == "listening" else 0
        reading = asyncio.create_task(_read_on(process.stderr, lines))
        headers = {"authorization": f"Bearer {key}"}
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(headers=headers, connector=connector) as client:
            yield Ingestion(process, port, client, lines)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        if reading is not None:
            await reading


async def _read_on(stream: asyncio.StreamReader, lines: list[str]) -> None:
    while line := await stream.readline():
        lines.append(line.decode())


@pytest.fixture
async def key(pool: Pool) -> str:
    """A key of the tenant ``acme``."""
    return await PostgresKeyStore(pool).create("acme", ["jobs", "recipes"])


@pytest.fixture
async def other_key(pool: Pool) -> str:
    """A key of another tenant."""
    return await PostgresKeyStore(pool).create("other", ["jobs"])


@pytest.fixture
async def start(database_url: str, key: str) -> Start:
    """Start a process on the test's database, with these settings more."""

    def run(**settings: str) -> AbstractAsyncContextManager[Ingestion]:
        return started(environment(database_url, **settings), key)

    return run


@pytest.fixture
async def ingestion(start: Start, endpoints: Endpoints) -> AsyncIterator[Ingestion]:
    """A ready process with every server there is."""
    assert endpoints.elasticsearch_url is not None
    settings = {
        "redis_url": endpoints.redis_url,
        "kafka_bootstrap": endpoints.kafka_bootstrap,
        "elasticsearch_url": endpoints.elasticsearch_url,
        "installation": f"t{uuid.uuid4().hex[:8]}",
    }
    async with start(**settings) as running:
        await running.until_ready()
        yield running
