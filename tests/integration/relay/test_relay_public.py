"""Public records: in order, complete, once, by the headers their rows carry."""

import asyncio

import pytest

from common.contracts import DeadLetterRecord
from common.ids import uuid7
from common.kafka.logreading import read_stretch
from common.kafka.offsets import Partition
from common.kafka.transactions import Record, TransactionalProducer
from common.pipeline import Topic
from persistence.postgres import outbox
from persistence.postgres.states import ReleaseLane
from persistence.relay.manifest import decode
from tests.integration.relay.relay_world import World

pytestmark = pytest.mark.stack

PUBLIC = ReleaseLane.PUBLIC


async def test_outputs_are_published_once_with_their_headers_and_leave_the_outbox(world: World) -> None:
    async with world.relaying():
        await world.put([b"one"], lane=PUBLIC, topic=Topic.OUTPUTS, headers=[["ce_id", "1"], ["ce_type", "x"]])
        await world.until_rows(0)

    (record,) = await world.read(Topic.OUTPUTS)
    assert record.value == b"one"
    assert record.headers == (("ce_id", b"1"), ("ce_type", b"x"))


async def test_the_events_of_one_job_stay_in_order(world: World) -> None:
    job_id = uuid7()
    async with world.relaying():
        for batch in range(20):
            bodies = [b"%d" % (batch * 15 + n) for n in range(15)]
            await world.put(bodies, lane=PUBLIC, topic=Topic.EVENTS, job_id=job_id)
        await world.until_rows(0)

    records = await world.read(Topic.EVENTS)
    assert [int(record.value) for record in records] == list(range(300))
    assert {record.key for record in records} == {str(job_id).encode()}


async def test_the_manifest_names_the_rows_and_where_their_records_stand(world: World) -> None:
    revs = await world.put([b"a", b"b", b"c"], lane=PUBLIC, topic=Topic.OUTPUTS)
    async with world.relaying():
        await world.until_rows(0)

    manifest = decode((await world.read(Topic.MANIFEST))[-1].value)
    records = await world.read(Topic.OUTPUTS)
    assert manifest.revs == tuple(sorted(revs))
    assert {(e.partition, offset) for e in manifest.extents for offset in range(e.first, e.last + 1)} == {
        (record.partition, record.offset) for record in records
    }


async def test_a_lost_wake_costs_a_second_and_not_the_record(world: World) -> None:
    async with world.relaying():
        await world.put([b"first"], lane=PUBLIC, topic=Topic.OUTPUTS)
        await world.until_rows(0)

        await world.put([b"second"], lane=PUBLIC, topic=Topic.OUTPUTS, wake=False)
        await world.until_rows(0)

    assert {record.value for record in await world.read(Topic.OUTPUTS)} == {b"first", b"second"}


async def test_an_oversize_output_is_set_aside_and_its_neighbours_are_published(world: World) -> None:
    bodies = [b"%d" % n for n in range(30)]
    bodies[11] = b"x" * (9 * 1024 * 1024)
    revs = await world.put(bodies, lane=PUBLIC, topic=Topic.OUTPUTS)

    async with world.relaying():
        await world.until_rows(0)

    published = sorted(int(record.value) for record in await world.read(Topic.OUTPUTS))
    assert published == [n for n in range(30) if n != 11]
    letter = await world.connection.fetchrow("select * from dead_letters")
    assert letter is not None
    assert (letter["offset"], letter["stage"], letter["value"]) == (revs[11], "relay", bodies[11])
    (told,) = await world.read(Topic.DEAD_LETTERS)
    assert DeadLetterRecord.model_validate_json(told.value or b"").letter_id == letter["id"]


async def test_a_letters_own_record_that_is_refused_makes_no_other(world: World) -> None:
    await world.put([b"x" * (9 * 1024 * 1024)], lane=PUBLIC, topic=Topic.DEAD_LETTERS)

    async with world.relaying():
        await world.until_rows(0)

    assert await world.connection.fetchval("select count(*) from dead_letters") == 1
    assert await world.read(Topic.DEAD_LETTERS) == []


async def test_a_row_that_is_no_record_is_set_aside_and_its_neighbours_are_published(world: World) -> None:
    await world.put([b"one"], lane=PUBLIC, topic=Topic.OUTPUTS)
    (broken,) = await world.put([b"two"], lane=PUBLIC, topic=Topic.OUTPUTS)
    await world.connection.execute("update outbox set headers = 'no json' where rev = $1", broken)
    await world.put([b"three"], lane=PUBLIC, topic=Topic.OUTPUTS)

    async with world.relaying():
        await world.until_rows(0)

    assert {record.value for record in await world.read(Topic.OUTPUTS)} == {b"one", b"three"}
    assert await world.connection.fetchval('select "offset" from dead_letters') == broken


