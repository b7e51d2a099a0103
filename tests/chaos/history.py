"""The history of a run: one folder, files that only grow, one JSON document a line. Read again by the checker."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson


class Journal:
    """One file of the history; a line is written with one system call."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, what: str, **fields: Any) -> float:
        """Write a line and return its time."""
        at = time.time()
        os.write(self._file, orjson.dumps({"what": what, "at": at, **fields}) + b"\n")
        return at

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the documents of a file; a line that a kill cut short is passed over."""
    if not path.exists():
        return
    for line in path.read_bytes().splitlines():
        try:
            document = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(document, dict):
            yield document
