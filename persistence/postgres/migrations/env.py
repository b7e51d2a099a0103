"""Alembic's environment: one transaction a migration, short locks with retries, the URL from the caller."""

import asyncio

import asyncpg
from alembic import context
from sqlalchemy import Connection, pool
from sqlalchemy.ext.asyncio import create_async_engine

from persistence.postgres.control_tables import metadata


def _migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


async def _connect() -> None:
    url = context.config.get_main_option("database_url") or ""
    settings = {"lock_timeout": "2s", "application_name": "headrace-migrate"}

    async def connected() -> asyncpg.Connection:
        # Connected by asyncpg itself, as everywhere else: SQLAlchemy reads some of a URL's options otherwise.
        return await asyncpg.connect(url, timeout=5, server_settings=settings)

    engine = create_async_engine("postgresql+asyncpg://", poolclass=pool.NullPool, async_creator=connected)
    async with engine.connect() as connection:
        await connection.run_sync(_migrate)
    await engine.dispose()


asyncio.run(_connect())
