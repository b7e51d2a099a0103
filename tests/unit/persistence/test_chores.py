"""What a chore prints is read by programs: its logs go elsewhere."""

import json
import logging

import pytest
import structlog

import persistence.__main__ as command
from common.settings import Settings
from persistence.reconciler.reconciler import Repaired


def test_a_repair_that_has_something_to_log_prints_nothing_but_its_result(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def repair(settings: Settings) -> Repaired:
        structlog.get_logger("persistence.reconciler").warning("jobs_published_again", jobs=1)
        return Repaired(published=1, given_up=0, topics=0)

    monkeypatch.setattr(command, "repair", repair)
    monkeypatch.setenv("HEADRACE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setattr("sys.argv", ["persistence", "repair"])
    handlers, level = logging.root.handlers[:], logging.root.level
    try:
        command.main()
    finally:
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
        structlog.reset_defaults()

    printed = capsys.readouterr()
    assert json.loads(printed.out)["published"] == 1
    assert json.loads(printed.err)["event"] == "jobs_published_again"
