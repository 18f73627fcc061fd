"""the first and the last quarter of a line"""

import sqlalchemy as sa
from alembic import op

from app.kit.database.engine import text_type

revision = "0017_works_with_0016"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("action", sa.Column("starts_in", text_type(), nullable=True))
    op.add_column("action", sa.Column("ends_after", text_type(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("action") as batch_op:
        batch_op.drop_column("ends_after")
        batch_op.drop_column("starts_in")
