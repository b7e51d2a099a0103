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
        ("\\[\n\\boxed{ 42 }\n\\]\n", {"type": "integer"}, 42),
        (r"**Final Answer:** $\boxed{\text{low}}$<|im_end|>", {"enum": ["low", "high"]}, "low"),
        ('\\[\n\\boxed{{"n": 1}}\n\\]', SCHEMA, {"n": 1}),
        ("<think>\nSo \\boxed{42}\n</think>\n\n**Final Answer**\n\n\\boxed{42}", {"type": "integer"}, 42),
        (r"<think>\boxed{42}?</think>{'n': 1}", SCHEMA, {"n": 1}),
        ('```json\n{"n": 1}\n```\n\\boxed{1}', SCHEMA, {"n": 1}),
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


@pytest.mark.parametrize(
    "text",
    [
        # A part of the number, or a bound
        r"-\boxed{42}",
        r"$x=-\boxed{42}$",
        r"10^\boxed{6}",
        r"3,\boxed{42}",
        r"1.5 \times \boxed{42}",
        r"at least \boxed{42}",
        r"\neq \boxed{42}",
        r"\boxed{5!}",
        # A thought, not an answer
        r"<think>maybe \boxed{42}",
        r"[THINK] it may be \boxed{42}",
        # Doubted or rivalled
        "This answer is wrong:\n\\boxed{42}",
        r"It cannot be \boxed{42}",
        r"For instance \boxed{42}",
        "The answer is 41.\n\n\\boxed{42}",
        r"As shown in [1], the answer is \boxed{42}",
        r"[41] \boxed{42}",
        "\\begin{align}a &= 1 \\\\[5] b &= 2\\end{align}\n\\boxed{2}",
    ],
)
def test_a_box_beside_other_words_is_refused(text: str) -> None:
    assert not extract(text, {"type": "integer"}).ok


def test_what_was_set_aside_around_a_box_is_told() -> None:
    extraction = extract(r"<think>a</think>The answer is \boxed{{'n': 1}}.", SCHEMA)

    assert [(each.kind, each.start, each.end) for each in extraction.repairs] == [
        (RepairKind.PROSE_SET_ASIDE, 16, 37),
        (RepairKind.PROSE_SET_ASIDE, 45, 47),
        (RepairKind.THOUGHT_SET_ASIDE, 0, 16),
        (RepairKind.QUOTES_REPLACED, 38, 39),
    ]
    assert not extract(r"<think>a</think>\boxed{{'n': 1}}", SCHEMA, policy=SET_ASIDE).ok


@pytest.mark.parametrize(
    "text", ["\\boxed{" + '\\"' * 400_000, "\\boxed{" + "{" * 400_000, '\\boxed{{"n": "' + 'a"' * 300_000]
)
def test_a_box_of_any_size_is_refused_in_time(text: str) -> None:
    assert not extract(text, SCHEMA).ok
