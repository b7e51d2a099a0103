"""A fresh installation for each relay test, on the shared servers."""

from collections.abc import AsyncIterator

import pytest

from headrace.local.stack import Endpoints
from tests.integration.relay.relay_world import World, new_world


@pytest.fixture
async def world(endpoints: Endpoints) -> AsyncIterator[World]:
    async with new_world(endpoints) as fresh:
        yield fresh
