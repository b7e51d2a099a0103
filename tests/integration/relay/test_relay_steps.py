"""Work released from the outbox: urgency, fairness, runway, parking."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from common.ids import uuid7
from common.pipeline import Topic
from persistence.postgres import outbox
from persistence.postgres.states import ReleaseLane
from tests.integration.relay.relay_world import World

pytestmark = pytest.mark.stack


async def test_steps_reach_the_topic_of_their_lane_and_leave_the_outbox(world: World) -> None:
    async with world.relaying():
        for lane, topic in (
            (ReleaseLane.INTERACTIVE, Topic.STEPS_INTERACTIVE),
            (ReleaseLane.STANDARD, Topic.STEPS_STANDARD),
            (ReleaseLane.BULK, Topic.STEPS_BULK),
            (ReleaseLane.INTERIOR, Topic.PROMPTS_BULK),
        ):
            await world.put([b"step"], lane=lane, topic=topic)

            assert await world.read_uncommitted(topic, 1) == [b"step"]
        await world.until_rows(0)


async def test_the_earliest_deadline_goes_first(world: World) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    job_id = uuid7()  # one job: one partition, so that the log's order is the order of release
    for body, deadline in ((b"third", None), (b"second", soon + timedelta(hours=1)), (b"first", soon)):
        await world.put([body], lane=ReleaseLane.STANDARD, topic=Topic.STEPS_STANDARD, job_id=job_id, deadline=deadline)

    async with world.relaying(runway=1):
        first = await world.read_uncommitted(Topic.STEPS_STANDARD, 1)
    async with world.relaying():
        assert first + (await world.read_uncommitted(Topic.STEPS_STANDARD, 3))[1:] == [b"first", b"second", b"third"]


async def test_a_flood_of_one_tenant_leaves_room_for_the_others(world: World) -> None:
    lane, topic = ReleaseLane.BULK, Topic.STEPS_BULK
    await world.put([b"flood"] * 3_000, lane=lane, topic=topic, tenant="flood")
    for tenant in ("a", "b"):
        await world.put([tenant.encode()] * 20, lane=lane, topic=topic, tenant=tenant)

    async with world.relaying(runway=90):
        await world.until_rows(3_040 - 90)
        released = Counter(await world.read_uncommitted(topic, 90))

    assert released[b"a"] == released[b"b"] == 20


async def test_no_more_than_the_runway_is_in_kafka_until_consumers_come_along(world: World) -> None:
    lane, topic = ReleaseLane.STANDARD, Topic.STEPS_STANDARD
    await world.put([b"s"] * 100, lane=lane, topic=topic)

    async with world.relaying(runway=30):
        await world.until_rows(70)
        await asyncio.sleep(1.0)  # several measures: nothing more may go
        assert await world.rows() == 70

        await world.commit_as("prompt_engine", topic, await world.ends(topic))
        await world.until_rows(40)


async def test_an_earlier_deadline_committed_during_a_drain_does_not_wait_for_its_end(world: World) -> None:
    lane, topic = ReleaseLane.STANDARD, Topic.STEPS_STANDARD
    later = datetime.now(UTC) + timedelta(hours=2)
    await world.put([b"later"] * 300, lane=lane, topic=topic, deadline=later)

    async with world.relaying(runway=100):
        await world.until_rows(200)
        # No wake: the refresh must find it behind the cursor.
        await world.put([b"urgent"], lane=lane, topic=topic, deadline=later - timedelta(hours=1), wake=False)
        await asyncio.sleep(1.5)
        await world.commit_as("prompt_engine", topic, await world.ends(topic))
        await world.until_rows(101)

        assert b"urgent" in await world.read_uncommitted(topic, 200)


async def test_a_parked_message_comes_back_when_its_time_has_come(world: World) -> None:
    async with world.relaying():
        await world.park(uuid7(), b"later", in_s=1.0, topic=Topic.PROMPTS_STANDARD)
        await asyncio.sleep(0.5)
        assert await world.rows() == 1

        assert await world.read_uncommitted(Topic.PROMPTS_STANDARD, 1) == [b"later"]
        await world.until_rows(0)


async def test_a_hold_is_never_released(world: World) -> None:
    async with world.relaying():
        await world.park(uuid7(), b"held", in_s=0, topic=Topic.STEPS_BULK)
        await world.until_rows(0)
        await world.park(uuid7(), b"held", in_s=3600, topic=Topic.STEPS_BULK)
        await world.connection.execute("update outbox set not_before = 'infinity'")

        await asyncio.sleep(1.5)
        assert await world.rows() == 1


async def test_a_row_parked_again_while_it_is_sent_is_not_deleted_with_the_old_one(world: World) -> None:
    # given a row that the relay has read and sent
    message_id = uuid7()
    await world.park(message_id, b"again", in_s=0, topic=Topic.PROMPTS_STANDARD)
    await outbox.promote(world.connection, 0, 10)
    (read,) = await outbox.ready(world.connection, 0, ReleaseLane.INTERIOR, [outbox.Share("t", 10, outbox.FIRST)])

    # when a stage parks it again before the relay deletes it
    await world.park(message_id, b"again", in_s=3600, topic=Topic.PROMPTS_STANDARD)
    await outbox.delete_ready(world.connection, [read.id], [read.rev])

    # then the parking stands
    assert await world.rows() == 1


async def test_a_row_kafka_refuses_becomes_a_dead_letter_and_its_neighbours_proceed(world: World) -> None:
    lane, topic = ReleaseLane.STANDARD, Topic.STEPS_STANDARD
    bodies = [b"good"] * 20
    bodies[7] = b"x" * (9 * 1024 * 1024)
    revs = await world.put(bodies, lane=lane, topic=topic)

    async with world.relaying():
        await world.until_rows(0)

    letter = await world.connection.fetchrow("select * from dead_letters")
    assert letter is not None
    assert (letter["topic"], letter["partition"], letter["offset"]) == (world.topic(topic), -1, revs[7])
    assert letter["stage"] == "relay"
    assert set(await world.read_uncommitted(topic, 19)) == {b"good"}
