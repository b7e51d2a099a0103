"""Identifiers: time-ordered, derived without counting."""

import time
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from common.ids import derive, shard_of, uuid7


def test_a_uuid7_carries_the_time_and_its_version() -> None:
    before_ms = time.time_ns() // 1_000_000
    made = uuid7()
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert before_ms <= made.int >> 80 <= time.time_ns() // 1_000_000


def test_ids_derived_for_one_purpose_are_one_id() -> None:
    job = uuid7()
    assert derive(job, "output") == derive(job, "output")
    assert derive(job, "output") != derive(job, "event:1")
    assert derive(job, "output") != derive(uuid7(), "output")


@given(st.uuids(), st.text(max_size=40))
def test_a_derived_id_keeps_its_parents_time(parent: UUID, purpose: str) -> None:
    made = derive(parent, purpose)
    assert made.int >> 80 == parent.int >> 80
    assert made.version == 7


@given(st.uuids(), st.integers(1, 64))
def test_a_shard_is_one_of_them(job: UUID, shards: int) -> None:
    assert 0 <= shard_of(job, shards) < shards
