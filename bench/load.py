"""``python -m bench.load``: posts jobs over keep-alive connections, as fast as answered or at a fixed rate.

Told what to do by JSON on stdin, ends by itself at ``stop_at_s``, prints its counts as JSON. Submitted jobs that
have no output yet are bounded, so that a closed loop measures the pipeline in steady state and not a growing
queue. Its CPU is not counted; it is lean because it shares the machine.
"""

import asyncio
import gc
import sys
import time
from collections import Counter, deque
from pathlib import Path
from typing import BinaryIO, Final, cast
from uuid import UUID

import orjson
import uvloop
from pydantic import BaseModel, ConfigDict

from bench.mock import content_length
from bench.tally import ACCEPTED, SharedCount
from bench.workload import make_request

_HEAD_END: Final = b"\r\n\r\n"
_INPUTS: Final = 512
_TICK_S: Final = 0.002
_LAST_ANSWERS_S: Final = 15.0
_REFUSED_PAUSE_S: Final = 0.05


class LoadOrder(BaseModel):
    """What to post. ``rate`` None: the next job as soon as a connection is free. Times are CLOCK_MONOTONIC."""

    model_config = ConfigDict(frozen=True)

    port: int
    key: str
    connections: int
    outstanding: int
    rate: float | None = None
    stop_at_s: float
    accepted_file: Path
    count_file: Path


class LoadCounts(BaseModel):
    """What became of the posts. ``unknown``: the connection broke before an answer."""

    model_config = ConfigDict(frozen=True)

    posted: int
    accepted: int
    refused: dict[str, int] = {}
    unknown: int = 0


class Pace:
    """How many posts may have been made by now. Pure but for what it is told."""

    def __init__(self, rate: float | None, outstanding: int, started_s: float) -> None:
        self._rate = rate
        self._outstanding = outstanding
        self._started_s = started_s

    def allowed(self, now_s: float, seen: int) -> int:
        """Return the greatest number of posts allowed at a time, given how many outputs were seen."""
        bound = seen + self._outstanding
        # The margin keeps rounding from putting a post off that is due right now.
        return bound if self._rate is None else min(bound, int((now_s - self._started_s) * self._rate + 1e-6))

    def next_s(self, posted: int, now_s: float) -> float:
        """Return when to look again."""
        if self._rate is None:
            return now_s + _TICK_S
        return max(self._started_s + (posted + 1) / self._rate, now_s + _TICK_S / 20)


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request in flight."""

    def __init__(self, generator: "Generator") -> None:
        self._generator = generator
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._begun_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._generator.free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._generator.lost(self, in_flight=bool(self._begun_s))

    def post(self, request: bytes) -> None:
        """Send a request; the generator hears of its answer."""
        if self._transport is not None:
            self._begun_s = time.monotonic()
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data
        end = data.find(_HEAD_END)
        if end < 0 or len(data) < (size := end + len(_HEAD_END) + content_length(data[:end])):
            self._buffer = data
            return
        self._buffer = b""
        begun_s, self._begun_s = self._begun_s, 0.0
        self._generator.answered(self, data[9:12], data[end + len(_HEAD_END) : size], begun_s)

    def close(self) -> None:
        """Close it."""
        if self._transport is not None:
            self._transport.close()


class Generator:
    """Owns the connections and decides when each posts."""

    def __init__(self, order: LoadOrder, seen: SharedCount, out: BinaryIO) -> None:
        self._order = order
        self._seen = seen
        self._seen_before = seen.value
        self._out = out
        self._loop = asyncio.get_running_loop()
        self._requests = [
            make_request(number, host=f"127.0.0.1:{order.port}", key=order.key) for number in range(_INPUTS)
        ]
        self._pace = Pace(order.rate, order.outstanding, time.monotonic())
        self._free: deque[Connection] = deque()
        self._all: set[Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._posted = self._in_flight = self._accepted = self._unknown = 0
        self._refused: Counter[str] = Counter()
        self._stopping = False
        self._idle = asyncio.Event()

    async def run(self) -> LoadCounts:
        """Post until the order's end, then wait (bounded) for the last answers."""
        for _ in range(self._order.connections):
            self._open(0.0)
        self._tick()
        await asyncio.sleep(self._order.stop_at_s - time.monotonic())
        self._stopping = True
        if self._in_flight:
            async with asyncio.timeout(_LAST_ANSWERS_S):
                await self._idle.wait()
        for connection in tuple(self._all):
            connection.close()
        return LoadCounts(
            posted=self._posted,
            accepted=self._accepted,
            refused=dict(self._refused),
            unknown=self._unknown,
        )

    def free(self, connection: Connection) -> None:
        """A connection can post."""
        self._all.add(connection)
        self._free.append(connection)
        self._pump()

    def lost(self, connection: Connection, *, in_flight: bool) -> None:
        """A connection is gone; another takes its place."""
        self._all.discard(connection)
        if connection in self._free:
            self._free.remove(connection)
        if in_flight:
            self._unknown += 1
            self._ended()
        if not self._stopping:
            self._open(_REFUSED_PAUSE_S)

    def answered(self, connection: Connection, status: bytes, body: bytes, begun_s: float) -> None:
        """A connection got its answer."""
        if status == b"202":
            self._accepted += 1
            self._out.write(ACCEPTED.pack(UUID(orjson.loads(body)["id"]).bytes, begun_s, time.monotonic()))
            self._ended()
            self.free(connection)
        else:
            self._refused[status.decode()] += 1
            self._ended()
            self._loop.call_later(_REFUSED_PAUSE_S, self.free, connection)

    def _ended(self) -> None:
        self._in_flight -= 1
        if self._stopping and not self._in_flight:
            self._idle.set()

    def _tick(self) -> None:
        if not self._stopping:
            self._pump()
            self._loop.call_later(max(0.0, self._pace.next_s(self._posted, now := time.monotonic()) - now), self._tick)

    def _pump(self) -> None:
        if self._stopping or not self._free:
            return
        # Refused posts make no output: they do not count against the bound.
        seen = self._seen.value - self._seen_before + sum(self._refused.values()) + self._unknown
        allowed = self._pace.allowed(time.monotonic(), seen)
        while self._free and self._posted < allowed:
            self._free.popleft().post(self._requests[self._posted % _INPUTS])
            self._posted += 1
            self._in_flight += 1

    def _open(self, delay_s: float) -> None:
        task = self._loop.create_task(self._connect(delay_s))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _connect(self, delay_s: float) -> None:
        while not self._stopping:
            await asyncio.sleep(delay_s)
            try:
                await self._loop.create_connection(lambda: Connection(self), "127.0.0.1", self._order.port)
            except OSError:
                delay_s = _REFUSED_PAUSE_S
            else:
                return


async def _generate(order: LoadOrder) -> LoadCounts:
    with order.accepted_file.open("wb") as out, SharedCount(order.count_file) as seen:
        generator = Generator(order, seen, out)
        gc.freeze()
        return await generator.run()


def main() -> None:
    """Post as ordered on stdin and print the counts."""
    order = LoadOrder.model_validate_json(sys.stdin.buffer.read())
    sys.stdout.write(uvloop.run(_generate(order)).model_dump_json() + "\n")


if __name__ == "__main__":
    main()
