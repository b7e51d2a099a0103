"""Which jobs have a record in Kafka that its stage has not finished with, and which work topics are missing."""

from common.kafka.logreading import read_keys
from common.kafka.offsets import Offsets, Partition
from common.pipeline import TOPICS, Topic, topic_name
from persistence.relay.housekeeping import groups_by_topic


async def missing_topics(offsets: Offsets, prefix: str) -> set[str]:
    """Return the topics of the pipeline that Kafka does not have. Raises BrokerUnavailable."""
    return await offsets.absent([topic_name(prefix, topic) for topic in Topic if topic in TOPICS])


async def unfinished_keys(offsets: Offsets, bootstrap: str, prefix: str) -> set[bytes]:
    """Return the keys of every record that a work topic's group has not committed. Raises BrokerUnavailable.

    Bounded by the runway. A record that is sent meanwhile may be missed, so who is absent is looked for twice.
    """
    groups = groups_by_topic(prefix)
    stretches: dict[Partition, tuple[int, int]] = {}
    for topic, readers in groups.items():
        partitions = await offsets.partitions([topic])
        done = [await offsets.committed(group, partitions) for group in readers]
        beginnings = await offsets.beginnings(partitions)
        ends = await offsets.ends(partitions)
        for where in partitions:
            start = max(beginnings[where], min(committed.get(where, 0) for committed in done))
            # Beyond the end: the topic was made anew, and its group begins at the beginning.
            stretches[where] = (start if start <= ends[where] else beginnings[where], ends[where])
    return await read_keys(bootstrap, stretches)
