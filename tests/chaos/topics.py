"""Reads the public topics as any other team would: confluent-kafka, read committed, from the beginning, no group.

``Tail`` follows while the run lasts and knows when each job's ending became visible; ``read_topic`` reads anew at the
end. They are independent readers and must agree.
"""

import threading
import time
from collections.abc import Sequence
from typing import Final

import orjson
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from tests.chaos.evidence import EventSeen, OutputSeen

_POLL_S: Final = 0.1
_METADATA_S: Final = 20.0
_READ_S: Final = 60.0


def _consumer(bootstrap: str, topics: Sequence[str]) -> Consumer:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "chaos-reader",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 100,
            "reconnect.backoff.max.ms": 500,
            "log_level": 0,
        }
    )
    known = consumer.list_topics(timeout=_METADATA_S).topics
    consumer.assign([TopicPartition(topic, number, 0) for topic in topics for number in known[topic].partitions])
    return consumer


class Tail:
    """Follows outputs and events in a thread of its own until closed."""

    def __init__(self, bootstrap: str, outputs: str, events: str) -> None:
        self._consumer = _consumer(bootstrap, (outputs, events))
        self._topic = outputs
        self._closing = threading.Event()
        self.ended: dict[str, float] = {}
        self.outputs: dict[str, float] = {}
        self._thread = threading.Thread(target=self._follow, name="tail", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End following."""
        self._closing.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._closing.is_set():
            message = self._consumer.poll(_POLL_S)
            if message is None or message.error() is not None:
                continue
            fields = orjson.loads(message.value() or b"{}")
            if message.topic() == self._topic:
                self.outputs.setdefault(fields["job_id"], time.time())
            if message.topic() == self._topic or fields.get("terminal"):
                self.ended.setdefault(fields["job_id"], time.time())
        self._consumer.close()


def read_topic(bootstrap: str, topic: str) -> list[Message]:
    """Return all committed records of a topic. Raises TimeoutError where a partition's end is out of reach."""
    consumer = _consumer(bootstrap, (topic,))
    found: list[Message] = []
    open_partitions = {where.partition for where in consumer.assignment()}
    deadline = time.monotonic() + _READ_S
    try:
        while open_partitions:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{topic}: the end of partitions {sorted(open_partitions)} was not reached")
            message = consumer.poll(_POLL_S)
            if message is None:
                continue
            error = message.error()
            if error is None:
                found.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                open_partitions.discard(message.partition())
            elif not error.retriable():
                raise KafkaException(error)
    finally:
        consumer.close()
    return found


def outputs_of(messages: Sequence[Message]) -> list[OutputSeen]:
    """Read output records by the written contract."""
    return [
        OutputSeen(
            job_id=fields["job_id"],
            record_id=_header(message, "ce_id"),
            partition=_number(message.partition()),
            offset=_number(message.offset()),
            output=fields["output"],
            revision=fields["revision"],
        )
        for message in messages
        if (fields := orjson.loads(message.value() or b"{}"))
    ]


def events_of(messages: Sequence[Message]) -> list[EventSeen]:
    """Read event records by the written contract."""
    return [
        EventSeen(
            job_id=fields["job_id"],
            record_id=_header(message, "ce_id"),
            partition=_number(message.partition()),
            offset=_number(message.offset()),
            kind=fields["type"],
            sequence=fields["sequence"],
            terminal=fields["terminal"],
        )
        for message in messages
        if (fields := orjson.loads(message.value() or b"{}"))
    ]


def _header(message: Message, name: str) -> str:
    headers = message.headers()
    for key, value in headers if isinstance(headers, list) else ():
        if key == name and isinstance(value, bytes):
            return value.decode()
    raise ValueError(f"a public record without {name}")


def _number(value: int | None) -> int:
    if value is None:
        raise ValueError("a record without its place")
    return value
