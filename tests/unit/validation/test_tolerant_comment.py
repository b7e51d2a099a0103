"""What a comment says of the value counts: that some was left out, or that it is not the one that is meant."""

import pytest

from output_validation import extract

_N = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
_TEXTS = {"type": "array", "items": {"type": "string"}}


@pytest.mark.parametrize(
    "comment",
    [
        "// usw.",
        "// add the others",
        "// und so weiter",
        "// \u7b49",
        "// \u4ee5\u6b64\u7c7b\u63a8",
        "# etc.",
        "/* ... */",
        "// fill in the missing ones",
        "// FIXME wrong",
        "// placeholder",
        "/* just a placeholder value */",
        "// should be 4",
        "// this should actually be 4, not 5",
        '# should have been "b"',
        "// replace with the total",
        *("// fixme", "// TODO: fill in", "// fill in later", "// fake", "# changeme", "/* dummy */", "// wrong: is 4"),
        *("// incorrect", "// just an example", "// TODO replace it with the total", '// should be "1"'),
    ],
)
@pytest.mark.parametrize("text", ['["a" {}\n]', '["a", {}\n]', '{{"n": 1, {}\n}}', '{{\n{}\n"n": 1}}'])
def test_a_comment_that_speaks_against_the_value_is_heard(text: str, comment: str) -> None:
    schema = _TEXTS if text[0] == "[" else _N

    assert not extract(text.replace("{}", comment).replace("{{", "{").replace("}}", "}"), schema).ok


@pytest.mark.parametrize(
    "comment",
    [
        "fees, tax etc.",
        "Porto usw.",
        "todo list size",
        "number of items, should be between 1 and 5",
        "should be 1 to 5",
        *("should be 1", "this should be 1, as said", "should be 1.", "should be 1, not 4"),
        *(
            "TODO: confirm spelling",
            "example: Al",
            "Example: see page 2",
            "sample: Al from line 2",
            "not sure",
            "guess",
        ),
        "placeholder text color",
        "example invoice",
        "sample size",
        "wrong address flag",
        "change by 5%",
        "include other fees",
        "other income",
        "XXXL size",
        "should be 4 " + "," * 100_000 + "x",
    ],
)
def test_a_comment_that_says_what_a_value_is_is_removed(comment: str) -> None:
    assert extract(f'{{"n": 1, // {comment}\n}}', _N).value == {"n": 1}


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 13, // should be 3\n "n": 1}',
        '{"a": -3, // should be 3\n "n": 1}',
        '{"a": 3, // should be "3"\n "n": 1}',
        '{"a": "3", // should be 3\n "n": 1}',
        '{"a": 3,\n// should be 3\n "n": 1}',
        '{"a": /* should be 1 */ 1, "n": 1}',
    ],
)
def test_a_comment_that_names_another_value_is_heard(text: str) -> None:
    assert not extract(text, {"type": "object"}).ok


def test_a_comment_that_repeats_the_value_takes_nothing_back() -> None:
    assert extract('{"a": "x y", // should be "x y"\n "n": 1}', _N).value == {"a": "x y", "n": 1}
    assert extract('{"a": true, // should be true\n "n": 1}', _N).value == {"a": True, "n": 1}


def test_a_comment_behind_a_value_is_heard_as_one_in_it() -> None:
    assert not extract('{"n": 1} // FIXME', _N).ok
    assert not extract('{"n": 1} # TODO: fill in', _N).ok
    assert extract('{"n": 1} // TODO: confirm', _N).value == {"n": 1}
