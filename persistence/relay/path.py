"""What the sending paths of a shard share: where they read and write, and rows that cannot be sent."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from common.errors import UndecodableMessage
from common.kafka.transactions import Record
from persistence.postgres.outbox import OutboxRow, set_aside
from persistence.postgres.pool import Connection, Pool
from persistence.relay.metrics import RelayMetrics
from persistence.relay.quarantine import Quarantine
from persistence.relay.rows import RecordMaker
from persistence.relay.wakes import ShardWakes

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ShardContext:
    """One shard's surroundings, for as long as it is led here."""

    shard: int
    shards: int
    epoch: int
    prefix: str
    bootstrap: str
    pool: Pool
    wakes: ShardWakes
    metrics: RelayMetrics
    records: RecordMaker
    stopping: asyncio.Event

    @property
    def client_id(self) -> str:
        """Return the name that the broker's logs show."""
        return f"{self.prefix}-relay-{self.shard}"


async def sendable(
    context: ShardContext, connection: Connection, quarantine: Quarantine, rows: Sequence[OutboxRow]
) -> tuple[list[OutboxRow], dict[int, Record]]:
    """Return the rows that can be sent and their records by revision; set the others aside."""
    kept: list[OutboxRow] = []
    records: dict[int, Record] = {}
    for row in rows:
        reason = quarantine.condemned(row)
        exception = "RecordRefused"
        if reason is None:
            try:
                records[row.rev] = context.records.record(row)
            except UndecodableMessage as error:
                reason, exception = str(error), type(error).__name__
        if reason is None:
            kept.append(row)
            continue
        topic = context.records.name(row.topic)
        await set_aside(
            connection,
            row,
            topic=topic,
            reason=reason,
            exception=exception,
            source=context.prefix,
            shards=context.shards,
        )
        context.metrics.set_aside.inc()
        log.warning("relay_row_set_aside", rev=row.rev, job_id=str(row.job_id), topic=topic, reason=reason)
        quarantine.clear([row.rev])
    return kept, records
