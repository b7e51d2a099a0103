"""Deletes consumed records of the work topics behind their groups. Slow, and never needed for correctness.

Work topics do not expire by time or size: what no group has committed is kept, whatever its age.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from common.errors import BrokerUnavailable
from common.kafka.offsets import Offsets, Partition, offsets_of
from common.pipeline import STAGES, TOPICS, group_name, topic_name

PERIOD_S: Final = 30.0

log = structlog.get_logger(__name__)


def groups_by_topic(prefix: str) -> dict[str, list[str]]:
    """Return the consumer groups of each work topic. A topic that nobody reads is never trimmed."""
    groups: dict[str, list[str]] = {}
    for stage in STAGES.values():
        for topic in stage.reads:
            if not TOPICS[topic].public:
                groups.setdefault(topic_name(prefix, topic), []).append(group_name(prefix, stage.name))
    return groups


def consumed(by_group: Mapping[str, Mapping[Partition, int]], where: Partition, groups: list[str]) -> int:
    """Return the offset before which every group is done with a partition (0: one has never committed)."""
    return min(by_group[group].get(where, 0) for group in groups)


async def trim(offsets: Offsets, prefix: str) -> int:
    """Delete what every group has consumed; return how many partitions had something to delete."""
    groups = groups_by_topic(prefix)
    partitions = await offsets.partitions(groups)
    by_group = {
        group: await offsets.committed(group, [where for where in partitions if group in groups[where.topic]])
        for group in {group for theirs in groups.values() for group in theirs}
    }
    beginnings = await offsets.beginnings(partitions)
    ends = await offsets.ends(partitions)
    # Beyond the end: committed late, for a topic that was made anew since.
    before = {
        where: done
        for where in partitions
        if beginnings[where] < (done := consumed(by_group, where, groups[where.topic])) <= ends[where]
    }
    if before:
        await offsets.delete_before(before)
    return len(before)


async def keep_trimming(bootstrap: str, prefix: str, client_id: str, trimmed: Callable[[int], object]) -> None:
    """Trim every half minute. A Kafka that is away is asked again the next time."""
    while True:
        await asyncio.sleep(PERIOD_S)
        try:
            async with offsets_of(bootstrap, client_id=client_id) as offsets:
                trimmed(await trim(offsets, prefix))
        except BrokerUnavailable as error:
            log.warning("relay_trim_failed", reason=str(error))
