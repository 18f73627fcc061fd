"""outcome indicators, their observations and targets"""

import sqlalchemy as sa
from alembic import op

from app.kit.database.engine import BigInt, text_type

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "indicator",
        sa.Column("name", text_type(500), nullable=False),
        sa.Column("name_english", text_type(500), nullable=False),
        sa.Column("unit", text_type(60), nullable=False),
        sa.Column(
            "direction",
            sa.Enum(
                "lower_is_better",
                "higher_is_better",
                "neutral",
                name="direction",
                native_enum=False,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("publisher", text_type(200), nullable=False),
        sa.Column(
            "frequency",
            sa.Enum("yearly", "half_yearly", name="frequency", native_enum=False, length=40),
            nullable=False,
        ),
        sa.Column("months", sa.JSON(), nullable=False),
        sa.Column("annual_month", BigInt, nullable=True),
        sa.Column("decimals", BigInt, nullable=False),
        sa.Column("minimum", sa.Float(), nullable=True),
        sa.Column("maximum", sa.Float(), nullable=True),
        sa.Column("aliases", sa.JSON(), nullable=False),
        sa.Column("related", sa.JSON(), nullable=False),
        sa.Column("legal_basis", text_type(200), nullable=True),
        sa.Column("edition", text_type(20), nullable=False),
        sa.Column("retired", sa.Boolean(), nullable=False),
        sa.Column("code", text_type(40), nullable=False),
        sa.Column("shipped", sa.Boolean(), nullable=False),
        sa.Column("version", BigInt, nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_indicator")),
    )
    op.create_table(
        "indicator_target",
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("baseline", sa.Float(), nullable=False),
        sa.Column("baseline_year", BigInt, nullable=False),
        sa.Column("region_code", text_type(13), nullable=False),
        sa.Column("indicator", text_type(40), nullable=False),
        sa.Column("year", BigInt, nullable=False),
        sa.Column("document", text_type(500), nullable=True),
        sa.Column("version", BigInt, nullable=False),
        sa.ForeignKeyConstraint(
            ["indicator"], ["indicator.code"], name=op.f("fk_indicator_target_indicator")
        ),
        sa.ForeignKeyConstraint(
            ["region_code"], ["region.code"], name=op.f("fk_indicator_target_region_code")
        ),
        sa.PrimaryKeyConstraint("region_code", "indicator", "year", name=op.f("pk_indicator_target")),
    )
    op.create_table(
        "observation",
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column(
            "symbol", sa.Enum("...", "-", "NA", name="symbol", native_enum=False, length=40), nullable=True
        ),
        sa.Column("region_code", text_type(13), nullable=False),
        sa.Column("indicator", text_type(40), nullable=False),
        sa.Column("period", text_type(7), nullable=False),
        sa.Column("flags", sa.JSON(), nullable=False),
        sa.Column("source", text_type(500), nullable=True),
        sa.Column("version", BigInt, nullable=False),
        sa.ForeignKeyConstraint(["indicator"], ["indicator.code"], name=op.f("fk_observation_indicator")),
        sa.ForeignKeyConstraint(["region_code"], ["region.code"], name=op.f("fk_observation_region_code")),
        sa.PrimaryKeyConstraint("region_code", "indicator", "period", name=op.f("pk_observation")),
    )
    op.create_index(
        "ix_observation_indicator_period_region_code", "observation", ["indicator", "period", "region_code"]
    )


def downgrade() -> None:
    op.drop_table("observation")
    op.drop_table("indicator_target")
    op.drop_table("indicator")
