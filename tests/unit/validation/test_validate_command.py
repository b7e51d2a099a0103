"""``headrace validate`` prints the value and what was done; its exit code is the verdict."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

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
