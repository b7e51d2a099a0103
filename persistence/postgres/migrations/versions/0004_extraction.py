"""What the output gate made of an answer, kept on its attempt."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Add the column; attempts judged before have none."""
    op.add_column("attempts", sa.Column("extraction", postgresql.JSONB(), nullable=True))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("attempts", "extraction")
