"""how a plan moves: revisions, amendments, notes, and which rows of the journal are of drafts"""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

from app.kit.database.engine import BigInt, text_type

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "plan_amendment",
        sa.Column("plan_id", BigInt, nullable=False),
        sa.Column("content", sa.JSON(), nullable=True),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("opened_at", UTCDateTime(), nullable=False),
        sa.Column("version", BigInt, nullable=False),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_plan_amendment_plan_id")),
        sa.PrimaryKeyConstraint("plan_id", name=op.f("pk_plan_amendment")),
    )
    op.create_table(
        "plan_revision",
        sa.Column("plan_id", BigInt, nullable=False),
        sa.Column("number", BigInt, nullable=False),
        sa.Column("content", text_type(), nullable=False),
        sa.Column("sha256", text_type(64), nullable=False),
        sa.Column("action_count", BigInt, nullable=False),
        sa.Column("allocation", BigInt, nullable=False),
        sa.Column(
            "instrument",
            sa.Enum("decree", "regulation", name="instrument", native_enum=False, length=40),
            nullable=False,
        ),
        sa.Column("instrument_number", text_type(500), nullable=False),
        sa.Column("instrument_date", sa.Date(), nullable=False),
        sa.Column("adopted_at", UTCDateTime(), nullable=False),
        sa.Column("adopted_by", text_type(200), nullable=False),
        sa.Column("plan_version", BigInt, nullable=False),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_plan_revision_plan_id")),
        sa.PrimaryKeyConstraint("plan_id", "number", name=op.f("pk_plan_revision")),
    )
    op.create_table(
        "plan_amendment_action",
        sa.Column("plan_id", BigInt, nullable=False),
        sa.Column("code", text_type(40), nullable=False),
        sa.Column("content", sa.JSON(), nullable=True),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("version", BigInt, nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["plan_id"],
            ["plan_amendment.plan_id"],
            name=op.f("fk_plan_amendment_action_plan_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("plan_id", "code", name=op.f("pk_plan_amendment_action")),
    )
    op.create_table(
        "plan_note",
        sa.Column("action", text_type(40), nullable=True),
        sa.Column("pointer", text_type(500), nullable=True),
        sa.Column("text", text_type(), nullable=False),
        sa.Column("plan_id", BigInt, nullable=False),
        sa.Column("number", BigInt, nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("author", text_type(200), nullable=False),
        sa.Column("answered_at", UTCDateTime(), nullable=True),
        sa.Column("answer", text_type(), nullable=True),
        sa.ForeignKeyConstraint(
            ["plan_id"], ["plan.id"], name=op.f("fk_plan_note_plan_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("plan_id", "number", name=op.f("pk_plan_note")),
    )
    with op.batch_alter_table("plan", schema=None) as batch_op:
        batch_op.add_column(sa.Column("revision", BigInt, nullable=True))
    op.add_column("journal", sa.Column("is_draft", sa.Boolean(), nullable=False, server_default=sa.false()))
    # No plan was adopted yet, so whatever was written to one is of a draft.
    chain = sa.column("chain", sa.String)
    journal = sa.table("journal", chain, sa.column("is_draft", sa.Boolean))
    op.execute(sa.update(journal).where(chain >= "plan:", chain < "plan;").values(is_draft=True))


def downgrade() -> None:
    op.drop_column("journal", "is_draft")
    with op.batch_alter_table("plan", schema=None) as batch_op:
        batch_op.drop_column("revision")
    for table in ("plan_note", "plan_amendment_action", "plan_revision", "plan_amendment"):
        op.drop_table(table)
