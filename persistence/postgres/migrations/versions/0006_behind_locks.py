"""No attempt is granted after its deadline, however long its reservation waited; retries only of what was reserved.

The functions that are replaced stay for workers that still run; a later release drops them.
"""

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_FUNCTIONS = ("reserve_try_3", "settle_3")


def upgrade() -> None:
    """Add the functions."""
    folder = Path(__file__).parents[2] / "functions"
    for name in _FUNCTIONS:
        op.execute(sa.text((folder / f"{name}.sql").read_text().replace(":", r"\:")))


def downgrade() -> None:
    """Drop them."""
    for name in _FUNCTIONS:
        op.execute(f"drop function {name}")
