"""short names of agencies"""

import sqlalchemy as sa
from alembic import op

from app.kit.database.engine import text_type

revision = "0023_works_with_0018"
down_revision = "0022_works_with_0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("agency", sa.Column("short_name", text_type(60), nullable=True))


def downgrade() -> None:
    op.drop_column("agency", "short_name")
