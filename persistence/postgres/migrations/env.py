"""Alembic's environment: one transaction a migration, short locks with retries, the URL from the caller."""

import asyncio

from alembic import context
from sqlalchemy import Connection, pool
from sqlalchemy.ext.asyncio import create_async_engine

from persistence.postgres.control_tables import metadata
from persistence.postgres.migrate import sqlalchemy_url


def _migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


async def _connect() -> None:
    url = sqlalchemy_url(context.config.get_main_option("sqlalchemy.url") or "")
    settings = {"lock_timeout": "2s", "application_name": "headrace-migrate"}
    engine = create_async_engine(url, poolclass=pool.NullPool, connect_args={"server_settings": settings})
    async with engine.connect() as connection:
        await connection.run_sync(_migrate)
    await engine.dispose()


asyncio.run(_connect())
