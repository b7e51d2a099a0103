"""Asks a broker what it speaks: the smallest question that only a broker that takes requests answers.

A connection alone says little, for the kernel takes connections for a process that hangs.
"""

import asyncio
import struct
from typing import Final

from common.errors import BrokerUnavailable

_API_VERSIONS: Final = 18
_CORRELATION_ID: Final = 7
_LONGEST_ANSWER: Final = 1 << 20
_ANSWER_S: Final = 1.5


async def takes_requests(host: str, port: int) -> bool:
    """Return whether ApiVersions v0 is answered without error. Raises OSError or EOFError when nobody answers."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        request = struct.pack(">hhih", _API_VERSIONS, 0, _CORRELATION_ID, -1)
        writer.write(struct.pack(">i", len(request)) + request)
        (size,) = struct.unpack(">i", await reader.readexactly(4))
        if not 6 <= size <= _LONGEST_ANSWER:
            return False
        correlation_id, error = struct.unpack(">ih", (await reader.readexactly(size))[:6])
    finally:
        writer.close()
    return bool(correlation_id == _CORRELATION_ID and error == 0)


class GreetingProbe:
    """Health: does a broker of a comma-separated list of ``host:port`` take requests?"""

    name = "kafka"

    def __init__(self, bootstrap: str) -> None:
        self._addresses = [address.strip().rpartition(":") for address in bootstrap.split(",")]

    async def check(self) -> None:
        """Raise BrokerUnavailable when none does."""
        answers = await asyncio.gather(*(_answers(host.strip("[]"), port) for host, _, port in self._addresses))
        if not any(answers):
            raise BrokerUnavailable("no broker answers")


async def _answers(host: str, port: str) -> bool:
    try:
        async with asyncio.timeout(_ANSWER_S):
            return await takes_requests(host, int(port))
    except (OSError, EOFError, ValueError):
        return False
