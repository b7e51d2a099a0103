"""Waiting until nothing is left to do: every job that was promised has its ending on a public topic."""

import asyncio
import time
from collections.abc import Mapping

from tests.chaos.topics import Tail

_LOOK_EVERY_S = 0.2


async def healed(tail: Tail, accepted: Mapping[str, str], within_s: float) -> float | None:
    """Wait for every ending; return how long it took, or None where some did not come in time."""
    began = time.monotonic()
    while time.monotonic() - began < within_s:
        if accepted.keys() <= tail.ended.keys():
            return time.monotonic() - began
        await asyncio.sleep(_LOOK_EVERY_S)
    return None
