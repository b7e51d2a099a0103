"""Keeps a cancellation from being lost: an error in a clean-up takes the place of the CancelledError that led to it.

Whoever then waits out the error and goes on is never asked to end again. So the places that turn a client's errors
into ours give the cancellation back its place.
"""

import asyncio


def being_cancelled() -> bool:
    """Return whether the current task was asked to end, or its timeout has passed."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def heed_cancellation(error: BaseException) -> None:
    """Raise CancelledError in the place of ``error`` if the current task was asked to end; call it in a handler."""
    if being_cancelled():
        raise asyncio.CancelledError from error
