"""``python -m bench.watch``: notes when each record of the outputs topic becomes visible to a read_committed consumer.

Told what to do by JSON on stdin; writes (job id, time) to a file and the number so far to a shared counter, until
SIGTERM. It reads by the public contract alone: the job is the ``ce_subject`` header.
"""

import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Final
from uuid import UUID

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from pydantic import BaseModel, ConfigDict

from bench.tally import SEEN, SharedCount

_POLL_S: Final = 0.05
_METADATA_S: Final = 10.0


class WatchOrder(BaseModel):
    """What to watch, and where to write."""

    model_config = ConfigDict(frozen=True)

    bootstrap: str
    topic: str
    seen_file: Path
    count_file: Path


class Watcher:
    """One consumer of all partitions from their beginning, outside any group."""

    def __init__(self, order: WatchOrder) -> None:
        self._order = order
        self._stopping = False
        self._consumer = Consumer(
            {
                "bootstrap.servers": order.bootstrap,
                "group.id": "bench-watch",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 100,
            }
        )

    def stop(self, _number: int, _frame: FrameType | None) -> None:
        """Ask it to end after the record in hand."""
        self._stopping = True

    def run(self) -> None:
        """Note records until told to stop. Raises KafkaException."""
        found = self._consumer.list_topics(self._order.topic, timeout=_METADATA_S).topics[self._order.topic]
        self._consumer.assign([TopicPartition(self._order.topic, number, 0) for number in found.partitions])
        number = 0
        with self._order.seen_file.open("wb") as out, SharedCount(self._order.count_file) as count:
            while not self._stopping:
                message = self._consumer.poll(_POLL_S)
                if message is None:
                    out.flush()
                    continue
                error = message.error()
                if error is not None:
                    if error.code() == KafkaError._PARTITION_EOF or error.retriable():
                        continue
                    raise KafkaException(error)
                seen_s = time.monotonic()
                out.write(SEEN.pack(subject(message.headers()).bytes, seen_s))
                number += 1
                count.value = number
        self._consumer.close()


def subject(headers: object) -> UUID:
    """Return the job of a CloudEvent in Kafka's binary mode. Raises ValueError where it names none."""
    for name, value in headers if isinstance(headers, list) else ():
        if name == "ce_subject" and isinstance(value, bytes):
            return UUID(value.decode())
    raise ValueError("a record without ce_subject")


def main() -> None:
    """Watch as ordered on stdin."""
    watcher = Watcher(WatchOrder.model_validate_json(sys.stdin.buffer.read()))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, watcher.stop)
    watcher.run()


if __name__ == "__main__":
    main()
