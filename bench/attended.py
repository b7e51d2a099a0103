"""Runs a measurement for a person at a terminal: signals end it cleanly, and errors are said, not thrown."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from rich.console import Console

from bench.measure import Say
from common.errors import HeadraceError

T = TypeVar("T")


def attended(work: Callable[[Say], Coroutine[Any, Any, T]], said: Console) -> T | None:
    """Return what ``work`` found, or None where it could not be measured, with the reason said."""
    try:
        return asyncio.run(_until_signal(work(lambda text: said.print(text, highlight=False, soft_wrap=True))))
    except HeadraceError as error:
        said.print(f"[bold red]not measured:[/] {error}", highlight=False, soft_wrap=True)
    except (asyncio.CancelledError, KeyboardInterrupt):
        said.print("stopped; nothing was left running")
    except TimeoutError:
        said.print("[bold red]not measured:[/] it took far longer than planned")
    return None


async def _until_signal(work: Coroutine[Any, Any, T]) -> T:
    """Run; SIGTERM and SIGHUP end it as Ctrl-C does, with everything stopped and deleted."""
    running = asyncio.current_task()
    assert running is not None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, running.cancel)
    return await work