async def _published_but_not_deleted(world: World) -> list[int]:
    """Rows as a relay leaves them that dies between commit and delete."""
    await world.put([b"a", b"b"], lane=PUBLIC, topic=Topic.OUTPUTS)
    await world.connection.execute("create table kept as table outbox")
    async with world.relaying():
        await world.until_rows(0)
    await world.connection.execute("insert into outbox select * from kept")
    return [row["rev"] for row in await world.connection.fetch("select rev from kept")]


async def test_rows_the_newest_manifest_names_are_deleted_and_not_sent_again(world: World) -> None:
    await _published_but_not_deleted(world)

    async with world.relaying():
        await world.until_rows(0)

    assert sorted(record.value for record in await world.read(Topic.OUTPUTS)) == [b"a", b"b"]


async def test_another_installations_manifest_deletes_nothing(world: World) -> None:
    # given a database that is another installation, with rows of the same revisions
    await _published_but_not_deleted(world)
    await world.connection.execute("update installation set id = gen_random_uuid()")

    async with world.relaying():
        await world.until_rows(0)

    assert sorted(record.value for record in await world.read(Topic.OUTPUTS)) == [b"a", b"a", b"b", b"b"]


async def test_records_of_a_producer_that_died_before_its_manifest_are_never_seen(world: World) -> None:
    # given a transaction of the shard's producer, open, with a record and without a manifest
    topic = world.topic(Topic.OUTPUTS)
    dead = TransactionalProducer(world.bootstrap, client_id="dead", transactional_id=f"{world.prefix}.relay.0")
    async with dead:
        await dead.begin((world.topic(Topic.MANIFEST), 0))
        await dead.send([Record(topic, b"k", b"never")])
        await world.put([b"good"], lane=PUBLIC, topic=Topic.OUTPUTS)

        async with world.relaying():
            await world.until_rows(0)

    assert [record.value for record in await world.read(Topic.OUTPUTS)] == [b"good"]


async def test_the_closing_transaction_reaches_every_partition_and_leaves_no_record(world: World) -> None:
    async with world.relaying():
        await world.put([b"x"], lane=PUBLIC, topic=Topic.EVENTS)
        await world.until_rows(0)

    # a marker each, and nothing else, where nothing was published
    assert await world.read(Topic.OUTPUTS) == []
    assert set((await world.ends(Topic.OUTPUTS)).values()) == {1}


async def test_the_newest_manifest_is_found_behind_many_aborted_ones(world: World) -> None:
    await _published_but_not_deleted(world)
    manifests = world.topic(Topic.MANIFEST)
    async with TransactionalProducer(
        world.bootstrap, client_id="aborter", transactional_id=f"{world.prefix}.relay.0"
    ) as producer:
        for _ in range(40):
            await producer.begin((manifests, 0))
            await producer.send([Record(manifests, b"shard-0", b"aborted", (), 0)])
            await producer.abort()

    async with world.relaying():
        await world.until_rows(0)

    assert sorted(record.value for record in await world.read(Topic.OUTPUTS)) == [b"a", b"b"]


async def test_a_stretch_is_read_to_its_end_over_markers_and_aborted_batches(world: World) -> None:
    where = Partition(world.topic(Topic.OUTPUTS), 0)
    async with TransactionalProducer(world.bootstrap, client_id="t", transactional_id="t") as producer:
        for value, ending in ((b"1", producer.commit), (b"2", producer.abort), (b"3", producer.commit)):
            await producer.begin()
            await producer.send([Record(where.topic, b"k", value, (), 0)])
            await ending()
        async with asyncio.timeout(10):
            while (end := (await producer.offsets.stable_ends([where]))[where]) < 6:
                await asyncio.sleep(0.01)

    committed = await read_stretch(world.bootstrap, where, 0, end, committed=True)
    everything = await read_stretch(world.bootstrap, where, 0, end, committed=False)

    assert committed == [(0, b"1"), (4, b"3")]
    assert [value for _, value in everything] == [b"1", b"2", b"3"]


async def test_public_rows_of_one_shard_only_are_read(world: World) -> None:
    await world.put([b"here"], lane=PUBLIC, topic=Topic.OUTPUTS)
    await world.connection.execute("update outbox set shard = 1")

    assert await outbox.public(world.connection, 0, 10) == []
    assert [row.body for row in await outbox.public(world.connection, 1, 10)] == [b"here"]
