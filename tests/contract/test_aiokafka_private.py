"""What the relay uses of aiokafka beneath its public face. A new aiokafka must pass before it is taken."""

import asyncio
import inspect
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import aiokafka
import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import RequestTimedOutError
from aiokafka.producer import sender
from aiokafka.producer.transaction_manager import TransactionManager
from aiokafka.protocol.transaction import EndTxnRequest

from common.errors import BrokerUnavailable, RecordRefused
from common.kafka.admin import create_topics
from common.kafka.offsets import Partition
from common.kafka.transactions import IdempotentProducer, Record, TransactionalProducer
from common.pipeline import Topic, topic_name
from headrace.local.stack import Endpoints

pytestmark = pytest.mark.stack


@pytest.fixture
async def prefix(endpoints: Endpoints) -> str:
    name = f"pin{uuid4().hex[:12]}"
    await create_topics(endpoints.kafka_bootstrap, name)
    return name


@pytest.fixture
async def producer(endpoints: Endpoints, prefix: str) -> AsyncIterator[TransactionalProducer]:
    async with TransactionalProducer(endpoints.kafka_bootstrap, client_id="pin", transactional_id=prefix) as started:
        await started.partitions([topic_name(prefix, Topic.OUTPUTS)])
        yield started


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_the_version_is_the_one_that_was_read() -> None:
    assert aiokafka.__version__ == "0.14.0"


def test_the_sender_is_built_and_asked_as_we_do() -> None:
    assert parameters(sender.Sender.__init__)[1:] == [
        "client",
        "acks",
        "txn_manager",
        "message_accumulator",
        "retry_backoff_ms",
        "request_timeout_ms",
    ]
    assert parameters(sender.Sender._do_txn_commit) == ["self", "commit_result"]
    assert parameters(sender.Sender._do_add_partitions_to_txn) == ["self", "tps"]
    assert parameters(sender.EndTxnHandler.__init__) == ["self", "sender", "commit_result"]
    assert parameters(sender.AddPartitionsToTxnHandler.__init__) == ["self", "sender", "topic_partitions"]
    assert parameters(TransactionManager.maybe_add_partition_to_txn) == ["self", "tp"]
    assert sender.BACKOFF_OVERRIDE == 0.02


def test_the_client_is_asked_as_we_do() -> None:
    assert parameters(AIOKafkaClient.send) == ["self", "node_id", "request", "group"]
    assert parameters(AIOKafkaClient._wait_on_metadata) == ["self", "topic"]
    assert parameters(AIOKafkaClient.coordinator_lookup) == ["self", "coordinator_type", "coordinator_key"]


async def test_a_started_producer_uses_our_sender(producer: TransactionalProducer) -> None:
    await producer.begin()

    assert type(producer._kafka._sender).__name__ == "_RelaySender"
    assert producer._kafka._sender.sender_task is not None


async def test_end_txn_goes_out_once_when_its_answer_is_lost(
    producer: TransactionalProducer, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a connection that loses the answer to EndTxn
    sent: list[Any] = []
    ask = producer._kafka.client.send

    async def lossy(node_id: int, request: Any, **options: Any) -> Any:
        answer = await ask(node_id, request, **options)
        if isinstance(request, EndTxnRequest):
            sent.append(request)
            raise RequestTimedOutError
        return answer

    monkeypatch.setattr(producer._kafka.client, "send", lossy)
    await producer.begin()
    await producer.send([Record(topic_name(prefix, Topic.OUTPUTS), b"k", b"v")])

    with pytest.raises(BrokerUnavailable):
        await producer.commit()
    await asyncio.sleep(0.3)  # three of aiokafka's back-offs

    assert len(sent) == 1
    with pytest.raises(BrokerUnavailable):
        await producer.begin()


async def test_an_empty_transaction_writes_a_marker_to_every_partition_named(
    producer: TransactionalProducer, prefix: str
) -> None:
    partitions = [Partition(topic_name(prefix, Topic.EVENTS), number) for number in range(4)]

    for ending in (producer.commit, producer.abort):
        await producer.begin(*partitions)
        await ending()
    async with asyncio.timeout(10):
        while set((await producer.offsets.ends(partitions)).values()) != {2}:
            await asyncio.sleep(0.01)


async def test_send_says_where_each_record_stands(producer: TransactionalProducer, prefix: str) -> None:
    topic = topic_name(prefix, Topic.OUTPUTS)
    await producer.begin()
    first = await producer.send([Record(topic, b"", b"v", (), 1)] * 3)
    second = await producer.send([Record(topic, b"", b"v", (), 1), Record(topic, b"", b"v", (), 2)])
    await producer.commit()

    assert first == [(topic, 1, 0, 2)]
    assert sorted(second) == [(topic, 1, 3, 3), (topic, 2, 0, 0)]


async def test_more_than_one_batch_of_a_partition_is_one_extent(endpoints: Endpoints, prefix: str) -> None:
    topic = topic_name(prefix, Topic.STEPS_BULK)
    async with IdempotentProducer(endpoints.kafka_bootstrap, client_id="pin") as idempotent:
        extents = await idempotent.send([Record(topic, b"", b"v" * 100_000, (), 0)] * 7)

    assert extents == [(topic, 0, 0, 6)]


async def test_a_refused_record_is_found_among_its_neighbours(endpoints: Endpoints, prefix: str) -> None:
    topic = topic_name(prefix, Topic.STEPS_BULK)
    records = [Record(topic, b"", b"v", (), number % 4) for number in range(8)]
    records[5] = Record(topic, b"", b"v" * 9_000_000, (), 1)
    async with IdempotentProducer(endpoints.kafka_bootstrap, client_id="pin") as idempotent:
        with pytest.raises(RecordRefused) as refused:
            await idempotent.send(records)

    assert 5 in refused.value.suspects
    assert set(refused.value.suspects) <= {1, 5}


async def test_a_successor_fences_the_producer(
    endpoints: Endpoints, producer: TransactionalProducer, prefix: str
) -> None:
    topic = topic_name(prefix, Topic.OUTPUTS)
    await producer.begin()
    await producer.send([Record(topic, b"k", b"old")])

    async with TransactionalProducer(endpoints.kafka_bootstrap, client_id="pin2", transactional_id=prefix):
        with pytest.raises(BrokerUnavailable):
            await producer.commit()
