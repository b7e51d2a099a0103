"""Quote marks, doubled braces, CDATA and a box come off where they are around the whole value, and only there."""

from typing import Any

import pytest

from output_validation import LOSSLESS, SET_ASIDE, Policy, RepairKind, extract

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "n": {"type": "integer"},
        "s": {"type": "string"},
        "parts": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}}}},
    },
    "required": ["n"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("text", "value", "kinds"),
    [
        ('> {\n>   "n": 1,\n> "s": "a"\n> }', {"n": 1, "s": "a"}, ["block-quote-removed"]),
        ('> ```json\n> {\n> "n": 1\n> }\n> ```', {"n": 1}, ["block-quote-removed", "fence-removed"]),
        ('Here:\n\n> {\n> "n": 1\n> }\n', {"n": 1}, ["block-quote-removed", "prose-set-aside"]),
        ('> I was asked.\n\n> {\n> "n": 1\n> }', {"n": 1}, ["block-quote-removed", "prose-set-aside"]),
        ('{{"n": 1}}', {"n": 1}, ["braces-halved"]),
        ('{{\n"n": 1, "parts": [{{"n": 2}}, {{}}]\n}}', {"n": 1, "parts": [{"n": 2}, {}]}, ["braces-halved"]),
        ('```\n{{"n": 1}}\n```', {"n": 1}, ["braces-halved", "fence-removed"]),
        ('<json><![CDATA[\n{"n": 1}\n]]></json>', {"n": 1}, ["prose-set-aside"] * 3),
        ('<![CDATA[{"n": 1}]]>', {"n": 1}, ["prose-set-aside"]),
        ('\ufeff> {\n> "n": 1\n> }', {"n": 1}, ["block-quote-removed", "bom-removed"]),
    ],
)
def test_markup_around_the_value_comes_off_and_is_named(text: str, value: object, kinds: list[str]) -> None:
    extraction = extract(text, SCHEMA)

    assert extraction.ok, extraction.reason
    assert extraction.value == value
    assert not extraction.strict
    assert [repair.kind.value for repair in extraction.repairs] == kinds
    assert all(0 <= repair.start < repair.end <= len(text) for repair in extraction.repairs)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('> {\n> "n": 1\n> }\n\nNo: {"n": "x"}', id="what is quoted is not the answer"),
        pytest.param('You sent:\n> {\n> "n": 1\n> }\nWhat shall I do with it?', id="a quotation of somebody else"),
        pytest.param('Use {{"n": 2}} as the template.', id="a template"),
        pytest.param('> {\n> "n": 1\n> }\n\nor\n\n> {\n> "n": 2\n> }', id="two quotations"),
        pytest.param('{{"n": 1, "s": "{a}"}}', id="a string may have had its braces doubled"),
        pytest.param('{{"n": 1, "parts": [{"n": 2}]}}', id="not all braces are doubled"),
        pytest.param('{{"n": 1}', id="one brace too many"),
        pytest.param("{{\"n\": 1, 's': 'a {{x}} b'}}", id="braces in a string in other quotes"),
        pytest.param('> {\n> "n": 1,\n> "s": "a\n> b"\n> }', id="a string over two quoted lines"),
        pytest.param('> {\n> "n": 1,\n> "s": """a\n> b"""\n> }', id="a triple-quoted string over two quoted lines"),
        pytest.param('<![CDATA[{"n": 1}]]><![CDATA[{"n": 2}]]>', id="two sections"),
        pytest.param(r'\boxed{{"n": 1}} or \boxed{{"n": 2}}', id="two boxes"),
        pytest.param(r'\boxed{{"n": 1}} is what they say', id="a box that is spoken of"),
        pytest.param(r'{"n": 2} or \boxed{{"n": 1}}', id="a value beside the box"),
        pytest.param(r'\boxed{{"n": 1}', id="a box that is not closed"),
    ],
)
def test_what_may_have_been_meant_otherwise_is_refused(text: str) -> None:
    assert not extract(text, SCHEMA).ok


def test_a_quoted_line_in_a_string_keeps_its_mark() -> None:
    extraction = extract('{"n": 1, "s": "see\n> {x}\n> y"}', SCHEMA)

    assert extraction.value == {"n": 1, "s": "see\n> {x}\n> y"}


def test_the_policy_decides() -> None:
    assert extract('> {\n> "n": 1\n> }', SCHEMA, policy=SET_ASIDE).ok
    assert not extract('{{"n": 1}}', SCHEMA, policy=SET_ASIDE).ok
    assert not extract('{{"n": 1}}', SCHEMA, policy=Policy(LOSSLESS.allowed - {RepairKind.BRACES_HALVED})).ok


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        (r'\boxed{{"n": 1}}', SCHEMA, {"n": 1}),
        (r'So the answer is $\boxed{{"n": 1, "s": "a}b"}}$.', SCHEMA, {"n": 1, "s": "a}b"}),
        ("We get\n\\[\n\\boxed{ 42 }\n\\]\n", {"type": "integer"}, 42),
        (r"As \frac{1}{2} > 0, it is $\boxed{\text{low}}$<|im_end|>", {"enum": ["low", "high"]}, "low"),
        (r"\boxed{low}", {"enum": ["low", "high"]}, "low"),
        (r"It is not \boxed{low}", {"enum": ["low", "high"]}, None),
        (r'{"n": 1}, so \boxed{low}', {"enum": ["low", "high"]}, None),
        (r"\boxed{low} is wrong", {"enum": ["low", "high"]}, None),
        (r"\boxed{any words}", {"type": "string"}, None),
    ],
)
def test_a_box_holds_the_answer_that_it_ends(text: str, schema: dict[str, Any], value: object) -> None:
    extraction = extract(text, schema)

    assert extraction.ok == (value is not None)
    assert value is None or extraction.value == value
