"""Version 5: a person's block is fixed for good, and a code of it stands with the person.

Blocks and codes are made with the keys, right after this and in the same transaction: `casehaven.vault.upgrade`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision: str | None = "0004"


def upgrade() -> None:
    """Make room for the codes."""
    op.add_column("person", sa.Column("block_code", sa.LargeBinary))
