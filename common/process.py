"""How every service starts and stops: settings, logs, signals, health, then its work until told to stop.

SIGTERM and SIGINT set one event; the work drains and the process leaves with 0. A ConfigurationError is one line
on stderr and exit code 2.
"""

import asyncio
import contextlib
import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import structlog
import uvloop

from common.errors import ConfigurationError, HeadraceError
from common.failpoint import arm
from common.settings import Settings, load_settings
from common.telemetry import configure_logging

log = structlog.get_logger(__name__)

T = TypeVar("T")


class StoppedWhileStarting(HeadraceError):
    """A signal came while the service was still waiting for what it needs: nothing is under way, so it leaves."""


Main = Callable[[Settings, asyncio.Event], Awaitable[None]]


def serve(service: str, main: Main) -> None:
    """Run one service until a signal, and exit."""
    try:
        settings = load_settings()
        configure_logging(service, settings.log_level)
        arm(settings.failpoints)
        if settings.failpoints is not None:
            log.warning("failpoints_on", folder=str(settings.failpoints))
        uvloop.run(_until_signal(service, settings, main))
    except ConfigurationError as error:
        sys.stderr.write(f"{service}: {error}\n")
        sys.exit(2)


async def _until_signal(service: str, settings: Settings, main: Main) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # What is loaded by now stays: keep the collector from walking it in every full collection.
    gc.collect()
    gc.freeze()
    log.info("started")
    with contextlib.suppress(StoppedWhileStarting):
        await main(settings, stop)
    log.info("stopped")


async def unless_stopped(stop: asyncio.Event, wanted: Coroutine[Any, Any, T]) -> T:
    """Return what ``wanted`` gives, or raise StoppedWhileStarting once ``stop`` is set."""
    task = asyncio.create_task(wanted)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise StoppedWhileStarting
    finally:
        for each in (task, stopping):
            each.cancel()
        await asyncio.gather(task, stopping, return_exceptions=True)


async def run_together(stop: asyncio.Event, *work: Awaitable[None]) -> None:
    """Run parts of one service side by side until all have ended; if one fails, the others stop and it raises."""

    async def guarded(part: Awaitable[None]) -> None:
        try:
            await part
        except BaseException:
            stop.set()
            raise

    results = await asyncio.gather(*(guarded(part) for part in work), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
