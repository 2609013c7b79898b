"""Version 3: datasets and entries of the blind index carry a code that nobody without the keys can make.

The codes are made with the keys, right after this and in the same transaction: `casehaven.vault.bound_rows.bind_rows`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"


def upgrade() -> None:
    """Make room for the codes."""
    op.add_column("dataset", sa.Column("mac", sa.LargeBinary))
    op.add_column("blind_index", sa.Column("mac", sa.LargeBinary))
