"""quarters"""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

from app.kit.database.engine import BigInt, text_type

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reporting_calendar",
        sa.Column("quarter", text_type(2), nullable=False),
        sa.Column("opens", text_type(5), nullable=False),
        sa.Column("opens_years_later", BigInt, nullable=False),
        sa.Column("due", text_type(5), nullable=False),
        sa.Column("due_years_later", BigInt, nullable=False),
        sa.Column("closes", text_type(5), nullable=True),
        sa.Column("closes_years_later", BigInt, nullable=False),
        sa.Column("edition", text_type(20), nullable=False),
        sa.Column("status", text_type(20), nullable=False),
        sa.Column("source", text_type(500), nullable=False),
        sa.Column("legal_basis", text_type(200), nullable=True),
        sa.Column("retired", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("quarter", name=op.f("pk_reporting_calendar")),
    )
    op.create_table(
        "calendar",
        sa.Column("opens_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("closes_on", sa.Date(), nullable=True),
        sa.Column("region_code", text_type(13), nullable=False),
        sa.Column("period", text_type(7), nullable=False),
        sa.Column("issued_by", text_type(500), nullable=False),
        sa.Column("legal_basis", text_type(500), nullable=True),
        sa.Column("version", BigInt, nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["region_code"], ["region.code"], name=op.f("fk_calendar_region_code")),
        sa.PrimaryKeyConstraint("region_code", "period", name=op.f("pk_calendar")),
    )
    op.create_table(
        "quarter",
        sa.Column("submitted_at", UTCDateTime(), nullable=True),
        sa.Column("submitted_by", text_type(200), nullable=True),
        sa.Column("is_late", sa.Boolean(), nullable=True),
        sa.Column("missing_reason", text_type(1000), nullable=True),
        sa.Column("returned_at", UTCDateTime(), nullable=True),
        sa.Column("returned_by", text_type(200), nullable=True),
        sa.Column("notes", text_type(10000), nullable=True),
        sa.Column("region_code", text_type(13), nullable=False),
        sa.Column("period", text_type(7), nullable=False),
        sa.Column("year", BigInt, nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "not_yet_open",
                "open",
                "submitted",
                "verified",
                "frozen",
                "correcting",
                name="quarterstate",
                native_enum=False,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("amendment", BigInt, nullable=True),
        sa.Column("verified_at", UTCDateTime(), nullable=True),
        sa.Column("verified_by", text_type(200), nullable=True),
        sa.Column("frozen_at", UTCDateTime(), nullable=True),
        sa.Column("correction_reason", text_type(1000), nullable=True),
        sa.Column("version", BigInt, nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["region_code"], ["region.code"], name=op.f("fk_quarter_region_code")),
        sa.PrimaryKeyConstraint("region_code", "period", name=op.f("pk_quarter")),
    )
    with op.batch_alter_table("quarter", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_quarter_period_state"), ["period", "state"], unique=False)

    op.create_table(
        "snapshot",
        sa.Column("region_code", text_type(13), nullable=False),
        sa.Column("period", text_type(7), nullable=False),
        sa.Column("amendment", BigInt, nullable=False),
        sa.Column("year", BigInt, nullable=False),
        sa.Column("plan", text_type(20), nullable=False),
        sa.Column("revision", BigInt, nullable=True),
        sa.Column("content", text_type(), nullable=False),
        sa.Column("sha256", text_type(64), nullable=False),
        sa.Column("row_count", BigInt, nullable=False),
        sa.Column("reason", text_type(1000), nullable=True),
        sa.Column("frozen_at", UTCDateTime(), nullable=False),
        sa.Column("frozen_by", text_type(200), nullable=False),
        sa.ForeignKeyConstraint(["region_code"], ["region.code"], name=op.f("fk_snapshot_region_code")),
        sa.PrimaryKeyConstraint("region_code", "period", "amendment", name=op.f("pk_snapshot")),
    )
    with op.batch_alter_table("snapshot", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_snapshot_period"), ["period"], unique=False)

    op.create_table(
        "quarter_extension",
        sa.Column("until", sa.Date(), nullable=False),
        sa.Column("region_code", text_type(13), nullable=False),
        sa.Column("period", text_type(7), nullable=False),
        sa.Column("name", text_type(40), nullable=False),
        sa.Column("agency_code", text_type(40), nullable=True),
        sa.Column("reason", text_type(500), nullable=False),
        sa.Column("granted_at", UTCDateTime(), nullable=False),
        sa.Column("granted_by", text_type(200), nullable=False),
        sa.Column("version", BigInt, nullable=False),
        sa.ForeignKeyConstraint(
            ["region_code", "agency_code"],
            ["agency.region_code", "agency.code"],
            name=op.f("fk_quarter_extension_region_code_agency_code"),
        ),
        sa.ForeignKeyConstraint(
            ["region_code"], ["region.code"], name=op.f("fk_quarter_extension_region_code")
        ),
        sa.PrimaryKeyConstraint("region_code", "period", "name", name=op.f("pk_quarter_extension")),
    )
    with op.batch_alter_table("quarter_extension", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_quarter_extension_region_code_agency_code"),
            ["region_code", "agency_code"],
            unique=False,
        )

    op.create_table(
        "quarter_part",
        sa.Column("submitted_at", UTCDateTime(), nullable=True),
        sa.Column("submitted_by", text_type(200), nullable=True),
        sa.Column("is_late", sa.Boolean(), nullable=True),
        sa.Column("missing_reason", text_type(1000), nullable=True),
        sa.Column("returned_at", UTCDateTime(), nullable=True),
        sa.Column("returned_by", text_type(200), nullable=True),
        sa.Column("notes", text_type(10000), nullable=True),
        sa.Column("region_code", text_type(13), nullable=False),
        sa.Column("period", text_type(7), nullable=False),
        sa.Column("agency_code", text_type(40), nullable=False),
        sa.Column("year", BigInt, nullable=False),
        sa.Column(
            "state",
            sa.Enum("open", "submitted", name="partstate", native_enum=False, length=40),
            nullable=False,
        ),
        sa.Column("version", BigInt, nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["region_code", "agency_code"],
            ["agency.region_code", "agency.code"],
            name=op.f("fk_quarter_part_region_code_agency_code"),
        ),
        sa.PrimaryKeyConstraint("region_code", "period", "agency_code", name=op.f("pk_quarter_part")),
    )
    with op.batch_alter_table("quarter_part", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_quarter_part_region_code_agency_code"),
            ["region_code", "agency_code"],
            unique=False,
        )


def downgrade() -> None:
    with op.batch_alter_table("quarter_part", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_quarter_part_region_code_agency_code"))

    op.drop_table("quarter_part")
    with op.batch_alter_table("quarter_extension", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_quarter_extension_region_code_agency_code"))

    op.drop_table("quarter_extension")
    with op.batch_alter_table("snapshot", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_snapshot_period"))

    op.drop_table("snapshot")
    with op.batch_alter_table("quarter", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_quarter_period_state"))

    op.drop_table("quarter")
    op.drop_table("calendar")
    op.drop_table("reporting_calendar")
