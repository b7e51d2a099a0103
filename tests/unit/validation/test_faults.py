"""Any JSON value, printed in any way and with any of the bench's faults, comes back equal or is refused."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.validation.faults import LOSSY_FAULTS, Case
from bench.validation.instances import make_object
from bench.validation.measure import ALL_FAULTS, READERS, answers, ours, same, score, spoil
from common.schema import compile_schema
from output_validation import SET_ASIDE, Confidence, extract


@given(st.integers(0, 1_000_000), st.sampled_from(ALL_FAULTS))
def test_a_faulty_answer_comes_back_equal_or_is_refused(seed: int, fault: str) -> None:
    rng = random.Random(seed)
    schema, value = make_object(rng)
    text = spoil(rng, Case(schema, value), (fault,))
    if text is None:
        return

    extraction = extract(text, schema)

    assert not extraction.ok or same(extraction.value, value)
    assert extraction.ok == (extraction.chosen is not None)
    assert extraction.confidence is not Confidence.LOSSY or not extraction.ok
    assert all(0 <= repair.start <= repair.end <= len(text) for repair in extraction.repairs)


@pytest.mark.parametrize("fault", [fault for fault in ALL_FAULTS if fault not in LOSSY_FAULTS])
def test_nearly_every_answer_with_one_fault_is_read(fault: str) -> None:
    result = score(ours, list(answers((fault,), range(5_000, 5_010))))

    assert result.wrong == 0
    assert result.refused <= 4, fault


def test_the_bench_knows_the_readers_it_compares() -> None:
    (answer,) = answers(("trailing-comma",), range(3, 4))

    results: dict[str, Any] = {name: reader(answer.text, answer.schema) for name, reader in READERS.items()}

    assert same(results["headrace"], answer.value)
    assert set(results) == {"headrace", "json-repair", "json-repair+schema", "fence regex"}


_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text, inner, max_size=4),
    max_leaves=15,
)
_objects = st.dictionaries(_text, _json, min_size=1, max_size=4)


@given(_objects)
def test_python_prints_what_can_be_read(value: Any) -> None:
    extraction = extract(repr(value), {"type": "object"})

    assert not extraction.ok or same(extraction.value, value)


@given(_objects, st.sampled_from([None, 2]))
def test_escaped_and_doubly_encoded_objects_come_back_equal(value: Any, indent: int | None) -> None:
    printed = json.dumps(value, indent=indent)
    for text in (json.dumps(printed), json.dumps(printed)[1:-1], json.dumps(json.dumps(printed))):
        extraction = extract(text, compile_schema({"type": "object"}))

        assert extraction.ok, extraction.reason
        assert same(extraction.value, value)


@given(_objects, st.integers(0, 200))
def test_a_cut_off_object_is_never_taken_for_whole(value: Any, at: int) -> None:
    text = json.dumps(value)

    extraction = extract(text[:at], {"type": "object", "properties": dict.fromkeys(value, True)})

    assert at >= len(text) or not extraction.ok or same(extraction.value, value)


@given(_text)
def test_strictly_read_values_agree_with_the_standard_library(text: str) -> None:
    extraction = extract(text, None, policy=SET_ASIDE)
    if extraction.ok and extraction.strict:
        assert same(extraction.value, json.loads(text))
