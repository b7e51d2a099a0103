"""What travels by reference, and what is read as one."""

from hypothesis import given
from hypothesis import strategies as st

from common.ids import uuid7
from common.kafka.producer import Record
from common.payloads import INLINE_BYTES, by_reference, reference_in
from common.pipeline import Topic

KEY = str(uuid7()).encode()


def record(value: bytes) -> Record:
    return Record(Topic.PROMPTS_STANDARD, KEY, value, (("traceparent", b"00"),))


@given(st.binary(max_size=2000))
def test_small_messages_travel_as_they_are(value: bytes) -> None:
    assert by_reference(record(value)) == (record(value), None)


def test_a_large_message_becomes_a_reference_to_its_bytes_under_the_same_key_and_headers() -> None:
    large = b"x" * (INLINE_BYTES + 1)

    stub, payload = by_reference(record(large))
    again, _ = by_reference(record(large))

    assert payload is not None
    assert (payload.body, str(payload.job_id).encode()) == (large, KEY)
    assert reference_in(stub.value) == payload.payload_id
    assert (stub.key, stub.headers, stub.topic) == (KEY, record(b"").headers, Topic.PROMPTS_STANDARD)
    assert again == stub


@given(st.one_of(st.none(), st.binary(), st.just(b"@payload:" + b"x" * 36)))
def test_nothing_else_is_a_reference(value: bytes | None) -> None:
    assert reference_in(value) is None
