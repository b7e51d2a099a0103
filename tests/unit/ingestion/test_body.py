"""Bodies are read within limits of size, time and memory."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from common.errors import RequestError
from common.health import Message, Receive, Scope
from ingestion.body import Memory, read_body
from ingestion.problems import refuse


def too_large() -> RequestError:
    return refuse("request_too_large", "too large")


def scope(**headers: str) -> Scope:
    return {"headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]}


def coming(*parts: bytes, then: Message | None = None) -> Receive:
    """Give these parts; the last ends the body unless something else comes ``then``."""
    messages: list[Message] = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    if then is None:
        messages[-1]["more_body"] = False
    else:
        messages.append(then)
    left = iter(messages)

    async def receive() -> Message:
        for message in left:
            return message
        await asyncio.Event().wait()
        raise AssertionError

    return receive


async def refused(scope: Scope, receive: Receive, **options: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        await read_body(scope, receive, limit=10, too_large=too_large, **options)
    return caught.value


@pytest.mark.parametrize("parts", [[b"0123456789"], [b"01234", b"56789"], [b"", b"0", b"", b"123456789"], [b""]])
async def test_a_body_within_its_limit_is_put_together(parts: Sequence[bytes]) -> None:
    assert await read_body(scope(), coming(*parts), limit=10, too_large=too_large) == b"".join(parts)


async def test_a_body_beyond_its_limit_is_refused_whatever_was_announced() -> None:
    for head in (scope(), scope(content_length="3"), scope(content_length="11"), scope(content_length="junk")):
        error = await refused(head, coming(b"01234", b"567890"))
        assert (error.code, error.headers["connection"]) == ("request_too_large", "close")


async def test_a_body_announced_too_large_is_not_read_from_who_asks_first() -> None:
    async def receive() -> Message:
        raise AssertionError("asked for the body")

    assert (await refused(scope(content_length="11", expect="100-continue"), receive)).status == 413


async def test_a_body_that_stalls_is_given_up() -> None:
    stalled = coming(b"0", then={"type": "http.request", "body": b"1", "more_body": True})

    error = await refused(scope(), stalled, grace_s=0.01)

    assert (error.status, error.code, error.headers["connection"]) == (408, "request_timeout", "close")


async def test_a_caller_that_leaves_gets_no_answer() -> None:
    gone = coming(b"0", then={"type": "http.disconnect"})

    assert await read_body(scope(), gone, limit=10, too_large=too_large) is None


async def test_large_bodies_together_are_bounded_and_given_back() -> None:
    memory = Memory(12)
    with memory.share() as first:
        await read_body(scope(), coming(b"01234567"), limit=10, too_large=too_large, share=first)
        with memory.share() as second:
            error = await refused(scope(), coming(b"01234567"), share=second)
        assert (error.status, error.code) == (503, "overloaded")

    with memory.share() as third:
        assert await read_body(scope(), coming(b"01234567"), limit=10, too_large=too_large, share=third)
