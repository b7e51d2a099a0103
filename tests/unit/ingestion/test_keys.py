"""Keys are checked against the store, and remembered for a bounded while."""

import asyncio

import pytest

from common.errors import RequestError
from common.ports import Principal
from ingestion.keys import KeyRing
from tests.unit.ingestion.doubles import READER_SECRET, SECRET, MemoryKeys


class HandClock:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def bearer(secret: str) -> bytes:
    return f"Bearer {secret}".encode()


async def refused(ring: KeyRing, authorization: bytes | None) -> RequestError:
    with pytest.raises(RequestError) as caught:
        await ring.principal(authorization, ("jobs",))
    return caught.value


async def test_a_key_is_looked_up_once_in_half_a_minute() -> None:
    store, clock = MemoryKeys(), HandClock()
    ring = KeyRing(store, clock)

    for _ in range(3):
        principal = await ring.principal(bearer(SECRET), ("jobs",))
    clock.now += 31
    await ring.principal(bearer(SECRET), ("jobs",))

    assert principal == Principal("acme", "k1", frozenset({"jobs", "recipes"}))
    assert store.lookups == 2


async def test_requests_that_come_together_share_a_lookup() -> None:
    store = MemoryKeys()
    ring = KeyRing(store)

    await asyncio.gather(*(ring.principal(bearer(SECRET), ("jobs",)) for _ in range(50)))

    assert store.lookups == 1


async def test_every_wrong_key_gets_the_same_answer() -> None:
    ring = KeyRing(MemoryKeys())
    wrong = [None, b"", b"Bearer", b"Basic YTpi", b"Bearer hr_" + b"z" * 43, b"Bearer hr_short", b"Bearer \xff\xfe"]

    answers = [await refused(ring, value) for value in wrong]

    assert {(a.status, a.code, a.detail, a.headers["www-authenticate"]) for a in answers} == {
        (401, "unauthorized", answers[0].detail, 'Bearer realm="headrace"')
    }


async def test_an_unknown_key_does_not_reach_the_store_each_time() -> None:
    store, clock = MemoryKeys(), HandClock()
    ring = KeyRing(store, clock)
    unknown = bearer("hr_" + "z" * 43)

    for _ in range(5):
        await refused(ring, unknown)
    clock.now += 6
    await refused(ring, unknown)

    assert store.lookups == 2


async def test_a_key_without_the_scope_is_forbidden() -> None:
    error = await refused(KeyRing(MemoryKeys()), bearer(READER_SECRET))

    assert (error.status, error.code) == (403, "forbidden")
    assert "'jobs'" in error.detail


async def test_while_postgres_is_away_only_remembered_keys_work() -> None:
    store = MemoryKeys()
    ring = KeyRing(store)
    await ring.principal(bearer(SECRET), ("jobs",))
    store.away = True

    assert (await ring.principal(bearer(SECRET), ("jobs",))).tenant_id == "acme"
    error = await refused(ring, bearer(READER_SECRET))

    assert (error.status, error.code) == (503, "storage_unavailable")
