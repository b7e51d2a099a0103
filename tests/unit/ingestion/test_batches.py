"""A batch is taken whole or not at all, and each fault has its place."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import RequestError
from ingestion.admission import AdmittedJob, admit
from ingestion.batches import BatchForm, admit_batch
from ingestion.problems import BatchFault
from tests.unit.ingestion.doubles import NOW, catalogue

CATALOGUE = catalogue()
GOOD = b'{"recipe":"greet","input":{"name":"Ada"}}'


async def take(body: bytes, form: BatchForm, most: int = 1000) -> list[AdmittedJob]:
    async def one(part: bytes) -> AdmittedJob:
        return admit(part, CATALOGUE, now=NOW, input_limit=1024)

    return await admit_batch(body, form, one, most_jobs=most)


async def outcome(body: bytes, form: BatchForm) -> list[AdmittedJob] | RequestError:
    try:
        return await take(body, form)
    except RequestError as error:
        return error


async def refused(body: bytes, form: BatchForm, most: int = 1000) -> RequestError:
    with pytest.raises(RequestError) as caught:
        await take(body, form, most)
    return caught.value


async def test_an_array_keeps_order_and_bytes() -> None:
    jobs = await take(b'[{"recipe":"greet","input":{ "name" : "A" }}, ' + GOOD + b"]", BatchForm.ARRAY)

    assert [job.input for job in jobs] == [b'{ "name" : "A" }', b'{"name":"Ada"}']


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
async def test_lines_may_end_either_way_and_be_blank(newline: bytes) -> None:
    jobs = await take(GOOD + newline + newline + GOOD + newline, BatchForm.LINES)

    assert len(jobs) == 2


async def test_a_broken_line_is_named_by_its_number() -> None:
    error = await refused(GOOD + b"\n\n" + GOOD[:-3] + b"\n" + GOOD, BatchForm.LINES)

    assert (error.status, error.code) == (400, "malformed_json")
    fault = error.faults[0]
    assert isinstance(fault, BatchFault)
    assert (fault.line, fault.index) == (3, 1)
    assert "line 3" in error.detail


async def test_faults_of_an_array_point_through_the_index() -> None:
    error = await refused(b"[" + GOOD + b',{"recipe":"greet","input":{"name":1}}]', BatchForm.ARRAY)

    assert (error.status, error.code) == (422, "invalid_input")
    assert [(f.pointer, getattr(f, "index", None)) for f in error.faults] == [("/1/input/name", 1)]


async def test_different_faults_make_an_invalid_batch_with_all_of_them() -> None:
    bad = [b"[]", b"nonsense", b'{"recipe":"nobody","input":1}', b'{"recipe":"greet","input":{}}']

    error = await refused(b"\n".join(bad), BatchForm.LINES)

    assert (error.status, error.code) == (422, "invalid_batch")
    assert [getattr(f, "line", None) for f in error.faults] == [1, 2, 3, 4]


async def test_an_input_too_large_keeps_its_status() -> None:
    large = orjson.dumps({"recipe": "greet", "input": {"name": "x" * 2000}})

    error = await refused(b"[" + large + b"]", BatchForm.ARRAY)

    assert (error.status, error.code, error.faults[0].pointer) == (413, "input_too_large", "/0/input")


async def test_many_faults_are_not_all_collected() -> None:
    error = await refused(b"\n".join([b"{}"] * 1000), BatchForm.LINES)

    assert 100 < len(error.faults) < 110


@pytest.mark.parametrize(("body", "form"), [(b"[]", BatchForm.ARRAY), (b"\n\n", BatchForm.LINES)])
async def test_an_empty_batch_is_refused(body: bytes, form: BatchForm) -> None:
    assert (await refused(body, form)).code == "invalid_batch"


async def test_too_many_jobs_are_refused_before_any_is_read() -> None:
    error = await refused(b"\n".join([b"nonsense"] * 11), BatchForm.LINES, most=10)

    assert (error.status, error.code) == (413, "batch_too_large")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"jobs": []}', "invalid_batch"),
        (b"[" + GOOD, "malformed_json"),
        (b"[" + GOOD + b",]", "malformed_json"),
        (b"[" * 100_000, "malformed_json"),
        (b"", "malformed_json"),
        (b"\xff", "malformed_json"),
    ],
)
async def test_what_is_no_array_is_explained(body: bytes, code: str) -> None:
    assert (await refused(body, BatchForm.ARRAY)).code == code


@given(st.binary(max_size=120), st.sampled_from(BatchForm))
async def test_no_bytes_are_anything_but_accepted_or_refused(body: bytes, form: BatchForm) -> None:
    found = await outcome(body, form)

    assert isinstance(found, list) or (400 <= found.status < 500 and found.faults)
