"""``python -m bench.mock``: a model behind HTTP that speaks OpenAI's chat completions, as cheaply as possible.

It answers every POST with the benchmark's answer after a latency drawn evenly from a range. It checks nothing and
is no server for anything else. Its CPU is not counted, yet it shares the machine.
"""

import asyncio
import random
import signal
import sys
from typing import Final, cast

import orjson
import uvloop

from bench.workload import ANSWER, MODEL

_HEAD_END: Final = b"\r\n\r\n"


def reply(answer: str = ANSWER) -> bytes:
    """Return a whole HTTP answer, as the vendor would give it."""
    body = orjson.dumps(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion",
            "created": 1_767_225_600,
            "model": f"{MODEL}-1",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": answer, "refusal": None},
                    "finish_reason": "stop",
                }
            ],
            "usage": {"prompt_tokens": 410, "completion_tokens": 150, "total_tokens": 560},
        }
    )
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


class RequestFraming:
    """Counts whole requests in a stream of bytes, by Content-Length alone."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> int:
        """Take bytes and return how many requests they completed. Raises ValueError: no Content-Length."""
        self._buffer += data
        whole = 0
        while (end := self._buffer.find(_HEAD_END)) >= 0:
            size = end + len(_HEAD_END) + content_length(self._buffer[:end])
            if len(self._buffer) < size:
                break
            self._buffer = self._buffer[size:]
            whole += 1
        return whole


def content_length(head: bytes) -> int:
    """Return the Content-Length of a message's head. Raises ValueError where it has none."""
    lowered = head.lower()
    start = lowered.find(b"\r\ncontent-length:")
    if start < 0:
        raise ValueError("a message without Content-Length")
    start += len(b"\r\ncontent-length:")
    end = lowered.find(b"\r\n", start)
    return int(lowered[start : end if end >= 0 else None])


class Connection(asyncio.Protocol):
    """One keep-alive connection. Answers to pipelined requests may change order; clients here do not pipeline."""

    def __init__(self, latency_s: tuple[float, float], answer: bytes, chance: random.Random) -> None:
        self._latency_s = latency_s
        self._answer = answer
        self._chance = chance
        self._framing = RequestFraming()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        for _ in range(self._framing.feed(data)):
            self._loop.call_later(self._chance.uniform(*self._latency_s), self._send)

    def _send(self) -> None:
        if self._transport is not None:
            self._transport.write(self._answer)


async def _serve(port: int, least_ms: float, most_ms: float) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    answer, chance = reply(), random.Random(0)
    server = await loop.create_server(
        lambda: Connection((least_ms / 1000, most_ms / 1000), answer, chance), "127.0.0.1", port, backlog=1024
    )
    await stop.wait()
    server.close()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])))
