"""settled yardsticks: the highest spending figure of a province's quarter"""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

from app.kit.database.engine import text_type

revision = "0022_works_with_0018"
down_revision = "0021_works_with_0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "spending_yardstick",
        sa.Column("region_code", text_type(13), nullable=False),
        sa.Column("period", text_type(7), nullable=False),
        sa.Column("method", text_type(40), nullable=True),
        sa.Column("highest_percent", sa.Float(), nullable=True),
        sa.Column("highest_uncapped_percent", sa.Float(), nullable=True),
        sa.Column("counted", sa.JSON(), nullable=False),
        sa.Column("left_out", sa.JSON(), nullable=False),
        sa.Column("settled_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["region_code"], ["region.code"], name=op.f("fk_spending_yardstick_region_code")
        ),
        sa.PrimaryKeyConstraint("region_code", "period", name=op.f("pk_spending_yardstick")),
    )


def downgrade() -> None:
    op.drop_table("spending_yardstick")
