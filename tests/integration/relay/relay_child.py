"""A relay as a process of its own, to be killed: python relay_child.py DATABASE_URL BOOTSTRAP PREFIX LEASE_S"""

import asyncio
import logging
import signal
import sys

from prometheus_client import CollectorRegistry

from persistence.relay.relay import Relay


async def main() -> None:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    database_url, bootstrap, prefix, lease_s = sys.argv[1:]
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    relay = Relay(
        database_url=database_url,
        bootstrap=bootstrap,
        prefix=prefix,
        runway=5_000,
        registry=CollectorRegistry(),
        lease_s=float(lease_s),
    )
    await relay.run(stop)


asyncio.run(main())
