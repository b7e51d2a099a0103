"""Windows of budgets, holds, usage, deadlines and operations on many jobs; new versions of the hot functions.

The functions that they replace stay for workers that still run; a later release drops them.
"""

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_FUNCTIONS = ("attempt_may_1", "budget_window_1", "reserve_try_2", "settle_2", "submit_2")
_TABLES = ("operations", "retries", "deadlines", "usage_days", "usage_deltas", "holds")
_WAITS = sa.text("budget_id IS NOT NULL AND released_at IS NULL")
_COUNTS = ("attempts", "answered", "failed", "unknown", "rebought")
_SUMS = ("input_tokens", "cached_tokens", "output_tokens", "cost_nanos", "estimated_nanos")


def upgrade() -> None:
    """Add everything, and fill it from what is there."""
    op.add_column("jobs", sa.Column("paused", sa.Boolean(), server_default="false", nullable=False))
    op.add_column(
        "budgets",
        sa.Column("window_start", sa.DateTime(timezone=True), server_default=sa.text("'-infinity'"), nullable=False),
    )
    op.create_check_constraint("budgets_window_known", "budgets", "time_window in ('total', 'day', 'month')")
    op.create_index("idempotency_by_age", "idempotency", ["created_at"])
    op.create_index(
        "attempts_by_start",
        "attempts",
        ["started_at"],
        postgresql_using="brin",
        postgresql_with={"autosummarize": "on"},
    )
    _holds()
    _usage()
    _control()
    folder = Path(__file__).parents[2] / "functions"
    for name in _FUNCTIONS:
        op.execute(sa.text((folder / f"{name}.sql").read_text().replace(":", r"\:")))
    _fill()


def downgrade() -> None:
    """Drop everything that was added."""
    for name in reversed(_FUNCTIONS):
        op.execute(f"drop function {name}")
    for table in _TABLES:
        op.drop_table(table)
    op.drop_index("attempts_by_start", "attempts")
    op.drop_index("idempotency_by_age", "idempotency")
    op.drop_constraint("budgets_window_known", "budgets")
    op.drop_column("budgets", "window_start")
    op.drop_column("jobs", "paused")


def _time(name: str, *, nullable: bool = True, default: str | None = None) -> sa.Column[object]:
    server_default = sa.text(default) if default else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=server_default, nullable=nullable)


def _holds() -> None:
    op.create_table(
        "holds",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("amount_nanos", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("budget_id", sa.BigInteger(), nullable=True),
        _time("held_at", nullable=False, default="clock_timestamp()"),
        _time("released_at"),
        sa.PrimaryKeyConstraint("job_id", "message_id", name="holds_pkey"),
    )
    op.create_index("holds_by_amount", "holds", ["budget_id", "amount_nanos"], postgresql_where=_WAITS)
    op.create_index("holds_by_age", "holds", ["budget_id", "held_at", "message_id"], postgresql_where=_WAITS)
    op.create_index("holds_released", "holds", ["released_at"], postgresql_where=sa.text("released_at IS NOT NULL"))


def _usage() -> None:
    op.create_table(
        "usage_deltas",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("recipe", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        *(sa.Column(name, sa.Integer(), server_default="0", nullable=False) for name in _COUNTS),
        *(sa.Column(name, sa.BigInteger(), server_default="0", nullable=False) for name in _SUMS),
        sa.PrimaryKeyConstraint("id"),
        postgresql_with={
            "autovacuum_vacuum_scale_factor": "0",
            "autovacuum_vacuum_threshold": "20000",
            "autovacuum_vacuum_insert_scale_factor": "0",
            "autovacuum_vacuum_insert_threshold": "100000",
        },
    )
    op.create_table(
        "usage_days",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("recipe", sa.Text(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in (*_COUNTS, *_SUMS)),
        sa.PrimaryKeyConstraint("tenant_id", "day", "recipe", name="usage_days_pkey"),
        postgresql_with={"fillfactor": "70"},
    )


def _control() -> None:
    op.create_table(
        "deadlines",
        _time("look_at", nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("look_at", "job_id", name="deadlines_pkey"),
    )
    op.create_table(
        "retries",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("retry_id", sa.Uuid(), nullable=False),
        _time("created_at", nullable=False, default="now()"),
        sa.PrimaryKeyConstraint("job_id"),
    )
    op.create_table(
        "operations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("action", sa.SmallInteger(), nullable=False),
        sa.Column("filter", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("after", sa.Uuid(), nullable=True),
        sa.Column("scanned", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("matched", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("changed", sa.BigInteger(), server_default="0", nullable=False),
        _time("created_at", nullable=False, default="now()"),
        _time("finished_at"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("operations_open", "operations", ["id"], postgresql_where=sa.text("finished_at IS NULL"))
    op.create_index("operations_by_tenant", "operations", ["tenant_id", "id"])


def _fill() -> None:
    """Deadlines, holds and usage of what was there before. Holds get no budget: the ledger decides them anew."""
    op.execute(
        "insert into deadlines (look_at, job_id) select deadline, id from jobs where state = 0 and deadline is not null"
    )
    op.execute(
        "insert into holds (job_id, message_id, tenant_id, kind, reason, budget_id)"
        " select o.job_id, o.id, o.tenant_id, case when b.exhausted then 0 else 2 end, coalesce(j.hold_reason, 'held'),"
        " case when b.exhausted then 0 end"
        " from outbox o join jobs j on j.id = o.job_id"
        " cross join lateral (select coalesce(j.hold_reason, '') like 'budget_exhausted%' as exhausted) b"
        " where o.not_before = 'infinity' and j.state = 0"
    )
    op.execute(
        "insert into usage_days (tenant_id, day, recipe, attempts, answered, failed, unknown, rebought, input_tokens,"
        " cached_tokens, output_tokens, cost_nanos, estimated_nanos)"
        " select a.tenant_id, (a.ended_at at time zone 'UTC')::date, j.recipe, count(*),"
        " count(*) filter (where a.state = 1), count(*) filter (where a.state = 2),"
        " count(*) filter (where a.state = 3), 0, sum(a.input_tokens), sum(a.cached_tokens), sum(a.output_tokens),"
        " coalesce(sum(a.cost_nanos), 0), coalesce(sum(a.cost_nanos) filter (where a.state = 3), 0)"
        " from attempts a join jobs j on j.id = a.job_id where a.state <> 0 group by 1, 2, 3"
    )
