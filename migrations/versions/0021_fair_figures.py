"""columns of figures that decide whether a plan counts in the yardstick"""

import sqlalchemy as sa
from alembic import op

from app.kit.database.engine import text_type

revision = "0021_works_with_0018"
down_revision = "0020_works_with_0018"
branch_labels = None
depends_on = None

_TABLES = ("scorecard", "scorecard_figures")


def upgrade() -> None:
    for table in _TABLES:
        op.add_column(table, sa.Column("uncapped_percent", sa.Float(), nullable=True))
        op.add_column(table, sa.Column("fair_method", text_type(40), nullable=True))
        op.add_column(table, sa.Column("open_errors", sa.Boolean(), nullable=True))


def downgrade() -> None:
    for table in _TABLES:
        for name in ("uncapped_percent", "fair_method", "open_errors"):
            op.drop_column(table, name)
