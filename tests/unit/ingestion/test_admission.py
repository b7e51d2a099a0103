"""What a job body may be, and what is said of each that may not."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts import Lane
from common.errors import RequestError
from ingestion.admission import MOST_VALUES, AdmittedJob, admit
from tests.unit.ingestion.doubles import NOW, catalogue

CATALOGUE = catalogue()


def take(body: bytes, limit: int = 256 * 1024) -> AdmittedJob:
    return admit(body, CATALOGUE, now=NOW, input_limit=limit)


def body_of(**fields: Any) -> bytes:
    return orjson.dumps({"recipe": "greet", "input": {"name": "Ada"}, **fields})


def outcome(body: bytes) -> AdmittedJob | RequestError:
    try:
        return take(body)
    except RequestError as error:
        return error


def refused(body: bytes) -> RequestError:
    with pytest.raises(RequestError) as caught:
        take(body)
    return caught.value


def test_the_shortest_body_becomes_a_job_of_the_newest_version() -> None:
    job = take(body_of())

    assert (job.recipe.reference, job.lane, job.deadline, job.budget_nanos, job.tags) == (
        "greet@1.1.0",
        Lane.STANDARD,
        None,
        None,
        (),
    )


def test_a_version_can_be_named() -> None:
    assert take(body_of(recipe="greet@1.0.0")).recipe.reference == "greet@1.0.0"


def test_the_input_is_kept_byte_for_byte() -> None:
    received = b'{ "name" :\t"A\\u0064a",\n "more": [1.0, 1e2, 12345678901234567890123] }'

    job = take(b'{"recipe":"greet", "input": ' + received + b' , "lane":"bulk"}')

    assert job.input == received
    assert job.lane is Lane.BULK


@pytest.mark.parametrize(
    ("written", "nanos"),
    [
        (b'"0.05"', 50_000_000),
        (b"0.1", 100_000_000),
        (b"123456789.123456789", 123_456_789_123_456_789),
        (b"1e-9", 1),
        (b"3", 3_000_000_000),
    ],
)
def test_a_budget_is_counted_exactly(written: bytes, nanos: int) -> None:
    body = b'{"recipe":"greet","input":{"name":"Ada"},"budget_usd":' + written + b"}"

    assert take(body).budget_nanos == nanos


@pytest.mark.parametrize(
    "budget", [0, -1, "0", "nan", "Infinity", "1e99", "0.0000000001", "1_0", " 1", "", True, [], {}]
)
def test_a_budget_that_cannot_be_counted_is_a_fault(budget: Any) -> None:
    assert [f.pointer for f in refused(body_of(budget_usd=budget)).faults] == ["/budget_usd"]


def test_a_deadline_is_kept_in_utc() -> None:
    assert take(body_of(deadline="2026-11-21T14:00:00.5+01:00")).deadline == datetime(
        2026, 11, 21, 13, 0, 0, 500_000, tzinfo=UTC
    )


@pytest.mark.parametrize(
    "deadline",
    [
        "2026-11-21T12:00:00Z",
        "2026-11-21T13:00:00",
        "2026-11-21",
        "tomorrow",
        "2026-13-21T13:00:00Z",
        "2026-11-21T13:00:60Z",
        "9999-12-31T23:59:59-23:59",
        "٢٠٢٦-11-21T13:00:00Z",
        (NOW + timedelta(days=400)).isoformat(),
        1_800_000_000,
        {},
    ],
)
def test_a_deadline_must_be_a_near_future_rfc_3339_time(deadline: Any) -> None:
    assert [f.pointer for f in refused(body_of(deadline=deadline)).faults] == ["/deadline"]


@pytest.mark.parametrize("deadline", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"])
def test_a_deadline_outside_of_the_calendar_is_called_so(deadline: str) -> None:
    (fault,) = refused(body_of(deadline=deadline)).faults

    assert (fault.pointer, fault.detail) == ("/deadline", "must be within the years 1 to 9999 of UTC")


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"lane": "fast"}, "/lane"),
        ({"lane": None}, "/lane"),
        ({"lane": ["bulk"]}, "/lane"),
        ({"tags": "a"}, "/tags"),
        ({"tags": ["a"] * 21}, "/tags"),
        ({"tags": ["a", ""]}, "/tags/1"),
        ({"tags": ["a", 5]}, "/tags/1"),
        ({"tags": ["line\nbreak"]}, "/tags/0"),
        ({"tags": ["x" * 65]}, "/tags/0"),
        ({"callback/url": "x"}, "/callback~1url"),
    ],
)
def test_every_other_field_is_checked(fields: dict[str, Any], pointer: str) -> None:
    error = refused(body_of(**fields))

    assert (error.status, error.code, [f.pointer for f in error.faults]) == (422, "invalid_job", [pointer])


def test_an_unknown_recipe_has_a_code_of_its_own() -> None:
    for name in ("greets", "greet@9.9.9", "greet@", "@1.0.0"):
        error = refused(body_of(recipe=name))
        assert (error.status, error.code) == (422, "unknown_recipe")
        assert [f.pointer for f in error.faults] == ["/recipe"]


def test_each_fault_of_the_input_is_pointed_to() -> None:
    error = refused(body_of(input={"age": "old", "nick": 1}))

    assert error.code == "invalid_input"
    assert sorted((f.pointer, f.keyword) for f in error.faults) == [
        ("/input", "additionalProperties"),
        ("/input", "required"),
        ("/input/age", "type"),
    ]


def test_faults_of_envelope_and_input_are_told_together() -> None:
    error = refused(body_of(input={}, lane="fast", surprise=1))

    assert error.code == "invalid_job"
    assert {f.pointer for f in error.faults} == {"/input", "/lane", "/surprise"}


def test_an_input_beyond_its_limit_is_too_large() -> None:
    with pytest.raises(RequestError) as caught:
        take(body_of(input={"name": "x" * 2000}), limit=1024)

    assert (caught.value.status, caught.value.code) == (413, "input_too_large")


@pytest.mark.parametrize("item", [b"0", b"[]", b'{"a":0}'])
def test_an_input_of_too_many_values_is_too_large(item: bytes) -> None:
    error = refused(body_of(input={"name": "Ada", "more": []}).replace(b"[]", b"[" + item + b",0" * MOST_VALUES + b"]"))

    assert (error.status, error.code, error.faults[0].pointer) == (413, "input_too_large", "/input")


def test_what_looks_like_values_in_a_string_is_one_value() -> None:
    assert take(body_of(input={"name": "Ada", "more": '[,"{\\,' * MOST_VALUES}), limit=16 * 1024 * 1024)


def nested(depth: int) -> bytes:
    return b'{"recipe":"greet","input":{"name":"Ada","more":' + b"[" * depth + b"]" * depth + b"}}"


def test_an_input_may_nest_64_deep_and_no_deeper() -> None:
    assert take(nested(63))
    error = refused(nested(64))
    assert (error.code, error.faults[0].keyword) == ("malformed_json", "depth")
    assert refused(nested(100_000)).faults[0].keyword == "depth"


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        (b"NaN", "syntax"),
        (b"Infinity", "syntax"),
        (b'"\\ud800"', "syntax"),
        (b'"a\\u0000b"', "nul"),
        (b'"\xff"', "encoding"),
        (b'"\xed\xa0\x80"', "encoding"),
        (b'{"a":1,"a":2}', "duplicate-key"),
        (b'{"a":1,"\\u0061":2}', "duplicate-key"),
        (b"01", "syntax"),
        (b"[1,]", "syntax"),
        (b"'x'", "syntax"),
        (b"1" * 5000, "syntax"),
        (b"1e999", "syntax"),
        (b'"', "syntax"),
    ],
)
def test_doubtful_json_is_refused_with_its_place(part: bytes, kind: str) -> None:
    body = b'{"recipe":"greet",\n"input":{"name":"Ada","more":' + part + b"}}"

    error = refused(body)

    assert (error.status, error.code) == (400, "malformed_json")
    assert error.faults[0].keyword == kind
    assert "line 2" in error.detail
    assert "byte" in error.detail


def test_a_field_of_the_envelope_may_not_stand_twice() -> None:
    error = refused(b'{"recipe":"greet","input":{"name":"Ada"},"input":{}}')

    assert error.faults[0].keyword == "duplicate-key"


@pytest.mark.parametrize("body", [b"[]", b"1", b'"x"', b"null"])
def test_a_job_is_an_object(body: bytes) -> None:
    assert refused(body).code == "invalid_job"


@pytest.mark.parametrize("body", [b"", b" ", b"{", b"\xef\xbb\xbf{}", b"recipe=greet", b"\x00", b"\xff\xfe"])
def test_what_is_no_json_is_malformed(body: bytes) -> None:
    assert refused(body).code == "malformed_json"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
fields = st.dictionaries(
    st.sampled_from(["recipe", "input", "lane", "deadline", "budget_usd", "tags", "else"]) | st.text(max_size=6),
    json_values | st.sampled_from(["greet", {"name": "Ada"}, "bulk", "1.5", ["a"], "2027-01-01T00:00:00Z"]),
)


@given(st.binary(max_size=200) | fields.map(lambda f: repr(f).encode("utf-8", "surrogatepass")))
def test_no_bytes_are_anything_but_accepted_or_refused(body: bytes) -> None:
    found = outcome(body)

    assert isinstance(found, AdmittedJob) or (400 <= found.status < 500 and found.faults)


@given(fields)
def test_no_object_is_anything_but_accepted_or_refused(body: dict[str, Any]) -> None:
    found = outcome(json.dumps(body).encode())

    if isinstance(found, AdmittedJob):
        assert orjson.loads(found.input) == body["input"]
    else:
        assert found.code in {"malformed_json", "invalid_job", "invalid_input", "unknown_recipe"}
        assert found.faults


def test_a_repetition_is_taken_after_its_deadline_too() -> None:
    body = b'{"recipe":"greet","input":{"name":"Ada"},"deadline":"2001-01-01T00:00:00Z"}'

    with pytest.raises(RequestError):
        take(body)
    again = admit(body, CATALOGUE, now=NOW, input_limit=1024, repeatable=True)

    assert again.deadline is not None
    assert again.deadline < NOW
