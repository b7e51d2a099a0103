"""The tables of budgets' holds, usage and job control, in the same metadata as ``persistence.postgres.tables``.

Nothing here is written for a job that runs undisturbed, but for one row a settled micro-batch in ``usage_deltas``
and, for a job with a deadline, one in ``deadlines``.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from persistence.postgres.tables import metadata

__all__ = ["deadlines", "holds", "metadata", "operations", "retries", "usage_days", "usage_deltas"]

_TIME = DateTime(timezone=True)
_NOW = text("now()")
_WAITS = "budget_id IS NOT NULL AND released_at IS NULL"

# One row a message that is set aside with its job on hold. ``budget_id``: the budget in whose way it stands.
# ``released_at``: on its way to the ledger again; the row goes when it has arrived.
holds = Table(
    "holds",
    metadata,
    Column("job_id", Uuid, nullable=False),
    Column("message_id", Uuid, nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("amount_nanos", BigInteger, nullable=False, server_default="0"),
    Column("budget_id", BigInteger),
    Column("held_at", _TIME, nullable=False, server_default=text("clock_timestamp()")),
    Column("released_at", _TIME),
    PrimaryKeyConstraint("job_id", "message_id", name="holds_pkey"),
    Index("holds_by_amount", "budget_id", "amount_nanos", postgresql_where=text(_WAITS)),
    Index("holds_by_age", "budget_id", "held_at", "message_id", postgresql_where=text(_WAITS)),
    Index("holds_released", "released_at", postgresql_where=text("released_at IS NOT NULL")),
)

# What settled micro-batches add to usage; folded into ``usage_days`` by the sweeper.
usage_deltas = Table(
    "usage_deltas",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("recipe", Text, nullable=False),
    Column("day", Date, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("answered", Integer, nullable=False, server_default="0"),
    Column("failed", Integer, nullable=False, server_default="0"),
    Column("unknown", Integer, nullable=False, server_default="0"),
    Column("rebought", Integer, nullable=False, server_default="0"),
    Column("input_tokens", BigInteger, nullable=False, server_default="0"),
    Column("cached_tokens", BigInteger, nullable=False, server_default="0"),
    Column("output_tokens", BigInteger, nullable=False, server_default="0"),
    Column("cost_nanos", BigInteger, nullable=False, server_default="0"),
    Column("estimated_nanos", BigInteger, nullable=False, server_default="0"),
    postgresql_with={
        "autovacuum_vacuum_scale_factor": "0",
        "autovacuum_vacuum_threshold": "20000",
        "autovacuum_vacuum_insert_scale_factor": "0",
        "autovacuum_vacuum_insert_threshold": "100000",
    },
)

usage_days = Table(
    "usage_days",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("day", Date, nullable=False),
    Column("recipe", Text, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("answered", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("unknown", BigInteger, nullable=False),
    Column("rebought", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cost_nanos", BigInteger, nullable=False),
    Column("estimated_nanos", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "day", "recipe", name="usage_days_pkey"),
    postgresql_with={"fillfactor": "70"},
)

# Jobs that have a deadline, by when to look whether they are still open.
deadlines = Table(
    "deadlines",
    metadata,
    Column("look_at", _TIME, nullable=False),
    Column("job_id", Uuid, nullable=False),
    PrimaryKeyConstraint("look_at", "job_id", name="deadlines_pkey"),
)

# Which job was made when a job was retried: at most one each.
retries = Table(
    "retries",
    metadata,
    Column("job_id", Uuid, primary_key=True),
    Column("retry_id", Uuid, nullable=False),
    Column("created_at", _TIME, nullable=False, server_default=_NOW),
)

# An action on many jobs, worked off by keyset: ``after`` is the last job looked at.
operations = Table(
    "operations",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("action", SmallInteger, nullable=False),
    Column("filter", JSONB, nullable=False),
    Column("after", Uuid),
    Column("scanned", BigInteger, nullable=False, server_default="0"),
    Column("matched", BigInteger, nullable=False, server_default="0"),
    Column("changed", BigInteger, nullable=False, server_default="0"),
    Column("created_at", _TIME, nullable=False, server_default=_NOW),
    Column("finished_at", _TIME),
    Index("operations_open", "id", postgresql_where=text("finished_at IS NULL")),
    Index("operations_by_tenant", "tenant_id", "id"),
)
