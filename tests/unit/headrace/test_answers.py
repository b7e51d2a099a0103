"""What the API says becomes values, or one or two lines for people."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from common.errors import RequestError, StackError
from headrace.commands.client import Api, problem_words, read_answer
from headrace.commands.submit import moment
from headrace.commands.tables import hit_text, took, usd, why
from headrace.connection import Connection


def problem(**fields: object) -> bytes:
    return json.dumps({"detail": "No.", "code": "invalid_input", **fields}).encode()


def test_an_answer_is_its_json() -> None:
    assert read_answer(202, b'{"id": 1}') == {"id": 1}


def test_a_problem_is_told_with_its_places() -> None:
    errors = [{"pointer": "/input/a", "detail": "is required"}, {"parameter": "limit", "detail": "is too large"}]

    with pytest.raises(RequestError) as refusal:
        read_answer(422, problem(errors=errors))

    assert problem_words(refusal.value) == "No. (invalid_input)\n/input/a is required; --limit is too large"


@pytest.mark.parametrize(
    ("parameter", "told"), [("job_id", "ID"), ("operation_id", "ID"), ("key", "KEY"), ("limit", "--limit")]
)
def test_a_fault_names_what_was_typed_and_no_option_that_is_not_there(parameter: str, told: str) -> None:
    with pytest.raises(RequestError) as refusal:
        read_answer(422, problem(errors=[{"parameter": parameter, "detail": "is wrong"}]))

    assert problem_words(refusal.value) == f"No. (invalid_input)\n{told} is wrong"


class Pages(Api):
    """An API whose filter matches one job in each second stretch."""

    asked = 0

    def get(self, path: str, query: Mapping[str, object] | None = None, *, wait_s: float = 0) -> Any:
        query = query or {}
        assert query["cursor"] == (str(self.asked) if self.asked else None)
        self.asked += 1
        jobs = [{"id": self.asked}] if self.asked % 2 == 0 else []
        return {"jobs": jobs[: int(str(query["limit"]))], "next_cursor": None if self.asked == 10 else str(self.asked)}


@pytest.mark.parametrize(
    ("limit", "ids", "cursor"), [(2, [2, 4], "4"), (50, [2, 4, 6, 8, 10], None)], ids=["full", "end"]
)
def test_a_page_of_jobs_is_put_together_until_it_is_full_or_there_are_no_more(
    limit: int, ids: list[int], cursor: str | None
) -> None:
    page = Pages(Connection("http://127.0.0.1:1", "hr_x")).jobs({"state": "failed"}, limit)

    assert page == {"jobs": [{"id": each} for each in ids], "next_cursor": cursor}


def test_faults_of_a_batch_name_the_item_or_the_line() -> None:
    errors = [
        {"pointer": "/3/input", "detail": "a", "index": 3},
        {"pointer": "/input", "detail": "b", "index": 0, "line": 1},
    ]

    with pytest.raises(RequestError) as refusal:
        read_answer(422, problem(errors=errors))

    assert problem_words(refusal.value).endswith("item 3 /3/input a; line 1 /input b")


def test_of_many_faults_the_first_are_told() -> None:
    errors = [{"pointer": f"/{number}", "detail": "x"} for number in range(9)]

    with pytest.raises(RequestError) as refusal:
        read_answer(422, problem(errors=errors))

    assert problem_words(refusal.value).endswith("; and 4 more")


@pytest.mark.parametrize(("status", "content"), [(502, b"<html>"), (200, b"hello"), (500, b"[]"), (204, b"")])
def test_what_is_not_the_api_is_said_to_be_so(status: int, content: bytes) -> None:
    with pytest.raises(RequestError, match=f"no JSON of this API .status {status}."):
        read_answer(status, content)


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(StackError, match="is no address"):
        Api(Connection(url, "key"))


def test_the_key_is_not_shown() -> None:
    assert "secret" not in repr(Connection("http://x", "secret"))


@pytest.mark.parametrize(
    ("amount", "told"), [(None, ""), ("0.000000000", "$0"), ("0.000012300", "$0.0000123"), ("10.000000000", "$10")]
)
def test_money_is_told_exactly(amount: str | None, told: str) -> None:
    assert usd(amount) == told


def test_a_span_from_now_becomes_a_time_and_a_time_stays() -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)

    assert moment("15m", now) == "2030-01-01T00:15:00+00:00"
    assert moment("2d", now) == "2030-01-03T00:00:00+00:00"
    assert moment("2030-01-31T12:00:00Z", now) == "2030-01-31T12:00:00Z"
    assert moment("soon", now) == "soon"


def test_an_open_job_has_taken_until_now() -> None:
    job = {"created_at": "2030-01-01T00:00:00+00:00", "finished_at": None}

    assert took(job, datetime(2030, 1, 1, 0, 1, tzinfo=UTC)) == "60 s"
    assert took({**job, "finished_at": "2030-01-01T00:00:01.5+00:00"}) == "1.50 s"


def test_why_is_the_failure_or_the_hold() -> None:
    assert why({"failure": {"code": "c", "detail": "d"}, "hold_reason": None}) == "c: d"
    assert why({"failure": None, "hold_reason": "budget"}) == "budget"
    assert why({"failure": None, "hold_reason": None}) == ""


def test_highlights_are_one_line_each() -> None:
    hit = {"score": 1.0, "job_id": "j", "recipe": "r@1", "highlights": ["a\n<em>b</em>\nc", "d", "e"]}

    assert str(hit_text(hit)).splitlines() == ["  1.00  j  r@1", "        a · b · c", "        d"]
