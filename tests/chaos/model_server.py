"""``python -m tests.chaos.model_server PORT SEED SHARE LOG``: the scripted model, OpenAI's chat completions over HTTP.

Each call is logged before anything is answered, in one write to a file that only grows, and again when its answer
has gone out. Killed and started again, it goes on counting where its log ends.
"""

import asyncio
import os
import signal
import socket
import struct
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import orjson

from tests.chaos.model_faults import RESET_EVERY_CONNECTIONS, Answer, Fate, answer_of
from tests.chaos.workload import marker_in

_HANG_S = 60.0
_DRIPS = 8
_DRIP_S = 0.15


class CallLog:
    """The file of calls."""

    def __init__(self, path: Path) -> None:
        self.numbers: Counter[str] = Counter()
        if path.exists():
            for line in path.read_bytes().splitlines():
                self._count(line)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        # A write that a kill cut short must not swallow the next line.
        os.write(self._file, b"\n")

    def begun(self, marker: str, answer: Answer) -> None:
        """Note a call that came in."""
        self._write(
            {
                "call": answer.call_id,
                "marker": marker,
                "number": self.numbers[marker],
                "at": time.time(),
                "fault": answer.fate,
                "input_tokens": answer.input_tokens,
                "output_tokens": answer.output_tokens,
                "output": answer.output,
            }
        )

    def ended(self, answer: Answer) -> None:
        """Note that its answer went out whole."""
        self._write({"whole": answer.call_id, "at": time.time()})

    def _write(self, line: dict[str, Any]) -> None:
        os.write(self._file, orjson.dumps(line) + b"\n")

    def _count(self, line: bytes) -> None:
        try:
            known = orjson.loads(line)
        except orjson.JSONDecodeError:
            return
        if "marker" in known:
            self.numbers[known["marker"]] += 1


class Model:
    """Serves connections."""

    def __init__(self, seed: int, share: float, log: CallLog) -> None:
        self._seed = seed
        self._share = share
        self._log = log
        self._connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the calls of one connection."""
        self._connections += 1
        try:
            if self._share and self._connections % RESET_EVERY_CONNECTIONS == 0:
                _reset(writer)
                return
            while (body := await _request(reader)) is not None:
                if not await self._answer(body, writer):
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    async def _answer(self, body: bytes, writer: asyncio.StreamWriter) -> bool:
        """Answer one call; return whether the connection goes on."""
        marker = marker_in(body)
        if marker is None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
            return True
        self._log.numbers[marker] += 1
        answer = answer_of(self._seed, marker, self._log.numbers[marker], self._share)
        self._log.begun(marker, answer)
        await asyncio.sleep(_HANG_S if answer.fate is Fate.HANG else answer.delay_s)
        if answer.fate in {Fate.RESET, Fate.HANG}:
            _reset(writer)
            return False
        whole = _http(answer)
        if answer.fate is Fate.CUT:
            writer.write(whole[: len(whole) - len(answer.body) // 2])
            await writer.drain()
            return False
        pieces = [whole]
        if answer.fate is Fate.DRIP:
            size = len(whole) // _DRIPS + 1
            pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            if len(pieces) > 1:
                await asyncio.sleep(_DRIP_S)
        self._log.ended(answer)
        return True


def _http(answer: Answer) -> bytes:
    headers = "".join(f"{name}: {value}\r\n" for name, value in answer.headers)
    head = f"HTTP/1.1 {answer.status} Scripted\r\ncontent-type: application/json\r\n{headers}"
    return f"{head}content-length: {len(answer.body)}\r\n\r\n".encode() + answer.body


async def _request(reader: asyncio.StreamReader) -> bytes | None:
    """The body of the next request; None when the client has gone."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return await reader.readexactly(int(lengths[0].partition(b":")[2]) if lengths else 0)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _main(port: int, seed: int, share: float, log: Path) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    model = Model(seed, share, CallLog(log))
    server = await asyncio.start_server(model.serve, "127.0.0.1", port, backlog=512)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4])))
