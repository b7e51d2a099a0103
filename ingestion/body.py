"""Reads request bodies: limits enforced while they stream, slow ones given up, large ones together bounded.

``Content-Length`` is believed when it is too large, and never when it is small. A refused body closes its
connection, for what is left of it would be taken for the next request.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from common.errors import RequestError
from common.health import Receive, Scope
from ingestion.problems import refuse

_SLOWEST_BYTES_A_SECOND: Final = 64 * 1024
_GRACE_S: Final = 15.0
_LINGER_S: Final = 3.0
_LINGER_BYTES: Final = 256 << 20


class Memory:
    """Bytes of large bodies held at one time, by all requests of this process together."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._held_bytes = 0

    @contextmanager
    def share(self) -> Iterator["Share"]:
        """Lend a share to one request."""
        share = Share(self)
        try:
            yield share
        finally:
            self._held_bytes -= share.held_bytes

    def take(self, size_bytes: int) -> None:
        """Count bytes as held. Raises RequestError (503) when there are too many."""
        if self._held_bytes and self._held_bytes + size_bytes > self._most_bytes:
            raise refuse("overloaded", "Too many large requests are being read. Try again.")
        self._held_bytes += size_bytes


class Share:
    """One request's part of the memory."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.held_bytes = 0

    def hold(self, size_bytes: int) -> None:
        """Hold so many bytes more."""
        self._memory.take(size_bytes)
        self.held_bytes += size_bytes


async def read_body(
    scope: Scope,
    receive: Receive,
    *,
    limit: int,
    too_large: Callable[[], RequestError],
    share: Share | None = None,
    grace_s: float = _GRACE_S,
) -> bytes | None:
    """Return the body, or None when the caller has gone. Raises RequestError (408, 413, 503)."""
    announced = _content_length(scope)
    if announced is not None and announced > limit:
        await _linger(scope, receive)
        raise _closing(too_large())
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(grace_s + (announced or limit) / _SLOWEST_BYTES_A_SECOND):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    return None
                part: bytes = message.get("body", b"")
                size += len(part)
                if size > limit:
                    break
                if share is not None:
                    share.hold(len(part))
                if not message.get("more_body", False):
                    return b"".join((*parts, part)) if parts else part
                parts.append(part)
    except TimeoutError:
        raise _closing(refuse("request_timeout", "The body came too slowly. Send it again, faster.")) from None
    except RequestError as error:
        raise _closing(error) from None
    parts.clear()
    await _linger(scope, receive)
    raise _closing(too_large())


def header(scope: Scope, name: bytes) -> bytes | None:
    """Return the first header of that lower-case name."""
    for found, value in scope["headers"]:
        if found == name:
            return bytes(value)
    return None


def _content_length(scope: Scope) -> int | None:
    value = header(scope, b"content-length")
    return int(value) if value is not None and value.isdigit() else None


async def _linger(scope: Scope, receive: Receive) -> None:
    """Discard what is still coming, within bounds: a caller that is cut off in mid-sending misses the answer."""
    if header(scope, b"expect") is not None:
        return
    discarded = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_S):
            while discarded < _LINGER_BYTES:
                message = await receive()
                discarded += len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return


def _closing(error: RequestError) -> RequestError:
    return RequestError(
        error.status, error.code, error.detail, faults=error.faults, headers={**error.headers, "connection": "close"}
    )
