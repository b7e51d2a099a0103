"""Who is calling: bearer keys, looked up by their SHA-256 and remembered for a short while.

A revoked key works for at most 30 s more. Unknown keys are remembered too, in a bounded table, so that
guessing does not reach Postgres; look-ups under way are shared and bounded. The secret itself is never kept.
"""

import asyncio
import hashlib
import re
from collections import OrderedDict
from typing import Final, TypeVar

from common.clock import Clock, monotonic_clock
from common.errors import DatabaseUnavailable, RequestError
from common.ports import KeyStore, Principal
from ingestion.problems import refuse

_KNOWN_S: Final = 30.0
_UNKNOWN_S: Final = 5.0
_MOST_KNOWN: Final = 10_000
_MOST_UNKNOWN: Final = 10_000
_LOOKUPS_AT_ONCE: Final = 2
_MOST_WAITING: Final = 1_000
V = TypeVar("V")
_BEARER: Final = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +(hr_[A-Za-z0-9_\-]{8,200}) *")


def unauthorized() -> RequestError:
    """Return the one answer to every missing, malformed, unknown, expired or revoked key."""
    return refuse(
        "unauthorized",
        "Send a valid key as 'Authorization: Bearer hr_...'.",
        headers={"www-authenticate": 'Bearer realm="headrace"'},
    )


class KeyRing:
    """Gives the principal of a request."""

    def __init__(self, store: KeyStore, clock: Clock = monotonic_clock) -> None:
        self._store = store
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()
        self._unknown: OrderedDict[bytes, float] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[Principal | None]] = {}
        self._slots = asyncio.Semaphore(_LOOKUPS_AT_ONCE)

    async def principal(self, authorization: bytes | None, scopes: tuple[str, ...]) -> Principal:
        """Return who is calling if the key has one of ``scopes``. Raises RequestError (401, 403, 503)."""
        match = _BEARER.fullmatch(authorization) if authorization else None
        if match is None:
            raise unauthorized()
        key_hash = hashlib.sha256(match[1]).digest()
        found = self._known.get(key_hash)
        if found is not None and found[0] > self._clock():
            principal = found[1]
        else:
            principal = await self._look_up(key_hash)
        if principal.scopes.isdisjoint(scopes):
            needed = " or ".join(f"'{scope}'" for scope in scopes)
            raise refuse("forbidden", f"This needs a key with the scope {needed}.")
        return principal

    async def _look_up(self, key_hash: bytes) -> Principal:
        if self._unknown.get(key_hash, 0.0) > self._clock():
            raise unauthorized()
        task = self._asking.get(key_hash)
        if task is None:
            if len(self._asking) >= _MOST_WAITING:
                raise refuse("overloaded", "Too many keys are being looked up. Try again.")
            task = asyncio.create_task(self._ask(key_hash), name="key-lookup")
            self._asking[key_hash] = task
        try:
            # Shared by every request with this key: one that goes away must not end it for the others.
            principal = await asyncio.shield(task)
        except DatabaseUnavailable as error:
            raise refuse("storage_unavailable", "The key cannot be checked now. Try again.") from error
        if principal is None:
            raise unauthorized()
        return principal

    async def _ask(self, key_hash: bytes) -> Principal | None:
        try:
            async with self._slots:
                principal = await self._store.principal(key_hash)
        finally:
            del self._asking[key_hash]
        if principal is None:
            _remember(self._unknown, key_hash, self._clock() + _UNKNOWN_S, _MOST_UNKNOWN)
        else:
            _remember(self._known, key_hash, (self._clock() + _KNOWN_S, principal), _MOST_KNOWN)
        return principal


def _remember(table: OrderedDict[bytes, V], key: bytes, value: V, most: int) -> None:
    table[key] = value
    table.move_to_end(key)
    while len(table) > most:
        table.popitem(last=False)
