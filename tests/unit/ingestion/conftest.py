"""Fixtures of the API's unit tests."""

import io
from collections.abc import AsyncIterator

import pytest

from common.telemetry import configure_logging
from tests.unit.ingestion.harness import Api, running_api


@pytest.fixture(scope="session", autouse=True)
def log() -> io.StringIO:
    """Logs as in production: the library's default renders every local variable of a traceback, in seconds."""
    stream = io.StringIO()
    configure_logging("test", stream=stream)
    return stream


@pytest.fixture(scope="session")
async def shared_api() -> AsyncIterator[Api]:
    """One server for all tests: starting one takes longer than most of them."""
    async with running_api() as running:
        yield running


@pytest.fixture
def api(shared_api: Api) -> Api:
    """The shared server with nothing in its stores."""
    shared_api.forget()
    return shared_api
