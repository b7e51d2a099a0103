"""Manifests on the wire, and what recovery decides from what it finds."""

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import UndecodableMessage, UnsupportedVersion
from common.kafka.offsets import Partition
from common.kafka.transactions import Extent
from persistence.relay.manifest import Manifest, decode, encode, manifest_key
from persistence.relay.recovery import Closing, Found, closing_of, rows_to_delete

OUTPUTS = Partition("x.outputs", 0)
EVENTS = Partition("x.events", 1)
INSTALLATION = uuid4()
EXTENTS = st.builds(Extent, st.text(max_size=30), st.integers(0, 99), st.integers(0), st.integers(0))
MANIFESTS = st.builds(
    Manifest,
    st.uuids(),
    st.integers(0, 63),
    st.integers(1, 2**40),
    st.lists(st.integers(1, 2**62), max_size=20).map(tuple),
    st.lists(EXTENTS, max_size=5).map(tuple),
)


@given(MANIFESTS)
def test_a_manifest_survives_the_wire(manifest: Manifest) -> None:
    wire_sized = Manifest(
        manifest.installation,
        manifest.shard,
        manifest.epoch,
        manifest.revs,
        tuple(Extent(e.topic, e.partition, e.first % 2**62, e.last % 2**62) for e in manifest.extents),
    )

    assert decode(encode(wire_sized)) == wire_sized


@pytest.mark.parametrize("value", [None, b"", b"[]", b"{}", b'{"v":1}', b'{"v":1,"installation":"x"}', b"\xff"])
def test_what_is_no_manifest_is_refused(value: bytes | None) -> None:
    with pytest.raises(UndecodableMessage):
        decode(value)


def test_a_manifest_of_a_later_version_is_refused() -> None:
    with pytest.raises(UnsupportedVersion):
        decode(b'{"v":2}')


def test_each_shard_has_a_key_of_its_own_for_compaction() -> None:
    assert manifest_key(0) != manifest_key(1)


def manifest(*extents: Extent, installation: UUID = INSTALLATION) -> Manifest:
    return Manifest(installation, 0, 1, (11, 12), extents)


def found(
    hanging: Manifest | None = None,
    *,
    aborted: bool = False,
    last: Manifest | None = None,
    stable: dict[Partition, int] | None = None,
    ends: dict[Partition, int] | None = None,
) -> Found:
    return Found(hanging, aborted, last, stable or {}, ends or {})


def test_nothing_known_is_closed_with_abort() -> None:
    assert closing_of(found()) is Closing.ABORT


def test_a_hanging_manifest_is_committed() -> None:
    assert closing_of(found(manifest(Extent(*OUTPUTS, 5, 9)))) is Closing.COMMIT


def test_a_hanging_manifest_with_a_part_aborted_is_aborted() -> None:
    assert closing_of(found(manifest(Extent(*OUTPUTS, 5, 9)), aborted=True)) is Closing.ABORT


def test_a_committed_manifest_whose_records_are_not_stable_is_committed_again() -> None:
    last = manifest(Extent(*OUTPUTS, 5, 9), Extent(*EVENTS, 0, 3))

    decision = closing_of(found(last=last, stable={OUTPUTS: 11, EVENTS: 0}, ends={OUTPUTS: 11, EVENTS: 4}))

    assert decision is Closing.COMMIT


def test_records_that_hang_behind_a_settled_manifest_are_aborted() -> None:
    last = manifest(Extent(*OUTPUTS, 5, 9))

    assert closing_of(found(last=last, stable={OUTPUTS: 11}, ends={OUTPUTS: 20})) is Closing.ABORT


def test_a_manifest_about_a_topic_that_was_made_anew_holds_nothing_up() -> None:
    last = manifest(Extent(*OUTPUTS, 500, 900))

    assert closing_of(found(last=last, stable={OUTPUTS: 3}, ends={OUTPUTS: 3})) is Closing.ABORT


def test_the_newest_manifest_names_the_rows_to_delete() -> None:
    assert rows_to_delete(manifest(), INSTALLATION) == (11, 12)


def test_another_installations_manifest_deletes_nothing() -> None:
    assert rows_to_delete(manifest(installation=uuid4()), INSTALLATION) == ()


def test_no_manifest_deletes_nothing() -> None:
    assert rows_to_delete(None, INSTALLATION) == ()
