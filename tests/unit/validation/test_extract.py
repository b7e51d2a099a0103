"""extract gets the one value out of an answer, says what it did, and refuses rather than guess."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import SchemaError
from common.schema import compile_schema
from output_validation import (
    LOSSLESS,
    SET_ASIDE,
    STRICT_ONLY,
    Confidence,
    Place,
    Policy,
    RepairKind,
    check,
    extract,
)

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("text", ['{"n":1}', ' {"n": 1}\n', '\t{"n":1}'])
def test_strict_json_is_taken_as_it_is(text: str) -> None:
    extraction = extract(text, SCHEMA)

    assert extraction.ok
    assert extraction.value == {"n": 1}
    assert extraction.strict
    assert extraction.repairs == ()
    assert extraction.confidence is Confidence.STRICT


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ('Sure!\n```json\n{"n": 1}\n```\nDone.', {"fence-removed", "prose-set-aside"}),
        ('```\n{"n": 1}\n```', {"fence-removed"}),
        ('~~~json\n{"n": 1}\n~~~', {"fence-removed"}),
        ('```json\n{"n": 1}', {"fence-removed"}),
        ('The answer is {"n": 1}.', {"prose-set-aside"}),
        ('See [1] and [2, 3]: {"n": 1}', {"prose-set-aside"}),
        ('[see 5" pipe] then {"n": 1}', {"prose-set-aside"}),
        ('{{name}} and \\frac{1}{2} give {"n": 1}', {"prose-set-aside"}),
        ('<think>{"n": 9}</think>{"n": 1}', {"thought-set-aside"}),
        ('Perhaps {"n": 9}?</think>\n{"n": 1}', {"thought-set-aside"}),
        ('<THINKING>\n{"n": 9}\n</THINKING>\n```json\n{"n": 1}\n```', {"thought-set-aside", "fence-removed"}),
        ('\ufeff{"n": 1}', {"bom-removed"}),
        ('```python\nprint({"n": "x"})\n```\nso {"n": 1}', {"prose-set-aside"}),
        ('For example {"n": 9}\n```json\n{"n": 1}\n```', {"fence-removed", "prose-set-aside"}),
        ('{"m": 2} is wrong, {"n": 1} is right', {"prose-set-aside"}),
        ('{"n": 1}\n{"n": 1}', {"prose-set-aside"}),
    ],
)
def test_the_value_is_found_and_what_was_done_is_said(text: str, kinds: set[str]) -> None:
    extraction = extract(text, SCHEMA)

    assert extraction.ok, extraction.reason
    assert extraction.value == {"n": 1}
    assert not extraction.strict
    assert {repair.kind.value for repair in extraction.repairs} == kinds
    assert extraction.confidence is Confidence.LOSSLESS
    assert extraction.chosen is not None
    chosen = extraction.candidates[extraction.chosen]
    assert json.loads(text[chosen.start : chosen.end].lstrip("\ufeff")) == {"n": 1}
    assert all(0 <= r.start < r.end <= len(text) for r in extraction.repairs)


@pytest.mark.parametrize(
    ("text", "keyword"),
    [
        ("", "json"),
        ("I cannot say.", "json"),
        ('<think>{"n": 1} ...', "json"),
        ('{"n": 1', "truncated"),
        ('{"n": 1,', "truncated"),
        ('{"n": NaN}', "type"),
        ('{"n": Infinity}', "json"),
        ('```json\n{"n": nul\n```', "truncated"),
        ('{"n": "1,234"}', "type"),
        ('{"n": "a few"}', "type"),
        ('{"n": 1, "n": 2}', "duplicate-key"),
        ('so {"n": 1, "n": 2}', "duplicate-key"),
        ('{"n": 1} {"n": 2}', "ambiguous"),
        ('{"n": 1}\nno, {"n": 2,}', "ambiguous"),
        ('{"n": 1}\nno, {"n": 2 and more}', "json"),
        ('{"n": 1}\n```json\n{"n": 2,,,, what}\n```', "json"),
        ('{"steps": [{"n": 1}], and so on}', "json"),
        ('"result": {"n": 1}', "json"),
        ('{"n": 10}0}', "json"),
        ('"a": 1, {"n": 1}}', "json"),
        ('{"result": {"n": 1}, "data": {"n": 2}}', "additionalProperties"),
        ('{"error": {"n": 1}}', "additionalProperties"),
        ('here: {"n": "x"}', "type"),
        ("```json\n42\n```", "type"),
        ("[" * 10_000 + "]" * 10_000, "json"),
    ],
)
def test_what_would_be_a_guess_is_refused(text: str, keyword: str) -> None:
    extraction = extract(text, SCHEMA)

    assert not extraction.ok
    assert extraction.chosen is None
    assert extraction.violations[0].keyword == keyword
    assert extraction.reason


def test_a_valid_json_answer_of_the_wrong_shape_is_strict_and_tells_its_faults() -> None:
    extraction = extract('{"n": "x"}', SCHEMA)

    assert (extraction.ok, extraction.strict, extraction.value) == (False, True, {"n": "x"})
    assert [(v.pointer, v.keyword) for v in extraction.violations] == [("/n", "type")]
    assert list(extraction.violations) == check({"n": "x"}, SCHEMA)


def test_the_closest_candidate_is_the_one_reported() -> None:
    extraction = extract('{"a": 1, "b": 2} or {"n": "x"}', SCHEMA)

    assert extraction.value == {"n": "x"}
    assert len(extraction.candidates) == 2


def test_a_text_that_looks_like_a_thought_inside_a_value_stays() -> None:
    extraction = extract('html: {"h": "a <think>x</think> b"} end', None)

    assert extraction.value == {"h": "a <think>x</think> b"}


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), (' "a" ', "a"), ("[1]", [1]), ("12345678901234567890123", 12345678901234567890123)],
)
def test_without_a_schema_any_value_will_do(text: str, value: Any) -> None:
    assert extract(text, None).value == value


def test_without_a_schema_an_object_goes_before_footnotes() -> None:
    assert extract('as [1] says: {"a": 1} [2]', None).value == {"a": 1}
    assert not extract('{"a": 1} {"b": 1}', None).ok


def test_the_policy_decides_what_may_pass() -> None:
    fenced = '```json\n{"n": 1}\n```'
    assert extract(fenced, SCHEMA, policy=LOSSLESS).ok
    assert not extract(fenced, SCHEMA, policy=STRICT_ONLY).ok
    assert extract('{"n": 1}', SCHEMA, policy=STRICT_ONLY).ok
    assert extract(fenced, SCHEMA, policy=Policy(frozenset({RepairKind.FENCE_REMOVED}))).ok


def test_a_compiled_schema_serves_as_well() -> None:
    assert extract('{"n": 1}', compile_schema(SCHEMA)).ok


def test_a_faulty_schema_is_the_callers_mistake() -> None:
    with pytest.raises(SchemaError):
        extract("{}", {"type": "nope"})


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), inner, max_size=4)
    ),
    max_leaves=15,
)
_objects = st.dictionaries(st.sampled_from(["a", "b", "c"]), _json, min_size=1, max_size=3)
_prose = st.text("abc .,!?:;'\n", max_size=40).filter(lambda text: "..." not in text)  # so a list goes on


@given(_objects, st.sampled_from([None, 2]), st.booleans(), _prose, _prose)
def test_a_fenced_object_comes_back_equal(
    value: Any, indent: int | None, ascii_only: bool, before: str, after: str
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    extraction = extract(f"{before}\n```json\n{text}\n```\n{after}", {"type": "object"})

    assert extraction.ok, extraction.reason
    assert extraction.value == value
    assert extraction.candidates[extraction.chosen or 0].place is Place.FENCE


@given(_objects, st.sampled_from([None, 2]), _prose, _prose)
def test_an_object_in_prose_comes_back_equal(value: Any, indent: int | None, before: str, after: str) -> None:
    extraction = extract(f"{before}{json.dumps(value, indent=indent)}{after}", {"type": "object"})

    assert extraction.ok, extraction.reason
    assert extraction.value == value


@given(_objects, st.integers(0, 300), st.sampled_from(list('{}[]",:x\\\n`')), st.booleans())
def test_a_damaged_object_is_never_read_as_another(value: Any, at: int, char: str, insert: bool) -> None:
    text = json.dumps(value)
    damaged = text[:at] + char + text[at + (not insert) :]
    schema = {"const": value}
    nearby = extract(damaged, {"type": "object", "minProperties": 1}, policy=SET_ASIDE)

    # Whatever passes without the exact schema is what the text says, not a part of it.
    if nearby.ok:
        chosen = nearby.candidates[nearby.chosen or 0]
        assert len((damaged[: chosen.start] + damaged[chosen.end :]).strip()) <= 1
    assert not extract(damaged, schema).ok or extract(damaged, schema).value == value


@given(st.text('{}[]",:`~\n<think>/ab1 ', max_size=120))
def test_no_answer_does_more_than_be_refused(text: str) -> None:
    extraction = extract(text, {"type": "object"})

    assert extraction.ok == (extraction.chosen is not None)
    assert extraction.ok or extraction.violations


@pytest.mark.parametrize("text", ['{"s": http://a\ud800b, "n": 1}', '{"s": http://a\x00b, "n": 1}'])
def test_no_text_raises_nor_becomes_a_value_that_json_cannot_carry(text: str) -> None:
    assert not extract(text, None).ok


@pytest.mark.parametrize("schema", [{"type": "string"}, {"enum": ["a\x00b", "c"]}])
@pytest.mark.parametrize("text", ["a\x00b", "'a\x00b'"])
def test_a_bare_word_with_a_nul_is_refused(text: str, schema: dict[str, Any]) -> None:
    assert not extract(text, schema).ok


@pytest.mark.parametrize("depth", [0, 251])
def test_a_policy_names_a_depth_that_can_be_read(depth: int) -> None:
    with pytest.raises(ValueError, match="from 1 to 250"):
        Policy(LOSSLESS.allowed, max_depth=depth)


def test_faulty_json_may_nest_as_deep_as_a_policy_can_say() -> None:
    policy = Policy(LOSSLESS.allowed, max_depth=250)

    assert extract("[" * 250 + "1," + "]" * 250, None, policy=policy).ok
    assert extract('{"a":' * 250 + "1," + "}" * 250, None, policy=policy).ok


def test_ten_thousand_levels_and_a_hundred_thousand_candidates_are_refused() -> None:
    assert not extract('{"n":' * 10_000 + "1" + "}" * 10_000, SCHEMA).ok
    assert not extract("{'n':" * 10_000 + "1" + "}" * 10_000, SCHEMA).ok
    assert extract("x {'n': 1}" * 100_000, SCHEMA).violations[0].keyword == "ambiguous"


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "https://example.org/never-fetched"},
        {"$ref": "file:///etc/passwd"},
        {"type": "string", "pattern": "("},
    ],
)
def test_a_hostile_schema_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(SchemaError):
        extract("{}", schema)


def test_deep_references_huge_enums_and_evil_patterns_cost_no_time() -> None:
    deep: dict[str, Any] = {"$ref": "#/$defs/d0", "$defs": {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(100)}}
    deep["$defs"]["d100"] = {"type": "integer"}
    loop = {"type": "object", "properties": {"a": {"$ref": "#"}}, "additionalProperties": False}
    enum = {"enum": [f"option {n}" for n in range(50_000)]}
    evil = {"type": "string", "pattern": "^(a+)+$"}

    assert not extract("'1'", deep).ok
    assert extract("{'a': {'a': {}}}", loop).ok
    assert not extract('"OPTION 7"', enum).ok
    words, spelled = [f"option {n}" for n in range(2_000)], [f"OPTION {n}" for n in range(2_000)]
    assert extract(json.dumps(spelled), {"type": "array", "items": {"enum": words}}).value == words
    many = {"type": "object", "properties": {f"key{n}": True for n in range(2_000)}, "additionalProperties": False}
    assert extract(json.dumps([{f"Key_{n}": n for n in range(99)}] * 100), {"type": "array", "items": many}).ok
    assert not extract(json.dumps("a" * 5_000 + "!"), evil).ok


def test_an_endless_answer_is_refused() -> None:
    assert not extract("x" * (9 << 20) + '{"n": 1}', SCHEMA).ok


@pytest.mark.parametrize(
    ("text", "value", "said"),
    [
        ("[123456789012345678901234567890]", [123456789012345678901234567890], "kept exactly"),
        ("[9007199254740993]", [9007199254740993], "kept exactly"),
        ("so: [0.12345678901234567890123]", [0.12345678901234568], "rounded to a double"),
    ],
)
def test_numbers_that_a_double_does_not_hold_are_noted(text: str, value: list[float], said: str) -> None:
    extraction = extract(text, None)

    assert extraction.value == value
    assert said in extraction.notes[0].message
    assert extract('{"n": 1}', SCHEMA).notes == ()
