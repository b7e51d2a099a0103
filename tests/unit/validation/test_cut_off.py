"""A value that was cut off is whole only where nothing can be missing from it."""

from typing import Any

import pytest

from output_validation import extract

_ROW: dict[str, Any] = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}
_TEXT: dict[str, Any] = {"type": "string"}
_ID: dict[str, Any] = {"type": "object", "properties": {"id": _TEXT}, "required": ["id"]}
_LANGUAGES: dict[str, Any] = {"properties": {"de": _TEXT, "fr": _TEXT, "it": _TEXT}}


@pytest.mark.parametrize("text", ['[{"n": 1}', '{"results": [{"n": 1}', '{"data": {"items": [{"n": 1}'])
def test_the_first_item_of_a_list_that_was_cut_off_is_not_the_answer(text: str) -> None:
    assert not extract(text, _ROW).ok


@pytest.mark.parametrize(
    "schema",
    [
        {**_ID, "additionalProperties": _TEXT},
        {**_ID, "patternProperties": {"^[a-z]{2}$": _TEXT}},
        {**_ID, "allOf": [_LANGUAGES]},
        {**_ID, "anyOf": [_LANGUAGES]},
        {**_LANGUAGES, "$ref": "#/$defs/id", "$defs": {"id": _ID}},
        {"allOf": [_LANGUAGES], "$ref": "#/$defs/id", "$defs": {"id": _ID}},
        {"patternProperties": {"^[a-z]{2}$": _TEXT}, "$ref": "#/$defs/id", "$defs": {"id": _ID}},
        {"$ref": "#/$defs/b", "$defs": {"id": _ID, "b": {**_LANGUAGES, "$ref": "#/$defs/id"}}},
        {**_ID, "$schema": "http://json-schema.org/draft-07/schema#", "dependencies": {"id": _LANGUAGES}},
        {**_ID, "$dynamicRef": "#more", "$defs": {"more": {**_LANGUAGES, "$dynamicAnchor": "more"}}},
    ],
)
def test_members_that_are_declared_elsewhere_may_be_missing(schema: dict[str, Any]) -> None:
    assert not extract('{"id": "x", "de": "Hallo", "fr": "Salut"', schema).ok
    assert extract('{"id": "x", "de": "Hallo", "fr": "Salut"}', schema).ok


def test_the_last_item_of_a_list_that_was_cut_off_is_held_to_its_own_schema() -> None:
    both = {"type": "object", "properties": {"id": _TEXT, "de": _TEXT}}
    rows = {"type": "array", "prefixItems": [both], "items": _ID, "maxItems": 1}

    assert not extract('[{"id": "x"', rows).ok
    assert extract('[{"id": "x", "de": "Hallo"', rows).ok


def test_what_was_left_open_but_has_all_its_members_is_read() -> None:
    assert extract('```json\n[{"n": 1}\n```', {"type": "array", "items": _ROW}).value == [{"n": 1}]
    assert extract('{"result": {"id": "x"', {**_ID, "additionalProperties": False}).value == {"id": "x"}
