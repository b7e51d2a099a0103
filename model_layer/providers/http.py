"""HTTP for vendor adapters: one bounded POST over pooled keep-alive connections.

It says of every failure whether the request may have reached the vendor (``sent``), follows no redirect,
sends no cookie, uses no proxy, and repeats nothing. It knows no vendor: statuses and bodies are the
adapters' to read.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from yarl import URL

from common.errors import ProviderError, ProviderErrorKind

MAX_BODY_BYTES = 16 * 1024 * 1024
_CONNECT_TIMEOUT_S = 5.0
# Below the 5 s after which uvicorn and llama.cpp close idle connections: a POST written into a connection
# that is being closed must be taken as sent, and so as paid for.
_KEEP_ALIVE_S = 4.0
_MAX_HEADER_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True)
class HttpReply:
    """``headers`` look up without regard to case. ``received_at_s`` is Unix time."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    latency_ms: float
    received_at_s: float


class _Body(aiohttp.BytesPayload):
    """A body that remembers whether any of it was handed to a connection."""

    started = False

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        self.started = True
        await super().write_with_length(writer, content_length)


class HttpTransport:
    """Connections to one base URL, opened when first needed. At most ``concurrency``; more callers wait."""

    def __init__(self, base_url: str, headers: Mapping[str, str], concurrency: int) -> None:
        self._base_url = base_url.rstrip("/")
        self._headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "headrace",
            **headers,
        }
        self._concurrency = concurrency
        self._session: aiohttp.ClientSession | None = None
        self._urls: dict[str, URL] = {}

    async def post(self, path: str, body: bytes, timeout_s: float) -> HttpReply:
        """POST JSON. Raises ProviderError: timeout, connection, or bad_response (answer too large)."""
        payload = _Body(body)
        started_s = time.perf_counter()
        try:
            async with self._open().post(
                self._url(path),
                data=payload,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=_CONNECT_TIMEOUT_S),
            ) as response:
                return HttpReply(
                    status=response.status,
                    headers=response.headers,
                    body=await _read(response),
                    latency_ms=(time.perf_counter() - started_s) * 1_000,
                    received_at_s=time.time(),
                )
        except aiohttp.ClientConnectorCertificateError as error:
            raise _failure(
                ProviderErrorKind.CONNECTION,
                "the server's certificate is not trusted",
                sent=False,
                again=False,
            ) from error
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise _failure(
                ProviderErrorKind.CONNECTION, f"no connection ({type(error).__name__})", sent=False
            ) from error
        except TimeoutError as error:
            raise _failure(
                ProviderErrorKind.TIMEOUT, f"no full answer within {timeout_s:g} s", sent=payload.started
            ) from error
        except aiohttp.ClientError as error:
            raise _failure(
                ProviderErrorKind.CONNECTION,
                f"connection lost ({type(error).__name__})",
                sent=payload.started,
            ) from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _url(self, path: str) -> URL:
        url = self._urls.get(path)
        if url is None:
            url = self._urls[path] = URL(self._base_url + path)
        return url

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._concurrency, keepalive_timeout=_KEEP_ALIVE_S, ttl_dns_cache=60
                ),
                headers=self._headers,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                max_line_size=_MAX_HEADER_BYTES,
                max_field_size=_MAX_HEADER_BYTES,
            )
        return self._session


async def _read(response: aiohttp.ClientResponse) -> bytes:
    announced = response.content_length
    if announced is not None and announced <= MAX_BODY_BYTES:
        return await _whole(response)
    if announced is not None:
        raise _too_large()
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > MAX_BODY_BYTES:
                raise _too_large()
            chunks.append(chunk)
    except aiohttp.ClientPayloadError:
        if response.status < 400:
            raise
    return b"".join(chunks)


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    try:
        return await response.read()
    except aiohttp.ClientPayloadError:
        # An error status means what it means, even where its body was cut.
        if response.status < 400:
            raise
        return b""


def _too_large() -> ProviderError:
    return _failure(
        ProviderErrorKind.BAD_RESPONSE,
        f"the answer is larger than {MAX_BODY_BYTES} bytes",
        sent=True,
        again=False,
    )


def _failure(kind: ProviderErrorKind, message: str, *, sent: bool, again: bool = True) -> ProviderError:
    return ProviderError(kind, message, sent=sent, retryable=again)
