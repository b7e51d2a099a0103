"""docs/validation.md shows an example of every repair, and each of them is what happens."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from output_validation import ANYTHING, LOSSLESS, LOSSY, RepairKind, extract

DOC = (Path(__file__).parents[3] / "docs" / "validation.md").read_text(encoding="utf-8")
SCHEMA: dict[str, Any] = json.loads(re.search(r"```json\n(.*?)\n```", DOC, re.DOTALL).group(1))  # type: ignore[union-attr]  # the page has one
ROWS = re.findall(r"^\| `([a-z-]+)` \| `(.+?)` \| `(\{.+?\})` \|$", DOC, re.MULTILINE)
SIGNS = str.maketrans({"⏎": "\n", "·": "\ufeff", "¤": "\x0b"})


@pytest.mark.parametrize(("kind", "answer", "value"), ROWS, ids=[row[0] for row in ROWS])
def test_the_example_is_what_happens(kind: str, answer: str, value: str) -> None:
    text = answer.strip(" ").translate(SIGNS)

    extraction = extract(text, SCHEMA, policy=ANYTHING)

    assert extraction.ok, extraction.reason
    assert extraction.value == json.loads(value)
    assert kind in {repair.kind.value for repair in extraction.repairs}
    assert extract(text, SCHEMA, policy=LOSSLESS).ok == (RepairKind(kind) not in LOSSY)
    assert all(0 <= repair.start <= repair.end <= len(text) for repair in extraction.repairs)


def test_values_in_a_row_become_an_array_where_one_is_wanted() -> None:
    extraction = extract('{"n": 1}\n{"n": 2}', {"type": "array", "items": SCHEMA})

    assert extraction.value == [{"n": 1}, {"n": 2}]
    assert RepairKind.VALUES_JOINED in {repair.kind for repair in extraction.repairs}


def test_every_repair_is_on_the_page() -> None:
    assert {row[0] for row in ROWS} | {"values-joined"} == {kind.value for kind in RepairKind}
