"""Wake tokens: what goes into a notification comes out of it."""

from hypothesis import given
from hypothesis import strategies as st

from persistence.postgres.wake import (
    EVERYTHING_TOKEN,
    LATER_TOKEN,
    PUBLIC_TOKEN,
    Wake,
    payloads,
    read_payload,
    steps_token,
)


@given(st.sets(st.tuples(st.integers(0, 3), st.text(min_size=1, max_size=60)), max_size=40))
def test_every_tenant_named_is_heard(tenants: set[tuple[int, str]]) -> None:
    sent = payloads(steps_token(lane, tenant) for lane, tenant in tenants)

    heard = {pair for payload in sent for pair in read_payload(payload).tenants}

    assert heard == tenants


def test_public_and_later_are_heard() -> None:
    (payload,) = payloads([PUBLIC_TOKEN, LATER_TOKEN])

    assert read_payload(payload) == Wake(public=True, later=True)


def test_a_payload_fits_into_a_notification() -> None:
    sent = payloads(steps_token(1, f"tenant-{n:050}") for n in range(700))

    assert len(sent) > 1
    assert all(len(payload) < 8000 for payload in sent)


def test_a_flood_becomes_one_wake_of_everything() -> None:
    assert payloads(steps_token(1, f"tenant-{n:060}") for n in range(5_000)) == [EVERYTHING_TOKEN]


def test_nothing_to_tell_is_not_sent() -> None:
    assert payloads([]) == []


@given(st.text(max_size=50))
def test_what_is_not_understood_wakes_everything_or_somebody(payload: str) -> None:
    wake = read_payload(payload)

    assert wake.everything or wake.public or wake.later or wake.tenants
