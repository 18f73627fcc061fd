"""spending that counts in the index, and the flag of methods that count it"""

import sqlalchemy as sa
from alembic import op

from app.kit.database.engine import BigInt

revision = "0020_works_with_0018"
down_revision = "0019_works_with_0018"
branch_labels = None
depends_on = None

_TABLES = ("scorecard", "scorecard_figures")
_COLUMNS = ("counted_direct", "counted_indirect", "counted_supporting")


def upgrade() -> None:
    op.add_column(
        "convergence_method",
        sa.Column("fair_yardstick", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    for table in _TABLES:
        for name in _COLUMNS:
            op.add_column(table, sa.Column(name, BigInt, nullable=True))


def downgrade() -> None:
    for table in _TABLES:
        for name in _COLUMNS:
            op.drop_column(table, name)
    op.drop_column("convergence_method", "fair_yardstick")
