"""Of what an answer holds, extract takes what is meant: no draft, no example, no part, no string cut in the middle."""

import json
from typing import Any

import pytest

from output_validation import LOSSLESS, SET_ASIDE, Policy, extract
from tests.unit.validation.schemas import ONE_NUMBER, fenced


@pytest.mark.parametrize(
    ("escaped", "plain"),
    [
        ("it&#039;s", "it's"),
        ("a&#x2F;b", "a/b"),
        ("caf&eacute; &#8217;", "caf\u00e9 \u2019"),
        ("&amp;lt;", "&lt;"),
        ("?a=1&copy=2 &nope;", "?a=1&copy=2 &nope;"),
    ],
)
def test_what_was_escaped_for_html_is_undone_once(escaped: str, plain: str) -> None:
    assert extract(f"{{&quot;s&quot;: &quot;{escaped}&quot;}}", None).value == {"s": plain}


@pytest.mark.parametrize(
    ("text", "schema", "pointers"),
    [
        ('{"n": "1"}\n{"n": "2"}', ONE_NUMBER, ["/0/n", "/1/n", None]),
        ('{"tags": "a"}\n{"tags": "b"}', {"properties": {"tags": {"type": "array"}}}, ["/0/tags", "/1/tags", None]),
    ],
)
def test_what_was_read_in_joined_lines_is_told_of_the_item_that_it_is(
    text: str, schema: dict[str, Any], pointers: list[str | None]
) -> None:
    extraction = extract(text, {"type": "array", "items": {"type": "object", **schema}})

    assert [repair.pointer for repair in extraction.repairs] == pointers


@pytest.mark.parametrize("policy", [LOSSLESS, SET_ASIDE])
@pytest.mark.parametrize(
    "text",
    [
        '{"n": "1"}\n\n{"n": 2}',
        '{"n": 1,}\n\n{"n": 2}',
        fenced('{"n": "1"}') + fenced('{"n": 2}'),
    ],
)
def test_what_the_policy_forbids_to_mend_is_still_a_rival(text: str, policy: Policy) -> None:
    assert not extract(text, ONE_NUMBER, policy=policy).ok


def test_what_is_mended_though_it_may_not_be_is_no_answer_where_words_call_it_one() -> None:
    text = 'Final answer: {"n": 1,}\n\nExample: {"n": 2}'

    assert extract(text, ONE_NUMBER).value == {"n": 1}
    assert not extract(text, ONE_NUMBER, policy=SET_ASIDE).ok


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("```json\n<think>no</think>\n" + '{"n": 1}\n```', {"fence-removed", "thought-set-aside"}),
        ('I would rather not.<think>x</think>{"n": 1}', {"prose-set-aside", "thought-set-aside"}),
        ('{"n": 1}\nDone, I hope.\n<think>x</think>', {"prose-set-aside", "thought-set-aside"}),
        ('<think>x</think>{"n": 1}', {"thought-set-aside"}),
        ('\ufeff{"n": "1"}', {"bom-removed", "number-read"}),
        ('\ufeff"{\\"n\\": 1,}"', {"bom-removed", "string-decoded", "comma-removed"}),
    ],
)
def test_all_that_is_set_aside_is_told_and_asks_the_policy(text: str, kinds: set[str]) -> None:
    extraction = extract(text, ONE_NUMBER)

    assert extraction.value == {"n": 1}
    assert {repair.kind.value for repair in extraction.repairs} == kinds
    assert not extraction.strict
    for kind in extraction.repairs:
        assert not extract(text, ONE_NUMBER, policy=Policy(LOSSLESS.allowed - {kind.kind})).ok


