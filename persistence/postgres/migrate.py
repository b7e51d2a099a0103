"""Applies the migrations. Safe to run at once from several processes: an advisory lock lets one do it."""

import asyncio
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config

from common.errors import ConfigurationError, DatabaseUnavailable
from persistence.postgres.pool import database_errors

_FOLDER = Path(__file__).parent / "migrations"
_LOCK_KEY = 0x6865616472616365  # "headrace"
_OLDEST_SERVER = 170000


def alembic_config(database_url: str) -> Config:
    """Return Alembic's configuration, which is in code: there is no ini file to drift."""
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("database_url", database_url.replace("%", "%%"))
    return config


async def migrate(database_url: str, *, shards: int) -> int:
    """Bring the schema to head and return the installation's shard count, which its first migration fixes.

    Raises DatabaseUnavailable, or ConfigurationError when the server is too old or the shard count differs.
    """
    with database_errors():
        lent = await asyncpg.connect(database_url, timeout=5)
        try:
            version = int(await lent.fetchval("show server_version_num"))
            if version < _OLDEST_SERVER:
                raise ConfigurationError(
                    f"Postgres {version // 10000} is too old: Headrace needs 17 or newer (transaction_timeout)"
                )
            await lent.execute("select pg_advisory_lock($1)", _LOCK_KEY)
            await asyncio.to_thread(command.upgrade, alembic_config(database_url), "head")
            await lent.execute("insert into installation (shards) values ($1) on conflict do nothing", shards)
            fixed = int(await lent.fetchval("select shards from installation"))
        finally:
            await lent.close()
    if fixed != shards:
        raise ConfigurationError(
            f"this installation has {fixed} relay shards, HEADRACE_RELAY_SHARDS says {shards}:"
            " the count is fixed when it is first migrated; set it back"
        )
    return fixed


async def wait_migrate(database_url: str, *, shards: int, timeout_s: float = 60.0) -> int:
    """Migrate, waiting for a Postgres that is away. Raises DatabaseUnavailable after ``timeout_s``."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while True:
        try:
            return await migrate(database_url, shards=shards)
        except DatabaseUnavailable:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.5)
