"""``headrace validate`` prints the value and what was done; its exit code is the verdict."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from common.errors import RequestError
from headrace.cli import build_app

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.fixture
def schema(tmp_path: Path) -> str:
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(SCHEMA))
    return str(path)


def test_a_mended_answer_is_accepted_and_its_repairs_are_named(schema: str, tmp_path: Path) -> None:
    answer = tmp_path / "answer.txt"
    answer.write_text("Sure: {n: '1',}")

    result = CliRunner().invoke(build_app(), ["validate", schema, str(answer)])

    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"n": 1}
    assert "key-quoted" in result.stderr
    assert "number-read at /n" in result.stderr


@pytest.mark.parametrize(("text", "options"), [("no JSON here", []), ("{n: 1}", ["--policy", "strict"])])
def test_what_is_refused_exits_with_4_and_says_why(schema: str, text: str, options: list[str]) -> None:
    result = CliRunner().invoke(build_app(), ["validate", schema, "-", *options], input=text)

    assert result.exit_code == 4
    assert result.stdout == ""
    assert "refused" in result.stderr


def test_all_of_it_comes_as_json(schema: str) -> None:
    result = CliRunner().invoke(build_app(), ["validate", schema, "-", "--json"], input='{"n": "x"}')

    printed = json.loads(result.stdout)
    assert (result.exit_code, printed["ok"], printed["strict"]) == (4, False, True)
    assert printed["violations"][0]["pointer"] == "/n"


def run(arguments: list[str], **options: Any) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-m", "headrace", "validate", *arguments]
    return subprocess.run(command, capture_output=True, check=False, **options)


def test_an_answer_that_is_not_utf_8_is_no_answer(schema: str) -> None:
    ended = run([schema, "-", "--policy", "strict"], input=b'{"n": 1, "s": "\xff"}')

    assert (ended.returncode, ended.stdout) == (1, b"")
    assert b"standard input is not UTF-8 at byte 15" in ended.stderr


def test_the_value_is_utf_8_on_every_terminal_and_control_characters_stay_words(schema: str) -> None:
    answer = '{"n": "1", "\u001b[31mé": "é"}'.encode()

    ended = run([schema, "-"], input=answer, env={**os.environ, "PYTHONIOENCODING": "ascii"})

    assert ended.returncode == 0
    assert b"\x1b" not in ended.stderr + ended.stdout
    ended = run([schema, "-"], input='{"n": "1", "s": "é"}'.encode(), env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (ended.returncode, ended.stdout.decode()) == (0, '{"n":1,"s":"é"}\n')


def test_standard_streams_that_are_closed_or_full_are_no_traceback(schema: str, tmp_path: Path) -> None:
    answer = tmp_path / "answer.txt"
    answer.write_text('{"n": 1}')
    shell = f"'{sys.executable}' -m headrace validate '{schema}'"

    for rest, code in ((" - <&-", 4), (f" '{answer}' >&-", 0), (f" '{answer}' >/dev/full", 1)):
        ended = subprocess.run(shell + rest, shell=True, capture_output=True, check=False)
        assert (ended.returncode, b"Traceback" in ended.stderr) == (code, False), rest


@pytest.mark.parametrize("as_schema", [False, True])
def test_a_file_without_end_is_refused(schema: str, as_schema: bool) -> None:
    arguments = ["/dev/zero", schema] if as_schema else [schema, "/dev/zero"]
    result = CliRunner().invoke(build_app(), ["validate", *arguments])

    assert result.exit_code != 0
    assert isinstance(result.exception, RequestError)
    assert "larger than 64 MiB" in str(result.exception)
