"""The adapter over real sockets: what reaches a vendor, and what each way of losing the line means (P3)."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr

from common.errors import ProviderError, ProviderErrorKind
from model_layer.provider import Message, ModelRequest, ProviderSetup
from model_layer.providers import http
from model_layer.providers.openai_chat import OpenAIChatOptions, OpenAIChatProvider
from tests.contract.model_layer.vendor_double import (
    COMPLETION,
    Handler,
    Received,
    answering,
    receive,
    response,
    vendor,
)

KEY = "sk-very-secret"


def _request(timeout_s: float = 10.0) -> ModelRequest:
    return ModelRequest("m", (Message("user", "a private prompt"),), 8, "attempt-1", timeout_s)


@asynccontextmanager
async def _connected(base_url: str, concurrency: int = 4) -> AsyncIterator[OpenAIChatProvider]:
    options = OpenAIChatOptions()
    setup = ProviderSetup("a", "m", base_url, SecretStr(KEY), concurrency, options)
    provider = OpenAIChatProvider(setup, options, base_url)
    try:
        yield provider
    finally:
        await provider.close()


async def _failure(handler: Handler, *, timeout_s: float = 10.0) -> ProviderError:
    async with vendor(handler) as base_url, _connected(base_url) as provider:
        with pytest.raises(ProviderError) as failed:
            await provider.call(_request(timeout_s))
    shown = f"{failed.value!s} {failed.value!r}"
    assert KEY not in shown
    assert "private" not in shown
    return failed.value


async def test_a_call_posts_json_with_the_key_and_returns_the_exact_bytes() -> None:
    seen: list[Received] = []
    handler = answering(response(200, COMPLETION, X_Request_Id="req_1"), seen=seen)
    async with vendor(handler) as base_url, _connected(base_url) as provider:
        answer = await provider.call(_request())
    assert answer.raw == COMPLETION
    assert answer.request_id == "req_1"
    assert answer.latency_ms > 0
    (request,) = seen
    assert request.line == "POST /v1/chat/completions HTTP/1.1"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.body)["messages"] == [{"role": "user", "content": "a private prompt"}]


async def test_connections_are_kept_and_bounded_by_the_concurrency() -> None:
    connections = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await answering(response(200, COMPLETION))(reader, writer)

    async with vendor(handler) as base_url, _connected(base_url, concurrency=3) as provider:
        await asyncio.gather(*(provider.call(_request()) for _ in range(30)))
    assert connections <= 3


async def test_a_chunked_answer_is_read_whole() -> None:
    chunks = b"".join(b"%x\r\n%s\r\n" % (1, COMPLETION[i : i + 1]) for i in range(len(COMPLETION)))
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with (
        vendor(answering(head + chunks + b"0\r\n\r\n")) as base_url,
        _connected(base_url) as provider,
    ):
        assert (await provider.call(_request())).raw == COMPLETION


async def test_a_rate_limit_says_when_to_come_back() -> None:
    failure = await _failure(answering(response(429, b"{}", Retry_After="7")))
    assert (failure.kind, failure.retry_after_s, failure.sent) == (
        ProviderErrorKind.RATE_LIMITED,
        7.0,
        False,
    )


async def test_nobody_listening_was_not_sent() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with _connected(f"http://127.0.0.1:{unused.getsockname()[1]}/v1") as provider:
            with pytest.raises(ProviderError) as failed:
                await provider.call(_request())
    assert failed.value.kind is ProviderErrorKind.CONNECTION
    assert failed.value.retryable
    assert not failed.value.sent


async def test_a_name_that_does_not_resolve_was_not_sent() -> None:
    async with _connected("https://nowhere.invalid/v1") as provider:
        with pytest.raises(ProviderError) as failed:
            await provider.call(_request())
    assert failed.value.kind is ProviderErrorKind.CONNECTION
    assert not failed.value.sent


async def test_p3_silence_after_the_request_may_have_been_billed() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await receive(reader)
        await asyncio.Event().wait()

    failure = await _failure(silent, timeout_s=0.2)
    assert failure.kind is ProviderErrorKind.TIMEOUT
    assert failure.sent
    assert failure.retryable


async def test_p3_waiting_for_a_connection_until_the_timeout_was_not_sent() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with vendor(silent) as base_url, _connected(base_url, concurrency=1) as provider:
        first, second = await asyncio.gather(_kept(provider, 0.4), _kept(provider, 0.2))
    assert first.sent
    assert second.kind is ProviderErrorKind.TIMEOUT
    assert not second.sent


async def _kept(provider: OpenAIChatProvider, timeout_s: float) -> ProviderError:
    with pytest.raises(ProviderError) as failed:
        await provider.call(_request(timeout_s))
    return failed.value


async def test_p3_a_reset_after_the_request_may_have_been_billed() -> None:
    async def resetting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await receive(reader)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        writer.transport.abort()

    failure = await _failure(resetting)
    assert failure.kind is ProviderErrorKind.CONNECTION
    assert failure.sent
    assert failure.retryable


async def test_p3_a_closed_line_is_never_repeated_behind_the_ledgers_back() -> None:
    seen: list[Received] = []

    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await receive(reader))

    failure = await _failure(closing)
    assert failure.sent
    assert len(seen) == 1


async def test_p3_a_body_that_breaks_off_may_have_been_billed() -> None:
    async def cutting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await receive(reader)
        writer.write(response(200, COMPLETION[:20], length=len(COMPLETION)))
        await writer.drain()

    failure = await _failure(cutting)
    assert failure.kind is ProviderErrorKind.CONNECTION
    assert failure.sent


async def test_an_error_status_counts_even_where_its_body_breaks_off() -> None:
    async def cutting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await receive(reader)
        writer.write(response(429, b'{"err', length=99, Retry_After="2"))
        await writer.drain()

    failure = await _failure(cutting)
    assert (failure.kind, failure.retry_after_s) == (ProviderErrorKind.RATE_LIMITED, 2.0)


async def test_bytes_that_are_not_http_are_a_lost_connection() -> None:
    failure = await _failure(answering(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"))
    assert failure.kind is ProviderErrorKind.CONNECTION
    assert failure.sent


@pytest.mark.parametrize("announced", [True, False])
async def test_an_endless_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch, *, announced: bool) -> None:
    monkeypatch.setattr(http, "MAX_BODY_BYTES", 1_000)
    body = b"x" * 1_001
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (
        len(body),
        body,
    )
    failure = await _failure(answering(response(200, body) if announced else chunked))
    assert failure.kind is ProviderErrorKind.BAD_RESPONSE
    assert failure.sent
    assert not failure.retryable


async def test_redirects_are_not_followed() -> None:
    seen: list[Received] = []
    failure = await _failure(answering(response(307, b"", Location="http://127.0.0.1:1/"), seen=seen))
    assert failure.kind is ProviderErrorKind.INVALID_REQUEST
    assert failure.status == 307
    assert not failure.retryable
    assert len(seen) == 1
