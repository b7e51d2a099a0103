"""A schema is compiled once for its content, and kept while it is in use and memory allows."""

import json
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from common.errors import SchemaError
from common.schema import check, compile_schema
from common.schema.kept import Kept
from output_validation import extract


def test_a_changed_schema_is_another_schema() -> None:
    schema: dict[str, Any] = {"type": "string"}
    assert check(1, schema)
    schema["type"] = "integer"

    assert check(1, schema) == []


def test_a_compiled_schema_stays_as_it_was() -> None:
    schema = {"type": "string", "title": "kept"}
    compiled = compile_schema(schema)
    schema["type"] = "integer"

    assert compile_schema({"type": "string", "title": "kept"}) is compiled
    assert compiled.schema["type"] == "string"
    assert [violation.expected for violation in compiled.check(1)] == ["string"]


def test_the_same_content_is_compiled_once() -> None:
    assert compile_schema({"maxLength": 7, "type": "string"}) is compile_schema({"maxLength": 7, "type": "string"})


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_no_number_passes_for_the_null_that_it_is_written_as(number: float) -> None:
    def schema(value: Any) -> dict[str, Any]:
        return {"const": value, "type": ["null", "number"], "title": "of null"}

    compile_schema(schema(None))
    compile_schema({"$ref": "https://x/y"}, resources={"https://x/y": schema(None)})

    with pytest.raises(SchemaError, match="NaN"):
        compile_schema(schema(number))
    with pytest.raises(SchemaError, match="NaN"):
        compile_schema({"$ref": "https://x/y"}, resources={"https://x/y": schema(number)})


def test_the_cache_holds_what_memory_allows() -> None:
    def large(n: int) -> dict[str, Any]:
        return {"title": str(n), "enum": [[each] for each in range(60_000)]}

    first = compile_schema(large(0))

    assert compile_schema(large(0)) is first
    for n in range(1, 8):
        compile_schema(large(n))
    assert compile_schema(large(0)) is not first


def test_a_schema_in_use_stays_compiled_whatever_else_is() -> None:
    used = {"title": "in use"}
    first = compile_schema(used)

    for n in range(600):
        compile_schema({"title": f"used once, {n}"})
        assert compile_schema(used) is first


def test_reading_by_alternatives_displaces_no_schema() -> None:
    used = {"title": "beside alternatives"}
    first = compile_schema(used)
    branches = [[{"title": f"{m}.{n}", "enum": [n]} for n in range(12)] for m in range(30)]
    members = {f"m{m}": {"anyOf": each} for m, each in enumerate(branches)}
    schema = {"type": "object", "properties": members, "required": list(members)}

    assert not extract(json.dumps(dict.fromkeys(members, "x")), schema).ok
    assert compile_schema(used) is first


def test_schemas_are_kept_by_many_threads_at_once() -> None:
    kept = Kept[int](most=8, most_bytes=100)

    def use(start: int) -> None:
        for n in range(5_000):
            content = (b"%d" % ((start + n) % 16), b"", True)
            if (found := kept.get(content)) is None:
                kept.put(content, (start + n) % 16, 20)
            assert found is None or content[0] == b"%d" % found

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, range(4)))
    assert sum(kept.get((b"%d" % n, b"", True)) is not None for n in range(16)) == 5
