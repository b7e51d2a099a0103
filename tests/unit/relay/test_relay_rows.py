"""Outbox rows as records, suspects in quarantine, and how much is read at once."""

from datetime import datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import UndecodableMessage
from common.kafka.transactions import Record
from common.pipeline import Topic
from persistence.postgres.outbox import OutboxRow
from persistence.relay.appetite import READ_BYTES, Appetite
from persistence.relay.quarantine import Quarantine
from persistence.relay.rows import RecordMaker

JOB = uuid4()


def row(
    rev: int = 1, topic: int = Topic.OUTPUTS, headers: bytes | None = None, traceparent: str | None = None
) -> OutboxRow:
    return OutboxRow(uuid4(), rev, "t", datetime.max, JOB, topic, b"{}", headers, traceparent)


def test_a_record_is_keyed_by_job_on_the_topic_the_row_names() -> None:
    assert RecordMaker("x").record(row(topic=Topic.STEPS_BULK)) == Record("x.steps.bulk", str(JOB).encode(), b"{}")


def test_headers_come_from_the_row() -> None:
    record = RecordMaker("x").record(row(headers=b'[["ce_id","7"],["ce_type","\xc3\xa9"]]'))

    assert record.headers == [("ce_id", b"7"), ("ce_type", "é".encode())]


def test_the_trace_travels_once() -> None:
    maker = RecordMaker("x")

    alone = maker.record(row(traceparent="00-a"))
    stored = maker.record(row(headers=b'[["traceparent","00-b"]]', traceparent="00-a"))

    assert alone.headers == [("traceparent", b"00-a")]
    assert stored.headers == [("traceparent", b"00-b")]


@pytest.mark.parametrize("headers", [b"{", b"[1]", b'[["a"]]', b'[["a",1]]', b"\xff", b"7"])
def test_a_row_with_broken_headers_is_poison(headers: bytes) -> None:
    with pytest.raises(UndecodableMessage):
        RecordMaker("x").record(row(headers=headers))


def test_a_row_for_a_topic_nobody_knows_is_poison() -> None:
    with pytest.raises(UndecodableMessage):
        RecordMaker("x").record(row(topic=99))


def test_without_suspects_all_rows_go_together() -> None:
    rows = [row(rev) for rev in range(5)]

    assert Quarantine().batches(rows) == [rows]


@given(st.sets(st.integers(0, 30), min_size=2), st.integers(0, 40))
def test_each_suspect_goes_alone_and_the_order_stays(suspects: set[int], count: int) -> None:
    quarantine = Quarantine()
    quarantine.refuse(sorted(suspects), "too large")
    rows = [row(rev) for rev in range(count)]

    batches = quarantine.batches(rows)

    assert [r for batch in batches for r in batch] == rows
    assert all(len(batch) == 1 for batch in batches if any(r.rev in suspects for r in batch))
    assert all(batch for batch in batches)


def test_a_row_refused_alone_is_condemned_and_its_neighbours_are_not() -> None:
    quarantine = Quarantine()
    quarantine.refuse([1, 2, 3], "too large")

    quarantine.clear([1])
    quarantine.refuse([2], "too large")

    assert quarantine.condemned(row(2)) == "too large"
    assert quarantine.condemned(row(1)) is None
    assert quarantine.condemned(row(3)) is None


def test_reading_grows_with_light_rows_and_shrinks_with_heavy_ones() -> None:
    appetite = Appetite(500)

    for _ in range(10):
        appetite.fed(1_000)
    grown = appetite.rows
    for _ in range(3):
        appetite.fed(READ_BYTES + 1)

    assert (grown, appetite.rows) == (500, 62)
