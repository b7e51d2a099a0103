"""An outbox row as the Kafka record it becomes. Pure."""

from collections.abc import Sequence

import orjson

from common.errors import UndecodableMessage
from common.kafka.transactions import Record
from common.pipeline import Topic, topic_name
from persistence.postgres.outbox import OutboxRow

_TRACEPARENT = "traceparent"


class RecordMaker:
    """Knows the installation's topic names by the numbers stored in rows."""

    def __init__(self, prefix: str) -> None:
        self._names = {int(topic): topic_name(prefix, topic) for topic in Topic}

    def name(self, topic: int) -> str:
        """Return a topic's full name, or what to call a number that nobody knows."""
        return self._names.get(topic, f"topic {topic}")

    def record(self, row: OutboxRow) -> Record:
        """Return the record: keyed by job, with the headers stored in the row. Raises UndecodableMessage."""
        topic = self._names.get(row.topic)
        if topic is None:
            raise UndecodableMessage(f"an outbox row names topic {row.topic}, which does not exist")
        key = str(row.job_id).encode()
        if row.headers is None and row.traceparent is None:
            return Record(topic, key, row.body)
        return Record(topic, key, row.body, _headers(row))


def _headers(row: OutboxRow) -> Sequence[tuple[str, bytes]]:
    headers: list[tuple[str, bytes]] = []
    if row.headers is not None:
        try:
            headers = [(name, value.encode()) for name, value in orjson.loads(row.headers)]
        except (ValueError, TypeError, AttributeError) as error:
            raise UndecodableMessage("the headers of an outbox row are no JSON array of pairs") from error
    if row.traceparent is not None and all(name != _TRACEPARENT for name, _ in headers):
        headers.append((_TRACEPARENT, row.traceparent.encode()))
    return headers
