"""why a plan is amended at all"""

import sqlalchemy as sa
from alembic import op

from app.kit.db import text_type

revision = "0007"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "plan_amendment", sa.Column("purpose", text_type(), nullable=False, server_default=sa.text("''"))
    )


def downgrade() -> None:
    with op.batch_alter_table("plan_amendment", schema=None) as batch_op:
        batch_op.drop_column("purpose")