def test_a_fault_is_told_by_its_place_in_the_answer() -> None:
    before = "x" * 30

    assert "(character 37)" in extract(before + ' {"n": ,"s": 2}', None).violations[0].message
    assert "(character 31)" in extract(before + ' {\\"n\\": ,\\"s\\": 2}', None).violations[0].message
    assert "(character 38)" in extract(before + ' {"n": "\\u0000"}', None).violations[0].message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("For example:\n" + fenced('{"n": 1}') + 'So the answer is {"n": 2}.', 2),
        ("Draft:\n" + fenced('{"n": 1}') + 'Final answer: {"n": 2}', 2),
        ('The answer is {"n": 1}. For example, another format is:\n' + fenced('{"n": 2}'), 1),
        (fenced('{"n": 1}') + 'Note that {"n": 2} would be wrong.', 1),
        (fenced('{"n": 1}') + "It follows the schema:\n" + fenced(json.dumps(ONE_NUMBER)), 1),
        (fenced('{"n": 1}') + '```python\nd = {"n": "x"}\n```', 1),
        ('<think>Maybe {"m": "<think>no</think>", "n": 9}? No.</think>{"n": 1}', 1),
        ('{"name": "f", "arguments": "{\\"n\\": 1}"}', 1),
        ('{"type": "function", "function": {"name": "f", "arguments": {"n": 1}}}', 1),
        ('[{"type": "tool_use", "id": "t", "name": "f", "input": {"n": 1}}]', 1),
        (json.dumps("so: {'n': 1,}"), 1),
        ("{&quot;n&quot;: 1}", 1),
        ('Result: {"n": 1}}\nDone.', 1),
        ('{"n: 1}', 1),
        ('{""n"": 1}', 1),
        ('{n": 1}', 1),
        ('{"n" 1}', 1),
        ('{"n" => 0x10}', 16),
        ('{"n": 1}}<|im_end|>', 1),
        ('{"n": 1}}</s>', 1),
        ('{"n"\u200b: 1\u2060}', 1),
    ],
)
def test_the_answer_that_is_meant_is_read(text: str, value: int) -> None:
    extraction = extract(text, ONE_NUMBER)

    assert extraction.ok, extraction.reason
    assert extraction.value == {"n": value}


@pytest.mark.parametrize(
    "text",
    [
        "Draft:\n" + fenced('{"n": 1}') + "Final answer:\n" + fenced('{"n": "abc"}'),
        "Draft:\n" + fenced('{"n": 1}') + 'Final answer:\n```json\n{"n": ',
        fenced('{"n": 1}') + fenced('{"n": "x"}'),
        'Here is the answer: {"n": "x"}. Another example of the format: {"n": 2}',
        "The schema:\n" + fenced(json.dumps(ONE_NUMBER)) + "Answer:\n" + fenced('{"n": }'),
        '[{"m": 1], {"n": 2}]',
        '"m": 1}, {"n": 2}',
        '"m" [{"n": 2}]}',
        '<think>Maybe [{"m": "<think>no</think>"}, {"n": 2}] but',
        '[{"name": "f", "arguments": {"n": 1}}, {"name": "f", "arguments": {"n": 2}}]',
    ],
)
def test_no_draft_example_or_part_is_taken_for_an_answer_that_is_faulty(text: str) -> None:
    assert not extract(text, ONE_NUMBER).ok


_TEXTS: dict[str, Any] = {"type": "array", "items": {"type": "string"}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('["ab" + "cd"]', None),
        ('["ab"; "cd"]', None),
        ('[""ab""]', None),
        ('["a\\.b"]', None),
        ('["""a "b" c""", "d"]', ['a "b" c', "d"]),
        ('["US\\$5 \\& it\\\'s 5\\%"]', ["US$5 & it's 5%"]),
        (r'["^\d+\.\d$"]', [r"^\d+\.\d$"]),
        (r'["\d+ for US\$"]', None),
        ("According to [1]: ['a' 'b]", None),
        ("According to [1]: ['a', 'b']", ["a", "b"]),
    ],
)
def test_a_string_ends_where_nothing_else_could_be_meant(text: str, value: list[str] | None) -> None:
    extraction = extract(text, _TEXTS)

    assert (extraction.value if extraction.ok else None) == value


def test_a_member_of_the_answer_is_no_wrapper_around_it() -> None:
    tree: dict[str, Any] = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#"}}},
        "required": ["name", "children"],
    }

    assert not extract('{"children": [{"name": "a", "children": []}]}', tree).ok


_OPEN: dict[str, Any] = {"type": "object", "properties": {"n": {"type": "integer"}, "s": {"type": "string"}}}
_ROWS: dict[str, Any] = {"type": "array", "items": ONE_NUMBER}


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ('Invoice A: {"n": "1"}\nInvoice B: {"n": 2}', ONE_NUMBER),
        ('[{"n": 1}, {"n": 2}]\n\n{"n": 3}', {"anyOf": [ONE_NUMBER, _ROWS]}),
        ('[{"n": 1}, {"n": 2}]\n\n{"n": 3}', None),
        ('{"n": "bad"}\n{"n": 1}', _ROWS),
        ('1. {"n": "x"}\n2. {"n": 1}', _ROWS),
    ],
)
def test_one_of_several_values_is_not_taken_for_all(text: str, schema: dict[str, Any] | None) -> None:
    assert not extract(text, schema).ok


