"""imports of plans: the file, the choices, and the row of each line that they wrote"""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

from app.kit.database.engine import BigInt, text_type

revision = "0024_works_with_0018"
down_revision = "0023_works_with_0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "plan_import",
        sa.Column("plan_id", BigInt, nullable=False),
        sa.Column("number", BigInt, nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("actor", text_type(200), nullable=False),
        sa.Column("file_name", text_type(200), nullable=False),
        sa.Column("sha256", text_type(64), nullable=False),
        sa.Column("sheet", text_type(100), nullable=False),
        sa.Column("is_amendment", sa.Boolean(), nullable=False),
        sa.Column("choices", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["plan_id"], ["plan.id"], name=op.f("fk_plan_import_plan_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("plan_id", "number", name=op.f("pk_plan_import")),
    )
    op.create_table(
        "imported_line",
        sa.Column("plan_id", BigInt, nullable=False),
        sa.Column("number", BigInt, nullable=False),
        sa.Column("code", text_type(40), nullable=False),
        sa.Column("version", BigInt, nullable=False),
        sa.Column("row", BigInt, nullable=False),
        sa.ForeignKeyConstraint(
            ["plan_id", "number"],
            ["plan_import.plan_id", "plan_import.number"],
            name=op.f("fk_imported_line_plan_id_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("plan_id", "number", "code", name=op.f("pk_imported_line")),
    )
    op.create_index(
        op.f("ix_imported_line_plan_id_code_version"), "imported_line", ["plan_id", "code", "version"]
    )


def downgrade() -> None:
    op.drop_table("imported_line")
    op.drop_table("plan_import")
