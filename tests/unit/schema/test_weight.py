"""A schema is weighed before it is used: what references multiply counts as often as they do."""

from typing import Any

import pytest

from common.schema.weight import Weight, weigh


def weight(schema: Any, resources: dict[str, Any] | None = None, *, branches: bool = True) -> Weight:
    return weigh(schema, resources, branches_are_told=branches)


def test_a_place_is_asked_what_stands_together_and_the_heaviest_of_what_does_not() -> None:
    leaf = {"type": "integer", "minimum": 0}

    assert weight({"properties": {f"p{n}": leaf for n in range(1_000)}}).questions == 1
    assert weight({"allOf": [leaf, leaf, {"allOf": [leaf]}]}).questions == 5
    assert weight({"properties": {"a": leaf}, "additionalProperties": {"allOf": [leaf, leaf]}}).questions == 4
    assert weight({"required": ["a", "b"], "properties": {"a": leaf}}).faults == 4


@pytest.mark.parametrize(
    ("root", "name", "reference"),
    [
        ({}, {}, "#/$defs/d{}"),
        ({}, {"$anchor": "a{}"}, "#a{}"),
        ({"$id": "https://x/y"}, {"$id": "z{}"}, "z{}"),
        ({"$id": "urn:x"}, {"$id": "urn:z{}"}, "urn:z{}"),
    ],
)
def test_references_count_as_often_as_they_are_followed(
    root: dict[str, str], name: dict[str, str], reference: str
) -> None:
    definitions = {
        f"d{n}": {
            **{key: value.format(n) for key, value in name.items()},
            "allOf": [{"$ref": reference.format(n + 1)}] * 2,
        }
        for n in range(30)
    }

    assert weight({**root, "$defs": definitions, "$ref": reference.format(0)}).questions > 1 << 30


def test_what_is_bundled_counts_too() -> None:
    resources = {f"https://x/{n}": {"allOf": [{"$ref": f"https://x/{n + 1}"}] * 2} for n in range(30)}

    assert weight({"$ref": "https://x/0"}, resources).questions > 1 << 30


def test_faults_are_endless_only_where_one_place_leads_back_in_two_ways() -> None:
    again = {"$ref": "#"}

    assert weight({"properties": {"left": again, "right": again}}).faults < 10
    assert weight({"additionalProperties": again, "items": again}).faults < 10
    assert weight({"properties": {"a": again}, "allOf": [{"properties": {"a": again}}]}).faults == float("inf")
    assert weight({"anyOf": [{"items": again}, {"items": again}]}).faults == float("inf")
    assert weight({"anyOf": [{"items": again}, {"items": again}]}, branches=False).faults < 10


def test_a_long_chain_of_references_is_weighed() -> None:
    definitions = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(20_000)}

    assert weight({"$defs": definitions, "$ref": "#/$defs/d0"}).questions > 20_000
