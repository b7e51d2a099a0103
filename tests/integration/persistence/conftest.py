"""A migrated database of its own for each test, on the shared Postgres."""

import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest

from headrace.local.stack import Endpoints
from persistence.postgres.migrate import migrate
from persistence.postgres.pool import Pool, create_pool


@pytest.fixture
async def database_url(endpoints: Endpoints) -> AsyncIterator[str]:
    """URL of a new, migrated database."""
    name = f"t{uuid.uuid4().hex[:12]}"
    admin = await asyncpg.connect(endpoints.database_url)
    await admin.execute(f'create database "{name}"')
    url = endpoints.database_url.rsplit("/", 1)[0] + "/" + name
    try:
        await migrate(url, shards=1)
        yield url
    finally:
        await admin.execute(f'drop database "{name}" with (force)')
        await admin.close()


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    """A pool on that database."""
    pool = await create_pool(database_url, size=8, application="test")
    yield pool
    pool.terminate()
