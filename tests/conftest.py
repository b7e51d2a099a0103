"""The servers that tests run against: real ones, started when first asked for, on free ports, gone after."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from headrace.local.stack import Endpoints, Stack


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """A folder for one stack, with a space in its path. Root's Postgres could not reach ``tmp_path``."""
    with tempfile.TemporaryDirectory(prefix="headrace test ", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


async def _run(*servers: str) -> AsyncIterator[Stack]:
    folder = Path(tempfile.mkdtemp(prefix="headrace test "))
    try:
        async with Stack(folder, servers, free_ports=True) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
async def stack() -> AsyncIterator[Stack]:
    """PostgreSQL, Valkey, Kafka and Elasticsearch. All tests share it: use your own database and topics."""
    async for running in _run("postgres", "valkey", "kafka", "elasticsearch"):
        yield running


@pytest.fixture(scope="session")
async def endpoints(stack: Stack) -> Endpoints:
    return stack.endpoints


@pytest.fixture(scope="session")
async def llm() -> AsyncIterator[str]:
    """Base URL of the local LLM (OpenAI-compatible, ends with /v1)."""
    async for running in _run("llm"):
        yield running.endpoints.llm_base_url or ""
