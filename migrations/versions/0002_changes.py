"""the feed of one region"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_journal_region_code_sequence", "journal", ["region_code", "sequence"])


def downgrade() -> None:
    op.drop_index("ix_journal_region_code_sequence", "journal")
