"""``python -m persistence [writer|relay|indexer]`` runs the service or one part of it; also ``migrate``
(schema to head), ``create-key`` (an API key, printed once) and ``repair`` (look for lost work once).
"""

import argparse
import asyncio
import sys
from dataclasses import asdict

import orjson

from common.errors import ConfigurationError, InfrastructureError
from common.process import serve
from common.settings import load_settings
from common.telemetry import configure_logging
from persistence.postgres.keys import SCOPES, PostgresKeyStore
from persistence.postgres.migrate import wait_migrate
from persistence.postgres.pool import create_pool
from persistence.service import NAME, PARTS, repair, service


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m persistence", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    for part in PARTS:
        commands.add_parser(part, help=f"run the {part} alone")
    commands.add_parser("migrate", help="bring the schema to head")
    commands.add_parser("repair", help="publish lost work again, once, and say what was done")
    key = commands.add_parser("create-key", help="make an API key and print it once")
    key.add_argument("--tenant", required=True, help="owner of the key; made if new")
    key.add_argument("--scopes", default="jobs", help=f"comma separated, of {', '.join(sorted(SCOPES))}")
    return parser


async def _migrate() -> None:
    settings = load_settings()
    await wait_migrate(settings.database_url.get_secret_value(), shards=settings.relay_shards)


async def _create_key(tenant: str, scopes: str) -> str:
    settings = load_settings()
    pool = await create_pool(settings.database_url.get_secret_value(), size=2, application="create-key")
    try:
        return await PostgresKeyStore(pool).create(tenant, [s.strip() for s in scopes.split(",") if s.strip()])
    finally:
        await pool.close()


def main() -> None:
    """Run the command."""
    arguments = _parser().parse_args()
    configure_logging(NAME, "WARNING")  # on stderr: what a chore prints is read by programs; a service sets its own
    try:
        match arguments.command:
            case "migrate":
                asyncio.run(_migrate())
            case "create-key":
                sys.stdout.write(asyncio.run(_create_key(arguments.tenant, arguments.scopes)) + "\n")
            case "repair":
                done = asyncio.run(repair(load_settings()))
                sys.stdout.write(orjson.dumps(asdict(done)).decode() + "\n")
            case None:
                serve(NAME, service(PARTS))
            case part:
                serve(NAME, service((part,)))
    except (ConfigurationError, InfrastructureError) as error:
        sys.stderr.write(f"persistence: {error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
