"""An attempt starts when it is granted, behind the locks, and not when its transaction began to wait for them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Read the clock at the insert. Rows that are there keep their time."""
    op.alter_column("attempts", "started_at", server_default=sa.text("clock_timestamp()"))


def downgrade() -> None:
    """Take the transaction's time again."""
    op.alter_column("attempts", "started_at", server_default=sa.text("now()"))
