"""templates of convergence steps, evidence, grades of panels"""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

from app.kit.database.engine import BigInt, text_type

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "step_template",
        sa.Column("name", text_type(500), nullable=False),
        sa.Column("legal_basis", text_type(), nullable=True),
        sa.Column("first_year", BigInt, nullable=False),
        sa.Column("note", text_type(10000), nullable=False),
        sa.Column(
            "status",
            sa.Enum("proposal", "official", name="editionstatus", native_enum=False, length=40),
            nullable=False,
        ),
        sa.Column(
            "grades_counted",
            sa.Enum("panel_first", "machine_first", name="gradescounted", native_enum=False, length=40),
            nullable=False,
        ),
        sa.Column("edition", text_type(40), nullable=False),
        sa.Column("steps", sa.JSON(), nullable=False),
        sa.Column("version", BigInt, nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("edition", name=op.f("pk_step_template")),
    )
    op.create_table(
        "region_step_template",
        sa.Column("region_code", text_type(13), nullable=False),
        sa.Column("year", BigInt, nullable=False),
        sa.Column("template", text_type(40), nullable=False),
        sa.Column("legal_basis", text_type(500), nullable=True),
        sa.Column("version", BigInt, nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["region_code"], ["region.code"], name=op.f("fk_region_step_template_region_code")
        ),
        sa.ForeignKeyConstraint(
            ["template"], ["step_template.edition"], name=op.f("fk_region_step_template_template")
        ),
        sa.PrimaryKeyConstraint("region_code", "year", name=op.f("pk_region_step_template")),
    )
    op.create_index("ix_region_step_template_template", "region_step_template", ["template"])

    op.create_table(
        "step_evidence",
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("kind", text_type(40), nullable=False),
        sa.Column("title", text_type(500), nullable=False),
        sa.Column("document_number", text_type(500), nullable=True),
        sa.Column("url", text_type(2000), nullable=True),
        sa.Column("village", text_type(13), nullable=True),
        sa.Column("region_code", text_type(13), nullable=False),
        sa.Column("year", BigInt, nullable=False),
        sa.Column("step", text_type(40), nullable=False),
        sa.Column("key", text_type(40), nullable=False),
        sa.Column("version", BigInt, nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["region_code"], ["region.code"], name=op.f("fk_step_evidence_region_code")),
        sa.ForeignKeyConstraint(["village"], ["region.code"], name=op.f("fk_step_evidence_village")),
        sa.PrimaryKeyConstraint("region_code", "year", "step", "key", name=op.f("pk_step_evidence")),
    )
    op.create_index("ix_step_evidence_village", "step_evidence", ["village"])

    op.create_table(
        "step_grade",
        sa.Column(
            "grade",
            sa.Enum("A", "B", "C", "D", "none", name="grade", native_enum=False, length=40),
            nullable=False,
        ),
        sa.Column("region_code", text_type(13), nullable=False),
        sa.Column("year", BigInt, nullable=False),
        sa.Column("step", text_type(40), nullable=False),
        sa.Column("criterion", text_type(40), nullable=False),
        sa.Column("reason", text_type(10000), nullable=False),
        sa.Column("graded_at", UTCDateTime(), nullable=False),
        sa.Column("graded_by", text_type(200), nullable=False),
        sa.Column("version", BigInt, nullable=False),
        sa.ForeignKeyConstraint(["region_code"], ["region.code"], name=op.f("fk_step_grade_region_code")),
        sa.PrimaryKeyConstraint("region_code", "year", "criterion", name=op.f("pk_step_grade")),
    )


def downgrade() -> None:
    op.drop_table("step_grade")
    op.drop_table("step_evidence")
    op.drop_table("region_step_template")
    op.drop_table("step_template")