@pytest.mark.parametrize(
    "text",
    [
        '1. {"n": 1}\n2. {"n": 2}\n\n3. {"n": 3}',
        '- {"n": 1}\n- {"n": 2}\n- {"n": 3}',
        'I found:\n  * {"n": 1}\n  * {"n": 2}\n  * {"n": 3}\nThat is all.',
        '{"items": [{"n": 1}, {"n": 2}, {"n": 3}], "count": 3}',
    ],
)
def test_the_lines_of_a_list_and_a_counted_list_are_an_array(text: str) -> None:
    assert extract(text, _ROWS).value == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert not extract(text, ONE_NUMBER).ok


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'{\n  "n": 1, "s": "a b"\n}', {"n": 1, "s": "a b"}),
        (r'{\n  "n": 1, "s": "a\nb \"c\""\n}', {"n": 1, "s": 'a\nb "c"'}),
        (r'[\n\t1,\n\t"x"\n]', [1, "x"]),
    ],
)
def test_escaped_blanks_between_the_tokens_are_blanks(text: str, value: object) -> None:
    assert extract(text, None).value == value


def test_a_line_of_other_notation_is_no_value_of_its_own() -> None:
    assert not extract('tags: ["a", "b"]\nname: x', None).ok
    assert extract('tags: ["a", "b"]', None).value == ["a", "b"]
    assert extract('Answer: ["a", "b"]\nReason: both occur', None).value == ["a", "b"]


def test_a_number_with_commas_is_read_where_a_number_is_wanted() -> None:
    assert not extract('{"n": 1,234,567}', None).ok
    assert extract('{"n": 1,234,567}', ONE_NUMBER).value == {"n": 1_234_567}


def test_escaped_blanks_beside_signs_escaped_twice_are_read_where_a_quote_tells_how() -> None:
    assert extract(r'{\n  "s": "a \"b\" C:\\Users"\n}', None).value == {"s": 'a "b" C:\\Users'}
    assert not extract(r'{\n  "n": 1, "s": "a\\nb"\n}', None).ok


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ('Option 1:\n{"n": "one"}\n\nOption 2:\n{"n": 2}', ONE_NUMBER),
        ('First person: {"n": "one"}\nSecond person: {"n": 2}', ONE_NUMBER),
        ("Option 1:\n" + fenced('{"n": "one"}') + "Option 2:\n" + fenced('{"n": 2}'), ONE_NUMBER),
        ('{"n": "one", "s": "a"}\n\nNote that `{"n": 2}` was taken from the header.', _OPEN),
        ('[1, "two", 3]\n\nAn empty text would give `[]`.', {"type": "array", "items": {"type": "integer"}}),
        ('{"n": 1, "n": 3}\n\nNote that `{"n": 2}` was the other.', ONE_NUMBER),
        ('{"n": "one", "s": "a"}\n\n{"n": 2, "s": "b"}', _OPEN),
        (fenced('{"n": "one", "s": "a"}') + fenced('{"n": 2, "s": "b"}'), _OPEN),
        (fenced('{"n":: 1, "s": "a"}') + fenced('{"n": 2, "s": "b"}'), _OPEN),
        (fenced('{"n": 1, "s":') + fenced('{"n": 2, "s": "b"}'), _OPEN),
        ("[87, 35]\n[83, 0, 99]", {"type": "array", "items": {"type": "integer"}, "minItems": 3}),
        ('{"n": 1, 24,126.12}\n\nEmpty lists are given as [].', None),
    ],
)
def test_another_of_several_or_a_remark_is_not_taken_for_a_faulty_answer(text: str, schema: dict[str, Any]) -> None:
    assert not extract(text, schema).ok


def test_the_same_begun_anew_is_taken_for_what_was_cut_off() -> None:
    text = fenced('{"n": 1, "s":') + fenced('{\n  "n": 1,\n  "s": "b"\n}')

    assert extract(text, _OPEN).value == {"n": 1, "s": "b"}


