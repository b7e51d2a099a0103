"""What the servers say of themselves: durability settings, commits and WAL so far, and what the ledger holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import asyncpg
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType  # type: ignore[attr-defined]  # it has no __all__

from bench.results import Durability, Integrity
from bench.tally import read_accepted, read_seen

_ADMIN_S = 10.0


@dataclass(frozen=True, slots=True)
class PostgresWork:
    """What Postgres has done since it started."""

    commits: int
    wal_bytes: int


async def postgres_work(database_url: str) -> PostgresWork:
    """Read the counters. Backends report theirs with up to a second's delay."""
    lent = await asyncpg.connect(database_url)
    try:
        row = await lent.fetchrow(
            "select (select sum(xact_commit)::bigint from pg_stat_database) as commits,"
            " (pg_current_wal_insert_lsn() - '0/0')::bigint as wal_bytes"
        )
    finally:
        await lent.close()
    assert row is not None
    return PostgresWork(row["commits"], row["wal_bytes"])


async def read_durability(database_url: str, bootstrap: str, topic: str) -> Durability:
    """Ask Postgres and Kafka. ``topic`` stands for all topics: they are created alike."""
    lent = await asyncpg.connect(database_url)
    try:
        said = {
            name: str(await lent.fetchval(f"show {name}"))
            for name in ("server_version", "fsync", "synchronous_commit", "full_page_writes", "wal_sync_method")
        }
        overridden = bool(await lent.fetchval("select exists (select from pg_db_role_setting)"))
    finally:
        await lent.close()
    admin = AdminClient({"bootstrap.servers": bootstrap})
    partitions = admin.list_topics(topic, timeout=_ADMIN_S).topics[topic].partitions
    resource = ConfigResource(ResourceType.TOPIC, topic)
    configs = admin.describe_configs([resource], request_timeout=_ADMIN_S)[resource].result(_ADMIN_S)
    return Durability(
        postgres=said["server_version"],
        fsync=said["fsync"],
        synchronous_commit=said["synchronous_commit"],
        full_page_writes=said["full_page_writes"],
        wal_sync_method=said["wal_sync_method"],
        overridden_by_role_or_database=overridden,
        kafka_replication=min(len(each.replicas) for each in partitions.values()),
        kafka_min_insync_replicas=configs["min.insync.replicas"].value,
        kafka_flush_messages=configs["flush.messages"].value,
    )


async def read_integrity(
    database_url: str, accepted_files: Sequence[Path], seen_file: Path, unanswered: int
) -> Integrity:
    """Hold what was accepted against what came out and against the ledger."""
    accepted = {job for file in accepted_files for job, _, _ in read_accepted(file)}
    seen: set[UUID] = set()
    twice = 0
    for job, _ in read_seen(seen_file):
        twice += job in seen
        seen.add(job)
    lent = await asyncpg.connect(database_url)
    try:
        row = await lent.fetchrow(
            "select (select count(*) from jobs) as jobs, (select count(*) from attempts) as attempts,"
            " (select count(*) from jobs j left join job_outputs o on o.job_id = j.id"
            "  where j.finished_at is null or o.job_id is null) as not_succeeded,"
            " (select count(*) from dead_letters) as dead_letters, (select count(*) from outbox) as outbox"
        )
    finally:
        await lent.close()
    assert row is not None
    return Integrity(
        accepted=len(accepted),
        outputs=len(seen) + twice,
        missing=len(accepted - seen),
        twice=twice,
        strangers=len(seen - accepted),
        jobs=row["jobs"],
        attempts=row["attempts"],
        not_succeeded=row["not_succeeded"],
        dead_letters=row["dead_letters"],
        outbox_rows_left=row["outbox"],
        posts_without_answer=unanswered,
    )
