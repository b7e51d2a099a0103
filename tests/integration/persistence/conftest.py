"""A migrated database of its own for each test, on the shared Postgres."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from headrace.local.stack import Endpoints
from persistence.postgres.migrate import migrate
from persistence.postgres.pool import Connection, Pool, create_pool

# Migrated once a server, then copied: by server URL.
_TEMPLATES: dict[str, str] = {}


async def _template(admin: Connection, server_url: str) -> str:
    if server_url not in _TEMPLATES:
        name = f"template{uuid.uuid4().hex[:12]}"
        await admin.execute(f'create database "{name}"')
        await migrate(server_url.rsplit("/", 1)[0] + "/" + name, shards=1)
        _TEMPLATES[server_url] = name
    return _TEMPLATES[server_url]


@asynccontextmanager
async def new_database(endpoints: Endpoints) -> AsyncIterator[str]:
    """URL of a new, migrated database, dropped when left."""
    name = f"t{uuid.uuid4().hex[:12]}"
    admin = await asyncpg.connect(endpoints.database_url)
    template = await _template(admin, endpoints.database_url)
    await admin.execute(f'create database "{name}" template "{template}"')
    # A copy is an installation of its own.
    url = endpoints.database_url.rsplit("/", 1)[0] + "/" + name
    try:
        copied = await asyncpg.connect(url)
        await copied.execute("update installation set id = gen_random_uuid()")
        await copied.close()
        yield url
    finally:
        await admin.execute(f'drop database "{name}" with (force)')
        await admin.close()


@pytest.fixture
async def database_url(endpoints: Endpoints) -> AsyncIterator[str]:
    """URL of a database of the test's own."""
    async with new_database(endpoints) as url:
        yield url


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    """A pool on that database."""
    pool = await create_pool(database_url, size=8, application="test")
    yield pool
    pool.terminate()
