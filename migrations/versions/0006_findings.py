"""explanations of overlaps"""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

from app.kit.database.engine import BigInt, text_type

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    verdicts = ("complementary", "duplicate_accepted", "will_be_merged")
    op.create_table(
        "overlap_explanation",
        sa.Column(
            "verdict", sa.Enum(*verdicts, name="verdict", native_enum=False, length=40), nullable=False
        ),
        sa.Column("text", text_type(), nullable=False),
        sa.Column("plan_id", BigInt, nullable=False),
        sa.Column("first_action", text_type(40), nullable=False),
        sa.Column("second_action", text_type(40), nullable=False),
        sa.Column("explained", sa.JSON(), nullable=False),
        sa.Column("version", BigInt, nullable=False),
        sa.Column("explained_at", UTCDateTime(), nullable=False),
        sa.Column("explained_by", text_type(80), nullable=False),
        sa.ForeignKeyConstraint(
            ["plan_id"], ["plan.id"], name=op.f("fk_overlap_explanation_plan_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint(
            "plan_id", "first_action", "second_action", name=op.f("pk_overlap_explanation")
        ),
    )


def downgrade() -> None:
    op.drop_table("overlap_explanation")
