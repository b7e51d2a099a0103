"""What a long run is watched by: memory of every process, sizes of tables, Kafka's folder, the relay's runway.

One sample costs some milliseconds; its one Postgres connection stays open for the whole run.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import asyncpg
from pydantic import BaseModel, ConfigDict

from bench.readings import family_pss_mb, own_kb_of_rollup
from bench.system import System
from headrace.local.server import get_json_status

OUTBOX: Final = "outbox"
PARKED: Final = "outbox, parked"
DEAD_LETTERS: Final = "dead_letters"
# Small whatever was run, if all is well: counted exactly.
PASSING: Final = (
    *(OUTBOX, DEAD_LETTERS, "errors", "holds", "payloads", "workers", "idempotency", "usage_deltas", "deadlines"),
)
# One row or more a job, for as long as jobs are kept: as Postgres' statistics have them.
KEPT: Final = ("jobs", "job_inputs", "job_outputs", "steps", "attempts")
_RUNWAY: Final = "headrace_relay_unfinished_steps"
_BLOCK_BYTES: Final = 512


class TableSize(BaseModel):
    """One table. ``bytes`` with indexes and TOAST; ``dead``: rows that vacuum has still to remove, about."""

    model_config = ConfigDict(frozen=True)

    rows: int
    dead: int = 0
    bytes: int = 0


class Sample(BaseModel):
    """Everything at one moment. ``own_mb``: anonymous memory of a process and its children."""

    model_config = ConfigDict(frozen=True)

    at_s: float
    own_mb: Mapping[str, float | None]
    pss_mb: Mapping[str, float | None]
    tables: Mapping[str, TableSize]
    kafka_bytes: int
    unfinished_steps: float


async def take_sample(system: System, lent: asyncpg.Connection, at_s: float) -> Sample:
    """Read everything once."""
    pids = {**system.service_pids, **system.server_pids}
    persistence = system.services["persistence"]
    _, metrics = await get_json_status(persistence.port, "/metrics")
    return Sample(
        at_s=at_s,
        own_mb={name: family_pss_mb(pid, own_kb_of_rollup) for name, pid in pids.items()},
        pss_mb={name: family_pss_mb(pid) for name, pid in pids.items()},
        tables=await table_sizes(lent),
        kafka_bytes=await asyncio.to_thread(folder_bytes, system.folder / "kafka" / "data"),
        unfinished_steps=metric_sum(metrics.decode(), _RUNWAY),
    )


async def table_sizes(lent: asyncpg.Connection) -> dict[str, TableSize]:
    """Return the watched tables' sizes, those that pass first."""
    counts = ", ".join(f'(select count(*) from {name}) as "{name}"' for name in PASSING)
    parked = f'(select count(*) from outbox where not_before is not null) as "{PARKED}"'
    exact = await lent.fetchrow(f"select {counts}, {parked}")
    known = await lent.fetch(
        "select relname, n_live_tup, n_dead_tup, pg_total_relation_size(relid) as bytes"
        " from pg_stat_user_tables where relname = any($1::text[])",
        [*PASSING, *KEPT],
    )
    assert exact is not None
    by_name = {row["relname"]: row for row in known}
    sizes = {
        name: TableSize(
            rows=exact[name] if name in PASSING else by_name[name]["n_live_tup"],
            dead=by_name[name]["n_dead_tup"],
            bytes=by_name[name]["bytes"],
        )
        for name in (*PASSING, *KEPT)
    }
    return {PARKED: TableSize(rows=exact[PARKED])} | sizes


def metric_sum(text: str, name: str) -> float:
    """Return the sum over all labels of a metric in Prometheus' text format; 0 where there is none."""
    return sum(
        float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith((f"{name} ", f"{name}{{"))
    )


def folder_bytes(folder: Path) -> int:
    """Return what a folder takes on disk. Kafka's index files are larger than what they hold."""
    found = 0
    for path in folder.rglob("*"):
        try:
            found += path.stat().st_blocks * _BLOCK_BYTES
        except OSError:
            # Deleted meanwhile: Kafka drops segments.
            continue
    return found
