"""Consumed records of work topics are deleted behind their groups; nothing else is."""

import pytest

from common.kafka.offsets import offsets_of
from common.pipeline import Topic
from persistence.postgres.states import ReleaseLane
from persistence.relay.housekeeping import groups_by_topic, trim
from tests.integration.relay.relay_world import World

pytestmark = pytest.mark.stack


async def test_only_what_the_group_has_consumed_is_deleted(world: World) -> None:
    topic = Topic.STEPS_STANDARD
    await world.put([b"s"] * 40, lane=ReleaseLane.STANDARD, topic=topic)
    await world.put([b"o"] * 5, lane=ReleaseLane.PUBLIC, topic=Topic.OUTPUTS)
    async with world.relaying():
        await world.until_rows(0)
    ends = await world.ends(topic)
    done = {number: end // 2 for number, end in ends.items()}
    await world.commit_as("prompt_engine", topic, done)

    async with offsets_of(world.bootstrap, client_id="test") as offsets:
        trimmed = await trim(offsets, world.prefix)
        again = await trim(offsets, world.prefix)

    kept = await world.watermarks(topic)
    assert {number: first for number, (first, _) in kept.items()} == done
    assert {number: end for number, (_, end) in kept.items()} == ends
    assert (trimmed, again) == (sum(offset > 0 for offset in done.values()), 0)
    assert len(await world.read(Topic.OUTPUTS)) == 5


async def test_a_topic_its_group_has_never_read_keeps_everything(world: World) -> None:
    topic = Topic.STEPS_BULK
    await world.put([b"s"] * 10, lane=ReleaseLane.BULK, topic=topic)
    async with world.relaying():
        await world.until_rows(0)

    async with offsets_of(world.bootstrap, client_id="test") as offsets:
        assert await trim(offsets, world.prefix) == 0

    assert all(first == 0 for first, _ in (await world.watermarks(topic)).values())


def test_public_topics_are_never_trimmed() -> None:
    assert not {"x.outputs", "x.events", "x.dead-letters", "x.relay-manifest"} & set(groups_by_topic("x"))
