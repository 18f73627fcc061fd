"""completeness"""

import sqlalchemy as sa
from alembic import op

from app.kit.database.engine import BigInt

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("quarter", "quarter_part"):
        op.add_column(table, sa.Column("late_by_days", BigInt, nullable=True))


def downgrade() -> None:
    for table in ("quarter_part", "quarter"):
        op.drop_column(table, "late_by_days")
