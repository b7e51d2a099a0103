"""The log files of a stack: bounded in size, read from the end, followed."""

import asyncio
import os
import shutil
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path

LIMIT_BYTES = 10 * 1024 * 1024
KEPT = 2
FOLLOW_EVERY_S = 0.2


def bound(folder: Path, limit_bytes: int = LIMIT_BYTES) -> None:
    """Cuts logs that grew past the limit, keeping the last ``KEPT`` whole ones beside them.

    Writers hold the files open for append, so a log is copied and cut short, not renamed; the few lines
    written between the two are lost.
    """
    for log in folder.glob("*.log"):
        if log.stat().st_size <= limit_bytes:
            continue
        for number in range(KEPT, 1, -1):
            older = log.with_suffix(f".log.{number - 1}")
            if older.exists():
                older.replace(log.with_suffix(f".log.{number}"))
        # On a full disk the copy is what is given up.
        with suppress(OSError):
            shutil.copy2(log, log.with_suffix(".log.1"))
        os.truncate(log, 0)


def last_lines(log: Path, count: int) -> list[str]:
    try:
        with log.open(errors="replace") as lines:
            return [line.rstrip("\n") for line in deque(lines, maxlen=count)]
    except FileNotFoundError:
        return []


async def follow(logs: Sequence[Path], starts_bytes: Sequence[int]) -> AsyncIterator[tuple[Path, str]]:
    """Whole lines as they are written, from the given places on; a log cut short is read from its start."""
    places = dict(zip(logs, starts_bytes, strict=True))
    while True:
        for log in logs:
            size = log.stat().st_size if log.exists() else 0
            if size < places[log]:
                places[log] = 0
            if size == places[log]:
                continue
            with log.open("rb") as content:
                content.seek(places[log])
                text = content.read(size - places[log])
            whole = text[: text.rfind(b"\n") + 1]
            places[log] += len(whole)
            for line in whole.decode(errors="replace").splitlines():
                yield log, line
        await asyncio.sleep(FOLLOW_EVERY_S)
