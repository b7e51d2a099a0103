"""What Valkey/Redis is used for: telling long polls that jobs have ended. All of it may be lost at any time.

One message a batch on the channel ``<installation>.endings``: the ids, 16 bytes each. Losing the server costs
waiters up to a second, never a job; nothing here raises for it but the probe.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Final
from uuid import UUID

import redis.asyncio
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge
from pydantic import SecretStr
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from common.cancellation import heed_cancellation
from common.clock import Clock, monotonic_clock
from common.errors import CacheUnavailable

_LOOK_EVERY_S: Final = 1.0
"""How long a waiter waits before it looks for itself while nobody can tell it."""
_LOOK_ANYWAY_EVERY_S: Final = 5.0
_SILENCE_S: Final = 5.0
_TIMEOUT_S: Final = 1.0
_LONGEST_BACKOFF_S: Final = 2.0
_IDS_A_MESSAGE: Final = 1_000
_ID_BYTES: Final = 16

_log = structlog.get_logger(__name__)


def connect(url: SecretStr) -> redis.asyncio.Redis:
    """Return a client that connects when first used, never retries and never waits longer than a second."""
    return redis.asyncio.Redis.from_url(
        url.get_secret_value(),
        socket_timeout=_TIMEOUT_S,
        socket_connect_timeout=_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )


def endings_channel(installation: str) -> str:
    """Return the channel on which an installation tells that jobs have ended."""
    return f"{installation}.endings"


class EndingsPublisher:
    """Tells that jobs have ended, if it can: a failure is counted, and skipped over for a second."""

    def __init__(
        self, url: SecretStr, installation: str, registry: CollectorRegistry, clock: Clock = monotonic_clock
    ) -> None:
        self._client = connect(url)
        self._channel = endings_channel(installation)
        self._clock = clock
        self._silent_until = 0.0
        self._lost = Counter("headrace_endings_lost", "Endings that could not be told to waiters.", registry=registry)

    async def publish(self, job_ids: Sequence[UUID]) -> None:
        """Tell waiters of these jobs. Never raises for the server's absence, and takes a second at most."""
        if self._clock() < self._silent_until:
            self._lost.inc(len(job_ids))
            return
        for start in range(0, len(job_ids), _IDS_A_MESSAGE):
            part = job_ids[start : start + _IDS_A_MESSAGE]
            try:
                with cache_errors():
                    await self._client.publish(self._channel, b"".join(job_id.bytes for job_id in part))
            except CacheUnavailable:
                self._lost.inc(len(job_ids) - start)
                self._silent_until = self._clock() + _TIMEOUT_S
                return

    async def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(CacheUnavailable), cache_errors():
            await self._client.aclose()


class PolledEndings:
    """JobEndings without Redis: the waiter looks for itself about once a second."""

    async def wait(self, job_id: UUID, timeout_s: float) -> bool:
        """Wait until it is time to look again."""
        del job_id
        await asyncio.sleep(min(timeout_s, _jittered(_LOOK_EVERY_S)))
        return False


class RedisEndings:
    """JobEndings over one subscription, owned by ``run``. Waiters are woken too when the subscription breaks."""

    def __init__(self, url: SecretStr, installation: str, registry: CollectorRegistry) -> None:
        self._client = connect(url)
        self._channel = endings_channel(installation)
        self._waiters: dict[UUID, set[asyncio.Future[bool]]] = {}
        self._live = False
        self._subscribed = Gauge(
            "headrace_endings_subscribed", "1 while endings are told over Redis, else 0.", registry=registry
        )

    async def wait(self, job_id: UUID, timeout_s: float) -> bool:
        """Wait until told that the job ended (True), or until it is time to look again (False)."""
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(job_id, set()).add(waiter)
        pace_s = _LOOK_ANYWAY_EVERY_S if self._live else _LOOK_EVERY_S
        try:
            async with asyncio.timeout(min(timeout_s, _jittered(pace_s))):
                return await waiter
        except TimeoutError:
            return False
        finally:
            self._forget(job_id, waiter)

    async def run(self) -> None:
        """Keep the subscription until cancelled; reconnect with back-off of at most two seconds."""
        backoff_s = 0.1
        try:
            while True:
                try:
                    with cache_errors():
                        async with self._subscription() as subscription:
                            backoff_s = 0.1
                            await self._listen(subscription)
                except CacheUnavailable as error:
                    if self._live:
                        _log.warning("endings.unsubscribed", reason=str(error))
                    self._set_live(live=False)
                    await asyncio.sleep(_jittered(backoff_s))
                    backoff_s = min(_LONGEST_BACKOFF_S, backoff_s * 2)
        finally:
            self._set_live(live=False)
            with contextlib.suppress(CacheUnavailable), cache_errors():
                await self._client.aclose()

    @asynccontextmanager
    async def _subscription(self) -> AsyncIterator[PubSub]:
        subscription = self._client.pubsub()
        try:
            await subscription.subscribe(self._channel)
            yield subscription
        finally:
            await subscription.aclose()  # type: ignore[no-untyped-call]  # the client lacks the annotation

    async def _listen(self, subscription: PubSub) -> None:
        asked = False
        while True:
            message = await subscription.get_message(timeout=_SILENCE_S if not asked else _TIMEOUT_S)
            if message is None:
                if asked:
                    raise CacheUnavailable("Redis does not answer a ping")
                await subscription.ping()
                asked = True
                continue
            asked = False
            if message["type"] == "message":
                self._tell(message["data"])
            elif message["type"] == "subscribe":
                self._set_live(live=True)

    def _tell(self, joined: bytes) -> None:
        for start in range(0, len(joined) - _ID_BYTES + 1, _ID_BYTES):
            for waiter in self._waiters.get(UUID(bytes=joined[start : start + _ID_BYTES]), ()):
                if not waiter.done():
                    waiter.set_result(True)

    def _set_live(self, *, live: bool) -> None:
        if live != self._live:
            # What was told while nobody listened is lost: everybody looks once.
            for waiters in self._waiters.values():
                for waiter in waiters:
                    if not waiter.done():
                        waiter.set_result(False)
        self._live = live
        self._subscribed.set(live)

    def _forget(self, job_id: UUID, waiter: asyncio.Future[bool]) -> None:
        waiters = self._waiters[job_id]
        waiters.discard(waiter)
        if not waiters:
            del self._waiters[job_id]


class RedisProbe:
    """Health: does Redis answer?"""

    name = "redis"

    def __init__(self, url: SecretStr) -> None:
        self._client = connect(url)

    async def check(self) -> None:
        """Raise CacheUnavailable when it does not."""
        with cache_errors():
            await self._client.ping()


@contextmanager
def cache_errors() -> Iterator[None]:
    """Turn the client's errors into CacheUnavailable."""
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        heed_cancellation(error)
        raise CacheUnavailable(f"Redis is not answering: {type(error).__name__}") from error


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(0.75, 1.25)  # noqa: S311 - spreads load; nothing secret
