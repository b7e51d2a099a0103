"""No attempt is granted after its deadline, however long its reservation waited for locks.

The function that is replaced stays for workers that still run; a later release drops it.
"""

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_FUNCTION = "reserve_try_3"


def upgrade() -> None:
    """Add the function that reads the clock once, behind all locks."""
    text = (Path(__file__).parents[2] / "functions" / f"{_FUNCTION}.sql").read_text()
    op.execute(sa.text(text.replace(":", r"\:")))


def downgrade() -> None:
    """Drop it."""
    op.execute(f"drop function {_FUNCTION}")
