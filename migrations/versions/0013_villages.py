"""where regions lie, so that villages can be shown on a map"""

import sqlalchemy as sa
from alembic import op

from app.kit.database.engine import BigInt, text_type

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "region_coordinates",
        sa.Column("longitude", sa.Float(), nullable=False),
        sa.Column("latitude", sa.Float(), nullable=False),
        sa.Column("source", text_type(500), nullable=False),
        sa.Column("region_code", text_type(13), nullable=False),
        sa.Column("version", BigInt, nullable=False),
        sa.ForeignKeyConstraint(
            ["region_code"], ["region.code"], name=op.f("fk_region_coordinates_region_code")
        ),
        sa.PrimaryKeyConstraint("region_code", name=op.f("pk_region_coordinates")),
    )


def downgrade() -> None:
    op.drop_table("region_coordinates")
