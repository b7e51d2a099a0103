"""One HTTP answer as a value, and what a request is called in logs and answers."""

import itertools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from common.errors import RequestError
from common.health import Scope, Send
from ingestion.body import header
from ingestion.problems import document, raw_headers

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._\-]{1,128}")


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, body and headers; ``request_id`` and the length are added when it is sent."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


class RequestIds:
    """Names requests: the caller's X-Request-Id where it is a plain word, else a new one."""

    def __init__(self) -> None:
        self._prefix = os.urandom(6).hex()
        self._numbers: Iterator[int] = itertools.count(1)

    def of(self, scope: Scope) -> str:
        """Return the name of this request."""
        given = header(scope, b"x-request-id")
        if given is not None and _REQUEST_ID.fullmatch(given):
            return given.decode()
        return f"{self._prefix}-{next(self._numbers):x}"


async def send_answer(send: Send, answer: Answer, request_id: str) -> None:
    """Send a JSON answer."""
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(answer.body)),
        (b"x-request-id", request_id.encode()),
        *answer.headers,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def send_problem(send: Send, error: RequestError, request_id: str) -> None:
    """Send a problem document."""
    body = document(error, request_id)
    headers = [*raw_headers(error, request_id), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
