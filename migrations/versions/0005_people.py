"""persons of an issuer, homes of principals, when tokens were last used"""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

from app.access.rules import find_common_region
from app.kit.database.engine import BigInt, text_type

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("principal") as batch:
        batch.add_column(sa.Column("region_code", text_type(13), nullable=False, server_default="0"))
        batch.add_column(sa.Column("issuer", text_type(300), nullable=True))
        batch.add_column(sa.Column("subject", text_type(255), nullable=True))
        batch.add_column(sa.Column("last_used_at", UTCDateTime(), nullable=True))
        batch.add_column(sa.Column("version", BigInt, nullable=False, server_default="1"))
        batch.create_unique_constraint("uq_principal_issuer_subject", ["issuer", "subject"])
        batch.create_index("ix_principal_region_code", ["region_code"])
    with op.batch_alter_table("token") as batch:
        batch.add_column(sa.Column("last_used_at", UTCDateTime(), nullable=True))
        batch.add_column(sa.Column("version", BigInt, nullable=False, server_default="1"))
    _give_homes()
    # What is there has its values now; from here on the service gives them.
    for table, columns in {"principal": ("region_code", "version"), "token": ("version",)}.items():
        with op.batch_alter_table(table) as batch:
            for column in columns:
                batch.alter_column(column, server_default=None)


def _give_homes() -> None:
    """The smallest region around what each principal may do: its administrators manage it from now on."""
    memberships = sa.table("membership", sa.column("principal_id"), sa.column("region_code"))
    principals = sa.table("principal", sa.column("id"), sa.column("region_code"))
    regions: dict[int, list[str]] = {}
    for row in op.get_bind().execute(sa.select(memberships)):
        regions.setdefault(row.principal_id, []).append(row.region_code)
    for principal, codes in regions.items():
        change = (
            sa.update(principals)
            .where(principals.c.id == principal)
            .values(region_code=find_common_region(codes))
        )
        op.get_bind().execute(change)


def downgrade() -> None:
    with op.batch_alter_table("token") as batch:
        batch.drop_column("version")
        batch.drop_column("last_used_at")
    with op.batch_alter_table("principal") as batch:
        batch.drop_index("ix_principal_region_code")
        batch.drop_constraint("uq_principal_issuer_subject", type_="unique")
        for column in ("version", "last_used_at", "subject", "issuer", "region_code"):
            batch.drop_column(column)
