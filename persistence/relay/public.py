"""Publishes outputs and events (lane 4 of the outbox): in order of revision, exactly once.

One Kafka transaction a batch: the records, all acknowledged; then the manifest; the commit, asked for once;
the wait until readers see it; and only then the delete. Any error ends the session, and the next one
recovers before it reads a row: nothing read in an earlier session is ever sent.
"""

import time
from collections.abc import Sequence
from typing import Final

from common.clock import system_clock
from common.errors import ConfigurationError, RecordRefused
from common.failpoint import failpoint
from common.kafka.offsets import Partition
from common.kafka.transactions import Extent, Record, TransactionalProducer
from common.pipeline import TOPICS, Topic, topic_name
from persistence.postgres import outbox
from persistence.postgres.outbox import Installation, OutboxRow
from persistence.postgres.pool import Connection
from persistence.relay.appetite import Appetite
from persistence.relay.connections import held_connection
from persistence.relay.manifest import Manifest, encode, manifest_key
from persistence.relay.path import ShardContext, sendable
from persistence.relay.quarantine import Quarantine
from persistence.relay.recovery import Recovery, rows_to_delete, settle_extents
from persistence.relay.wakes import wait

BATCH_ROWS: Final = 1_000
REFRESH_S: Final = 1.0


class PublicPath:
    """Publishes the public rows of one shard."""

    def __init__(self, context: ShardContext, installation: Installation) -> None:
        self._context = context
        self._installation = installation
        self._quarantine = Quarantine()
        self._appetite = Appetite(BATCH_ROWS)
        self._manifests = Partition(topic_name(context.prefix, Topic.MANIFEST), context.shard)
        self._topics = [topic_name(context.prefix, spec.topic) for spec in TOPICS.values() if spec.public]

    async def session(self) -> None:
        """Recover, then publish until an error ends the session."""
        context = self._context
        producer_id = f"{context.prefix}.relay.{context.shard}"
        async with (
            held_connection(context.pool) as connection,
            TransactionalProducer(
                context.bootstrap, client_id=f"{context.client_id}-public", transactional_id=producer_id
            ) as producer,
        ):
            await self._recover(connection, producer)
            while not context.stopping.is_set():
                context.wakes.public.clear()
                rows = await outbox.public(connection, context.shard, self._appetite.rows)
                context.metrics.note_age("public", rows[0].job_id if rows else None, system_clock())
                if not rows:
                    await wait(context.wakes.public, REFRESH_S)
                    continue
                failpoint("relay.public.after_read")
                self._appetite.fed(sum(len(row.body) for row in rows))
                kept, records = await sendable(context, connection, self._quarantine, rows)
                for batch in self._quarantine.batches(kept):
                    await self._publish(connection, producer, batch, [records[row.rev] for row in batch])

    async def _recover(self, connection: Connection, producer: TransactionalProducer) -> None:
        context = self._context
        failpoint("relay.recovery.after_init")
        newest, closing = await Recovery(context.bootstrap, producer, self._manifests, self._topics).run()
        failpoint("relay.recovery.after_manifest")
        context.metrics.closed.labels(closing.value).inc()
        revs = rows_to_delete(newest, self._installation.id)
        if revs:
            await outbox.delete_public(connection, context.shard, revs)
        failpoint("relay.recovery.after_delete")

    async def _publish(
        self,
        connection: Connection,
        producer: TransactionalProducer,
        batch: Sequence[OutboxRow],
        records: Sequence[Record],
    ) -> None:
        context = self._context
        began = time.monotonic()
        revs = [row.rev for row in batch]
        await producer.begin(self._manifests)
        failpoint("relay.public.after_begin")
        try:
            extents = await producer.send(records)
        except RecordRefused as error:
            self._quarantine.refuse([revs[index] for index in error.suspects], error.reason)
            raise
        failpoint("relay.public.after_send")
        extents += await self._send_manifest(producer, revs, extents)
        failpoint("relay.public.after_manifest")
        await producer.commit()
        failpoint("relay.public.after_commit")
        await settle_extents(producer.offsets, extents)
        failpoint("relay.public.after_settle")
        await outbox.delete_public(connection, context.shard, revs)
        failpoint("relay.public.after_delete")
        self._quarantine.clear(revs)
        context.metrics.published.inc(len(batch))
        context.metrics.transactions.inc()
        context.metrics.transaction_seconds.observe(time.monotonic() - began)

    async def _send_manifest(
        self, producer: TransactionalProducer, revs: Sequence[int], extents: Sequence[Extent]
    ) -> list[Extent]:
        shard, epoch = self._context.shard, self._context.epoch
        manifest = Manifest(self._installation.id, shard, epoch, tuple(revs), tuple(extents))
        try:
            return await producer.send(
                [Record(self._manifests.topic, manifest_key(shard), encode(manifest), (), shard)]
            )
        except RecordRefused as error:
            raise ConfigurationError(
                f"Kafka refuses the relay's manifest: raise max.message.bytes of {self._manifests.topic}"
            ) from error