@pytest.mark.parametrize(
    "text",
    [
        '{"n": "one"}\n\nSecond attempt:\n{"n": 1}',
        '{"n": "one"}\n\nThe correct answer is `{"n": 1}`',
        '{"n": "one"}\n\nOops, it should be `{"n": 1}`',
        'Person 2: {"n": 1}',
        '{"n": "one"}\n\n{"n": 1}',
        fenced('{"n": "one"}') + fenced('{"n": 1}'),
    ],
)
def test_another_attempt_is_taken_for_a_faulty_answer(text: str) -> None:
    assert extract(text, ONE_NUMBER).value == {"n": 1}


@pytest.mark.parametrize(
    "schema",
    [_ROWS, {"$ref": "#/$defs/L", "$defs": {"L": _ROWS}}, {**_ROWS, "type": ["array"]}],
)
def test_lines_are_joined_however_the_schema_asks_for_an_array(schema: dict[str, Any]) -> None:
    assert extract('{"n": 1}\n{"n": 2}', schema).value == [{"n": 1}, {"n": 2}]
    assert extract('{"n": 1}', schema).value == [{"n": 1}]


@pytest.mark.parametrize(
    "text",
    [
        *('{"n": 1}\n\nThe scale is ' + remark for remark in ("[0-100].", "[1/2]", "[12 kg]", "[10:30]")),
        '{"n": 1}\nUse `data["n"]` to get it.',
        'Here is the JSON for "Order #5": {"n": 1}',
        'As in [1], {"n": 1}',
        'This follows the template you gave: {"n": 1}',
    ],
)
def test_brackets_and_quotes_in_prose_are_no_part_of_the_answer(text: str) -> None:
    extraction = extract(text, ONE_NUMBER)

    assert extraction.ok, extraction.reason
    assert extraction.value == {"n": 1}


@pytest.mark.parametrize(
    "text",
    [
        'I cannot extract it. For example, the answer could look like {"n": 2}.',
        'The answer is not {"n": 2}.',
        'Do not return {"n": 2}',
        '{"n": 2} would be wrong.',
        '{"n": 1}\nFinal answer: [{"n": "x"}]',
        '{"n": 1}\n[{"n": 2',
        'true "b": {"n": 1}',
        '"a": true, "b": {"n": 1}',
        '[5], {"n": 1}]',
    ],
)
def test_a_value_that_is_no_answer_is_refused(text: str) -> None:
    assert not extract(text, ONE_NUMBER).ok


@pytest.mark.parametrize("text", ["'a': 1,\n'c': {'d': None}", '"a" => 1,\n"c" => {"d" => 2}'])
def test_a_member_of_an_object_without_its_braces_is_not_the_value(text: str) -> None:
    assert not extract(text, None).ok


@pytest.mark.parametrize("lead", ["The JSON for 'x': ", "Result for `x`:\n", "`result` = ", "the users': "])
def test_words_in_quotes_before_a_value_are_no_key(lead: str) -> None:
    assert extract(lead + '{"n": 1}', ONE_NUMBER).value == {"n": 1}


def test_a_draft_is_not_taken_for_an_answer_that_was_filled_into_the_schema() -> None:
    answer = json.dumps({"type": "object", "properties": {"n": 2}})

    assert extract(f'First draft:\n{{"n": 1}}\n\nFinal answer:\n{answer}', ONE_NUMBER).value == {"n": 2}


@pytest.mark.parametrize("code", ['d["x"]', "d['x']", "d[0]", 'f()["x"]'])
def test_a_subscript_is_no_list(code: str) -> None:
    schema = {"type": "array"}
    text = fenced('["a"]') + f"Read it by:\n```python\nprint({code})\n```"

    assert extract(text, schema).value == ["a"]


@pytest.mark.parametrize("sign", ["\u200b", "\u2060", "\ufeff", "\x01"])
def test_a_sign_that_is_not_seen_may_follow_the_bracket(sign: str) -> None:
    assert extract(f'[{sign}"a"]', {"type": "array"}).value == ["a"]


@pytest.mark.parametrize(
    "thought", ["Like, for example", 'An example: {"n": 9}', "it should not be", "a draft.\nNo, a dummy"]
)
def test_what_a_thought_says_is_not_said_of_the_answer(thought: str) -> None:
    assert extract(f'<think>{thought}</think>\n{{"n": 1}}', ONE_NUMBER).value == {"n": 1}


def test_what_a_thought_says_makes_no_final_answer() -> None:
    assert not extract('{"n": 1}\n<think>My final answer:</think>\n{"n": 2}', ONE_NUMBER).ok
