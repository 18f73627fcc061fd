"""journal rows of format 2: positions, and values by digest; the positions of older tokens"""

import sqlalchemy as sa
from alembic import op

from app.kit.database.engine import BigInt, text_type
from app.kit.database.migrations import fill_created, read_rows

revision = "0019_works_with_0018"
down_revision = "0018_works_with_0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("journal", sa.Column("format", BigInt, nullable=False, server_default="1"))
    op.add_column("journal", sa.Column("principal", text_type(200), nullable=True))
    op.add_column("journal", sa.Column("salt", text_type(64), nullable=True))
    op.add_column("journal", sa.Column("blanked", sa.JSON(), nullable=True))
    positions = op.create_table(
        "token_position",
        sa.Column("token", text_type(80), nullable=False),
        sa.Column("from_sequence", BigInt, nullable=False),
        sa.Column("principal", text_type(80), nullable=False),
        sa.PrimaryKeyConstraint("token", "from_sequence", name=op.f("pk_token_position")),
    )
    journal = sa.table(
        "journal", sa.column("sequence", BigInt), sa.column("kind"), sa.column("subject", sa.Text)
    )
    created = sa.select(journal.c.sequence, journal.c.subject).where(journal.c.kind == "token.created")
    rows = (
        (sequence, *subject.removeprefix("principals/").rsplit("/tokens/", 1))
        for sequence, subject in read_rows(created)
    )
    fill_created(
        positions,
        (
            {"token": token, "from_sequence": sequence, "principal": principal}
            for sequence, principal, token in rows
        ),
    )


def downgrade() -> None:
    op.drop_table("token_position")
    op.drop_column("journal", "blanked")
    op.drop_column("journal", "salt")
    op.drop_column("journal", "principal")
    op.drop_column("journal", "format")
