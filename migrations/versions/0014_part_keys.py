"""keys of outputs and recipients begin with their action, by which they are asked for"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

PARTS = ("output", "recipient")


def upgrade() -> None:
    for part in PARTS:
        _key_by(part, "action_id", "code")


def downgrade() -> None:
    for part in PARTS:
        _key_by(part, "code", "action_id")


def _key_by(part: str, *columns: str) -> None:
    planned, reported = f"action_{part}", f"progress_{part}"
    points_to = f"fk_{reported}_action_id_code"
    with op.batch_alter_table(reported, schema=None) as batch_op:
        batch_op.drop_constraint(points_to, type_="foreignkey")
    with op.batch_alter_table(planned, schema=None) as batch_op:
        batch_op.drop_constraint(f"pk_{planned}", type_="primary")
        batch_op.create_primary_key(f"pk_{planned}", list(columns))
    with op.batch_alter_table(reported, schema=None) as batch_op:
        batch_op.create_foreign_key(points_to, planned, ["action_id", "code"], ["action_id", "code"])
