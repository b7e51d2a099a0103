"""Where logs end and how far groups have come: ListOffsets, OffsetFetch and DeleteRecords on one connection.

Numbers are a moment old when they arrive; nobody may take them for a lock. All waits end by the client's
request timeout; every failure is BrokerUnavailable.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.admin import DeleteRecordsRequest
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.structs import TopicPartition

from common.errors import BrokerUnavailable
from common.kafka.errors import broker_errors

_LATEST: Final = -1
_EARLIEST: Final = -2
_UNCOMMITTED: Final = 0
_COMMITTED: Final = 1
_ANY_REPLICA: Final = -1
_REQUEST_TIMEOUT_MS: Final = 5_000


_ByTopic = dict[str, list[int]]
_Row = tuple[int, int, int]  # partition, error code, offset


class Partition(NamedTuple):
    """One partition of a topic."""

    topic: str
    partition: int


class Offsets:
    """Asks a client's brokers. The client stays its owner's."""

    def __init__(self, client: AIOKafkaClient) -> None:
        self._client = client
        self._coordinators: dict[str, int] = {}

    async def partitions(self, topics: Collection[str]) -> list[Partition]:
        """Return every partition of the topics."""
        with broker_errors("reading metadata"):
            counts = {topic: await self._client._wait_on_metadata(topic) for topic in sorted(topics)}
        return [Partition(topic, number) for topic, numbers in counts.items() for number in sorted(numbers)]

    async def absent(self, topics: Collection[str]) -> set[str]:
        """Return those topics that the cluster does not have."""
        with broker_errors("reading metadata"):
            cluster = await self._client.fetch_all_metadata()
        there: set[str] = cluster.topics(exclude_internal_topics=False)
        return set(topics) - there

    async def stable_ends(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """Return the last stable offsets: what a read_committed consumer can see ends there."""
        return await self._list(partitions, _LATEST, _COMMITTED)

    async def ends(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """Return the high watermarks."""
        return await self._list(partitions, _LATEST, _UNCOMMITTED)

    async def beginnings(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """Return the first offsets still kept."""
        return await self._list(partitions, _EARLIEST, _UNCOMMITTED)

    async def committed(self, group: str, partitions: Collection[Partition]) -> dict[Partition, int]:
        """Return a group's committed offsets; partitions it has never committed are absent."""
        topics = list(_by_topic(partitions).items())
        with broker_errors("reading a group's offsets"):
            node = self._coordinators.get(group)
            if node is None:
                node = await self._client.coordinator_lookup(CoordinationType.GROUP, group)
                self._coordinators[group] = node
            try:
                answer = await self._client.send(
                    node, OffsetFetchRequest(group, topics), group=ConnectionGroup.COORDINATION
                )
                _raise_for(answer.error_code)
                found = {}
                for topic, rows in answer.topics:
                    for number, offset, _, error_code in rows:
                        _raise_for(error_code)
                        if offset >= 0:
                            found[Partition(topic, number)] = offset
            except KafkaError:
                del self._coordinators[group]
                raise
        return found

    async def delete_before(self, offsets: Mapping[Partition, int]) -> None:
        """Delete the records before the given offsets."""

        def request(theirs: _ByTopic) -> DeleteRecordsRequest:
            topics = [(topic, [(n, offsets[Partition(topic, n)]) for n in theirs[topic]]) for topic in theirs]
            return DeleteRecordsRequest(topics, _REQUEST_TIMEOUT_MS)

        def low_watermark(number: int, offset: int, error_code: int, *_tags: object) -> _Row:
            return number, error_code, offset

        await self._ask_leaders(offsets, request, low_watermark)

    async def _list(self, partitions: Collection[Partition], moment: int, isolation: int) -> dict[Partition, int]:
        def request(theirs: _ByTopic) -> OffsetRequest:
            topics = [(topic, [(n, moment) for n in theirs[topic]]) for topic in theirs]
            return OffsetRequest(_ANY_REPLICA, isolation, topics)

        def listed(number: int, error_code: int, _timestamp: int, offset: int) -> _Row:
            return number, error_code, offset

        return await self._ask_leaders(partitions, request, listed)

    async def _ask_leaders(
        self, partitions: Collection[Partition], request: Callable[[_ByTopic], Any], read: Callable[..., _Row]
    ) -> dict[Partition, int]:
        found: dict[Partition, int] = {}
        with broker_errors("reading offsets"):
            by_leader: dict[int, list[Partition]] = defaultdict(list)
            for where in partitions:
                by_leader[await self._leader(where)].append(where)
            for leader, theirs in by_leader.items():
                answer = await self._client.send(leader, request(_by_topic(theirs)))
                for topic, rows, *_ in answer.topics:
                    for row in rows:
                        number, error_code, offset = read(*row[:4])
                        if error_code:
                            self._client.force_metadata_update()
                        _raise_for(error_code)
                        found[Partition(topic, number)] = offset
        return found

    async def _leader(self, where: Partition) -> int:
        await self._client._wait_on_metadata(where.topic)
        leader: int | None = self._client.cluster.leader_for_partition(TopicPartition(*where))
        if leader is None or leader < 0:
            self._client.force_metadata_update()
            raise BrokerUnavailable(f"partition {where.partition} of {where.topic} has no leader now")
        return leader


@asynccontextmanager
async def offsets_of(bootstrap: str, *, client_id: str) -> AsyncIterator[Offsets]:
    """Open a connection of its own for asking. Raises BrokerUnavailable."""
    client = AIOKafkaClient(
        bootstrap_servers=bootstrap,
        client_id=client_id,
        request_timeout_ms=_REQUEST_TIMEOUT_MS,
        metadata_max_age_ms=30_000,
    )
    try:
        with broker_errors("connecting"):
            await client.bootstrap()
        yield Offsets(client)
    finally:
        await client.close()


def _by_topic(partitions: Collection[Partition]) -> _ByTopic:
    by_topic: _ByTopic = defaultdict(list)
    for topic, number in partitions:
        by_topic[topic].append(number)
    return by_topic


def _raise_for(error_code: int) -> None:
    if error_code:
        raise for_code(error_code)()
