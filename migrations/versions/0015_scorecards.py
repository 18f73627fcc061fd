"""figures that scorecards are made of, and scorecards of frozen quarters"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

from app.kit.database.engine import BigInt, text_type

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_SUMS = (
    "lines",
    "lines_reported",
    "budget",
    "planned_direct",
    "planned_indirect",
    "planned_supporting",
    "spent",
    "spent_direct",
    "spent_indirect",
    "spent_supporting",
    "spent_travel",
    "budget_at_villages",
    "budget_in_loci",
    "loci",
    "loci_without_target",
    "families_in_loci",
    "families_in_funded_loci",
    "recipients_families",
    "budget_families",
    "recipients_persons",
    "budget_persons",
)


def _figures() -> list[sa.Column[Any]]:
    return [
        *[sa.Column(name, BigInt, nullable=False) for name in _SUMS],
        sa.Column("in_force", sa.Boolean(), nullable=False),
        sa.Column("spending_percent", sa.Float(), nullable=True),
        sa.Column("content", text_type(), nullable=False),
        sa.Column("computed_at", UTCDateTime(), nullable=False),
    ]


def upgrade() -> None:
    op.create_table(
        "scorecard",
        *_figures(),
        sa.Column("region_code", text_type(13), nullable=False),
        sa.Column("period", text_type(7), nullable=False),
        sa.Column("amendment", BigInt, nullable=False),
        sa.Column("year", BigInt, nullable=False),
        sa.Column("answer", text_type(), nullable=False),
        sa.Column("sha256", text_type(64), nullable=False),
        sa.ForeignKeyConstraint(["region_code"], ["region.code"], name=op.f("fk_scorecard_region_code")),
        sa.PrimaryKeyConstraint("region_code", "period", "amendment", name=op.f("pk_scorecard")),
    )
    op.create_table(
        "scorecard_figures",
        *_figures(),
        sa.Column("period", text_type(7), nullable=False),
        sa.Column("region_code", text_type(13), nullable=False),
        sa.Column("stamp", text_type(80), nullable=False),
        sa.ForeignKeyConstraint(
            ["region_code"], ["region.code"], name=op.f("fk_scorecard_figures_region_code")
        ),
        sa.PrimaryKeyConstraint("period", "region_code", name=op.f("pk_scorecard_figures")),
    )


def downgrade() -> None:
    op.drop_table("scorecard_figures")
    op.drop_table("scorecard")
