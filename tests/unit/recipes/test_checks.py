"""A recipe states what an output must hold beyond its schema; each fault is a violation like any other."""

from typing import Any

import pytest

from common.errors import TemplateError
from common.recipes.checks import CheckReport, compile_check, run_checks
from common.recipes.grounding import find_quote
from common.recipes.manifest import Check

INPUT = {"text": "The kettle boils dry.\nIt cost 12 “euros”.", "skus": ["a", "b"]}
OUTPUT = {
    "lines": [{"sku": "a", "amount": 2.5}, {"sku": "b", "amount": 1.5}],
    "total": 4.0,
    "quotes": ["boils dry. It cost"],
}


def checked(output: Any = OUTPUT, **keys: str) -> CheckReport:
    check = Check.model_validate({"name": "some-check", "at": "/total", **keys})
    return run_checks([compile_check(check, "r@1.0.0")], INPUT, output)


@pytest.mark.parametrize(
    "keys",
    [
        {"that": "((output.lines | sum(attribute='amount')) - output.total) | abs < 0.005"},
        {"unique": "output.lines | map(attribute='sku')"},
        {"values": "output.lines | map(attribute='sku')", "within": "input.skus"},
        {"quotes": "output.quotes", "source": "input.text"},
        {"that": "output.quotes[0] | wordcount <= 10"},
        {"values": "[1.0, {'b': 2, 'a': [1]}]", "within": "[1, {'a': [1.0], 'b': 2}]"},
        {"unique": "[1, true, '1', [1], [true], 10 ** 30, 10 ** 30 + 1]"},
    ],
)
def test_what_holds_is_no_violation(keys: dict[str, str]) -> None:
    assert checked(**keys).violations == ()


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"that": "output.total == 5", "message": "make total the sum"}, "make total the sum"),
        ({"unique": "[1, 2, 1]"}, "1 stands twice"),
        ({"unique": "[1, 1.0]"}, "1.0 stands twice"),
        ({"unique": "[{'a': 1, 'b': 2}, {'b': 2, 'a': 1}]"}, "stands twice"),
        ({"values": "[true]", "within": "[1]"}, "true is not among them"),
        ({"values": "['a', 'z']", "within": "input.skus"}, '"z" is not among them'),
        ({"quotes": "['boils over']", "source": "input.text"}, '"boils over" does not stand in the source'),
        ({"that": "output.nothing > 1"}, "cannot be checked"),
    ],
)
def test_what_does_not_hold_says_so_at_its_place(keys: dict[str, str], said: str) -> None:
    (violation,) = checked(**keys).violations

    assert violation.pointer == "/total"
    assert violation.keyword == "check"
    assert said in violation.message


def test_a_quote_is_found_with_its_offsets_though_its_spaces_and_quotes_differ() -> None:
    (span,) = checked(quotes="output.quotes", source="input.text").quotes

    assert INPUT["text"][span.start : span.end] == "boils dry.\nIt cost"
    assert find_quote('12 "euros"', str(INPUT["text"])) is not None
    assert find_quote("  ", "a  b") is None


def test_a_quotes_offsets_count_characters_and_reach_into_words() -> None:
    source = "\U0001f600  “Héllo”\n\twörld\u00a0— x"
    expected = {'"Héllo" wörld - x': (3, 21), "llo”  wör": (6, 15), "x": (20, 21), "Hello": None}

    found = {quote: find_quote(quote, source) for quote in expected}

    assert {quote: span and (span.start, span.end) for quote, span in found.items()} == expected


def test_a_quote_that_nearly_stands_everywhere_cannot_stall() -> None:
    source = "a " * 500_000

    assert find_quote("a\n" * 4_000 + "b", source) is None
    assert find_quote("a\n" * 4_000 + "a", source) is not None


def test_quotes_without_end_are_not_all_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.recipes.checks._MOST_STEPS", 20 * len(str(INPUT["text"])))

    assert checked({"q": ["kettle"] * 30}, quotes="output.q", source="input.text").violations == ()
    (violation,) = checked({"q": [f"quote {n}" for n in range(30)]}, quotes="output.q", source="input.text").violations
    assert "30 quotes are too many" in violation.message


@pytest.mark.parametrize("quote", ['"skus":["a"', "boils dry. It cost", "12 “euros”.", "b"])
def test_in_a_source_that_is_no_text_its_texts_are_searched_too(quote: str) -> None:
    assert checked({"q": quote}, quotes="output.q", source="input").violations == ()


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"that": "1", "unique": "[]"},
        {"values": "[1]"},
        {"quotes": "['a']", "within": "input"},
        {"that": "secrets"},
        {"that": "1 %}{{ 2"},
        {"that": "output.__class__"},
        {"that": "1 +"},
        {"that": "input.n < 1e400"},
    ],
)
def test_a_faulty_check_is_refused_when_the_recipe_is_read(keys: dict[str, str]) -> None:
    with pytest.raises(TemplateError):
        checked(**keys)


