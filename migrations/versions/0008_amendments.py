"""why a plan is amended at all"""

import sqlalchemy as sa
from alembic import op

from app.kit.database.engine import text_type

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("plan_amendment", schema=None) as batch_op:
        batch_op.add_column(sa.Column("purpose", text_type(), nullable=False, server_default=""))
    # Whatever is written from here on says why.
    with op.batch_alter_table("plan_amendment", schema=None) as batch_op:
        batch_op.alter_column("purpose", server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("plan_amendment", schema=None) as batch_op:
        batch_op.drop_column("purpose")
