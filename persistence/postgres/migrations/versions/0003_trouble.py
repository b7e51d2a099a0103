"""Dead letters that can be edited, replayed and discarded; the error log; large payloads."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_NOW = sa.text("now()")


def _time(name: str, *, nullable: bool = True, default: sa.TextClause | None = None) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, server_default=default)


def upgrade() -> None:
    """Give letters numbers, and a fingerprint in place of their offset: a topic made anew has the same offsets."""
    op.drop_constraint("dead_letters_pkey", "dead_letters")
    op.add_column("dead_letters", sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False))
    op.create_primary_key("dead_letters_pkey", "dead_letters", ["id"])
    op.add_column("dead_letters", sa.Column("fingerprint", sa.LargeBinary(), nullable=True))
    op.execute(
        "update dead_letters set fingerprint = sha256(convert_to(concat_ws(':', topic, partition, \"offset\"), 'UTF8'))"
    )
    op.alter_column("dead_letters", "fingerprint", nullable=False)
    op.create_unique_constraint("dead_letters_fingerprint", "dead_letters", ["fingerprint"])
    op.add_column("dead_letters", sa.Column("count", sa.Integer(), server_default="1", nullable=False))
    op.add_column("dead_letters", sa.Column("edited", sa.LargeBinary(), nullable=True))
    op.add_column("dead_letters", _time("replayed_at"))
    op.add_column("dead_letters", _time("discarded_at"))
    op.create_index(
        "dead_letters_open",
        "dead_letters",
        ["stage", "id"],
        postgresql_where=sa.text("replayed_at IS NULL AND discarded_at IS NULL"),
    )
    op.create_table(
        "errors",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), server_default="1", nullable=False),
        _time("first_at", nullable=False, default=_NOW),
        _time("last_at", nullable=False, default=_NOW),
        sa.PrimaryKeyConstraint("job_id", "stage", "kind", name="errors_pkey"),
    )
    op.create_index("errors_by_age", "errors", ["last_at"])
    op.create_table(
        "payloads",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        _time("created_at", nullable=False, default=_NOW),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("payloads_by_job", "payloads", ["job_id"])
    op.execute("alter table payloads alter column body set storage external")


def downgrade() -> None:
    """Drop what was added; of letters under one offset the newest stays."""
    op.drop_table("payloads")
    op.drop_table("errors")
    op.drop_index("dead_letters_open", "dead_letters")
    for name in ("discarded_at", "replayed_at", "edited", "count"):
        op.drop_column("dead_letters", name)
    op.execute(
        "delete from dead_letters a using dead_letters b where a.topic = b.topic and a.partition = b.partition"
        ' and a."offset" = b."offset" and a.id < b.id'
    )
    op.drop_constraint("dead_letters_fingerprint", "dead_letters")
    op.drop_column("dead_letters", "fingerprint")
    op.drop_constraint("dead_letters_pkey", "dead_letters")
    op.drop_column("dead_letters", "id")
    op.create_primary_key("dead_letters_pkey", "dead_letters", ["topic", "partition", "offset"])