def test_an_endless_expression_ends_at_its_budget() -> None:
    (violation,) = checked(that="(range(100000) | list) * 1000000").violations

    assert "cannot be checked" in violation.message


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"unique": "output.rows | map(attribute='code')"}, "has no attribute 'code'"),
        ({"values": "output.rows | map(attribute='code')", "within": "['a']"}, "has no attribute 'code'"),
        ({"values": "output.rows[0].code", "within": "output.rows | map(attribute='code')"}, "no attribute 'code'"),
        ({"quotes": "output.rows | map(attribute='code')", "source": "'a'"}, "has no attribute 'code'"),
        ({"unique": "[[output.rows[1].code]]"}, "no JSON value"),
        ({"unique": "[[[[[1] * 99] * 99] * 99] * 99] * 99"}, "cannot be checked"),
        ({"that": "output.x | reject('in', output.x) | list | length == 0"}, "compares more than"),
        ({"that": "'1e400' | float | int"}, "cannot convert float infinity"),
        ({"quotes": "['a']", "source": "[namespace()]"}, "not JSON serializable"),
    ],
)
def test_what_cannot_be_checked_is_a_violation(keys: dict[str, str], said: str) -> None:
    output = {"rows": [{"code": "a"}, {}], "x": [str(n) for n in range(11_000)]}

    (violation,) = checked(output, **keys).violations

    assert "cannot be checked" in violation.message
    assert said in violation.message


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"unique": "output.m.values()"}, "1 stands twice"),
        ({"unique": "output.m.keys()"}, None),
        ({"unique": "output.m.items()"}, None),
        ({"values": "output.m.values()", "within": "range(2)"}, None),
        ({"values": "['c']", "within": "output.m.keys()"}, '"c" is not among them'),
        ({"that": "output.l | sum(start=[]) == [1, 2, 3]"}, None),
        ({"that": "output.l | sum(start=[0]) | sum == 6"}, None),
    ],
)
def test_members_and_joined_lists_are_lists(keys: dict[str, str], said: str | None) -> None:
    found = checked({"m": {"a": 1, "b": 1}, "l": [[1, 2], [3]]}, **keys).violations

    assert [violation.message for violation in found] == ([] if said is None else [found[0].message])
    assert said is None or said in found[0].message


def test_quotes_of_any_shape_are_found_and_none_reaches_over_two_texts() -> None:
    for shape in ("„Guten Tag“", "«Guten Tag»", "\u201aGuten Tag\u2018", "`Guten Tag`", "\uff02Guten Tag\uff02"):
        sign = "'" if shape[0] in "\u201a`" else '"'
        span = find_quote(f"sagte {sign}Guten Tag{sign} und", f"Er sagte {shape} und ging.")
        assert span is not None, shape
        assert (span.start, span.end) == (3, 24)
    apart = {"title": "Refund is", "body": ["not possible", "a~b/c: yes"], "a/b": "at last"}
    for quote, found in {
        "Refund is not possible": None,
        "not  possible": (0, 12, "/body/0"),
        "yes": (7, 10, "/body/1"),
        "last": (3, 7, "/a~1b"),
        '["not possible"': (28, 43, ""),
    }.items():
        check = compile_check(Check.model_validate({"name": "c", "quotes": "output", "source": "input"}), "r")
        spans = run_checks([check], apart, quote).quotes
        assert [(span.start, span.end, span.pointer) for span in spans] == ([] if found is None else [found])


def test_distinct_quotes_may_be_given_as_often_as_they_stand_there() -> None:
    keys: dict[str, Any] = {"quotes": "output", "source": "'Coffee 3.00\nCoffee  3.00\nTea 2.00'", "distinct": True}

    def faults(*quotes: str) -> list[str]:
        check = compile_check(Check.model_validate({"name": "c", **keys}), "r")
        return [violation.message for violation in run_checks([check], {}, list(quotes)).violations]

    assert faults("Coffee 3.00", "Coffee 3.00", "Tea 2.00") == []
    (fault,) = faults("Coffee 3.00", "Tea 2.00", "Tea 2.00")
    assert '"Tea 2.00" is given more often than it stands in the source' in fault
    (fault,) = faults("Tea 2.00", "Tea  2.00")
    assert '"Tea 2.00" is given more often' in fault
    with pytest.raises(TemplateError, match="distinct goes with quotes"):
        compile_check(Check.model_validate({"name": "c", "unique": "output", "distinct": True}), "r")


def test_an_expression_that_nests_too_deep_is_refused_when_the_recipe_is_read() -> None:
    with pytest.raises(TemplateError, match="nests too deep"):
        checked(that="(" * 900 + "1" + ")" * 900)
