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
        "// TODO",
        "// FIXME wrong",
        "// placeholder",
        "/* just a placeholder value */",
        "// should be 4",
        "// this should actually be 4, not 5",
        '# should have been "b"',
        "// replace with the total",
        "// not sure",
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
