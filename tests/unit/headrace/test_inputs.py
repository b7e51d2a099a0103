"""What ``submit`` reads: one object, an array, or lines; the bytes of an input stay as they were."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import RequestError
from headrace.commands.inputs import batch_body, job_body, read_inputs

words = st.text(max_size=6)
objects = st.dictionaries(words, words | st.integers() | st.none() | st.lists(words, max_size=2), max_size=3)


def test_one_object_is_one_job() -> None:
    read = read_inputs(b' {"a": 1.50}\n')

    assert (read.items, read.batch) == ((b'{"a": 1.50}',), False)


def test_an_array_is_a_batch_even_of_one() -> None:
    read = read_inputs(b'[{"a": 1.50}]')

    assert (read.items, read.batch) == ((b'{"a": 1.50}',), True)


def test_lines_are_a_batch_and_blank_ones_are_skipped() -> None:
    read = read_inputs(b'{"a":1}\n\r\n{"a":2}\r\n')

    assert (read.items, read.batch) == ((b'{"a":1}', b'{"a":2}'), True)


def test_an_object_over_several_lines_is_one() -> None:
    assert read_inputs(b'{\n  "a": 1\n}').batch is False


def test_a_byte_order_mark_is_not_part_of_it() -> None:
    assert read_inputs(b'\xef\xbb\xbf{"a":1}').items == (b'{"a":1}',)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (b"", "one JSON object"),
        (b"hello", "byte 0"),
        (b'{"a": 1', "truncated"),
        (b'{"a":1}\n{"a":\n', "line 2"),
        (b'[{"a":1},', "truncated"),
    ],
)
def test_what_is_not_json_is_refused_with_its_place(text: bytes, place: str) -> None:
    with pytest.raises(RequestError) as refusal:
        read_inputs(text)

    (fault,) = refusal.value.faults
    assert place in f"{fault.pointer} {fault.detail}"


@given(st.lists(objects, min_size=2, max_size=4))
def test_an_array_and_lines_of_the_same_are_the_same_batch(inputs: list[dict[str, object]]) -> None:
    array = read_inputs(json.dumps(inputs).encode())
    lines = read_inputs("\n".join(json.dumps(each) for each in inputs).encode())

    assert array == lines


@given(objects)
def test_a_job_body_holds_the_input_and_only_the_fields_that_are_set(value: dict[str, object]) -> None:
    body = job_body("r", json.dumps(value).encode(), {"lane": "bulk", "tags": [], "deadline": None})

    assert json.loads(body) == {"recipe": "r", "lane": "bulk", "input": value}


@given(st.lists(objects, min_size=1, max_size=4))
def test_a_batch_body_has_one_line_for_each_input(inputs: list[dict[str, object]]) -> None:
    body = batch_body("r", [json.dumps(value, indent=1).encode() for value in inputs], {})

    assert [json.loads(line)["input"] for line in body.splitlines()] == inputs
