"""Log lines are JSON, and hold neither payloads nor secrets."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from prometheus_client import generate_latest

from common.errors import DatabaseUnavailable
from common.telemetry import configure_logging, new_registry

SECRET = "hunter2"


class Lines(io.StringIO):
    """What was logged, decoded."""

    def last(self) -> dict[str, Any]:
        return json.loads(self.getvalue().splitlines()[-1])  # type: ignore[no-any-return]


@pytest.fixture
def lines() -> Iterator[Lines]:
    stream = Lines()
    configure_logging("door", "INFO", stream)
    yield stream
    configure_logging("test", stream=io.StringIO())


def test_a_line_says_what_where_and_when(lines: Lines) -> None:
    structlog.get_logger("fresh").info("opened", recipes=2)

    line = lines.last()
    assert (line["event"], line["recipes"], line["service"], line["level"]) == ("opened", 2, "door", "info")
    assert line["at"].endswith("Z")


def test_the_standard_library_speaks_the_same_way(lines: Lines) -> None:
    logging.getLogger("somebody").warning("that %s", "happened")

    assert lines.last() | {"at": ""} == {
        "event": "that happened",
        "logger": "somebody",
        "level": "warning",
        "service": "door",
        "at": "",
    }


@pytest.mark.parametrize("name", ["input", "output", "prompt", "authorization", "password", "body", "raw"])
def test_names_of_payloads_and_secrets_are_withheld(lines: Lines, name: str) -> None:
    structlog.get_logger("fresh").info("seen", **{name: SECRET})

    assert lines.last()[name] == "[withheld]"
    assert SECRET not in lines.getvalue()


def test_an_exception_is_told_by_type_and_frames_without_its_text(lines: Lines) -> None:
    local = SECRET
    try:
        try:
            raise KeyError(local)
        except KeyError as inner:
            raise ValueError(f"bad value {local}") from inner
    except ValueError as error:
        structlog.get_logger("fresh").error("failed", exc_info=error)

    told = lines.last()["exception"]
    assert (told["type"], told["cause"]["type"]) == ("ValueError", "KeyError")
    assert "test_telemetry.py" in told["frames"][0]
    assert SECRET not in lines.getvalue()


def test_our_own_errors_are_told_with_their_text(lines: Lines) -> None:
    try:
        raise DatabaseUnavailable("Postgres is not answering")
    except DatabaseUnavailable:
        logging.getLogger("somebody").exception("failed")

    assert lines.last()["exception"]["text"] == "Postgres is not answering"


def test_a_registry_knows_its_process_and_build() -> None:
    text = generate_latest(new_registry("door", "1.2.3")).decode()

    assert 'headrace_build_info{service="door",version="1.2.3"} 1.0' in text
    assert "process_cpu_seconds_total" in text
    assert "_created" not in text
