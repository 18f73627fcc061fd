"""Copies of a plan's lines and priority locations, as rows.

A revision keeps one copy, and so does a quarter that is submitted while no revision covers it. All figures of such a
quarter join the rows of its copy, so no later change of the plan moves them.
"""

from datetime import date

import sqlalchemy as sa
from sqlmodel import Field

from app.kit.database.engine import BigInt, Table, get_table
from app.plans.actions.models import PARTS, ActionFields, ActionRow, LocationRow
from app.plans.core.models import PriorityLocationRow


class PlanCopyRow(Table, table=True):
    """A copy of a plan; no command changes it."""

    __tablename__ = "plan_copy"
    __table_args__ = (sa.UniqueConstraint("plan_id", "number"), sa.UniqueConstraint("plan_id", "period"))

    id: int | None = Field(default=None, primary_key=True)
    plan_id: int = Field(foreign_key="plan.id", ondelete="CASCADE")
    number: int | None = Field(
        default=None, description="Number of its revision; null: of a submitted quarter."
    )
    period: str | None = Field(
        default=None, max_length=7, description="Quarter that keeps it; null: a revision."
    )
    instrument_date: date | None = Field(default=None, description="Day of the revision's instrument.")


def _make_copy(table: sa.Table, names: list[str], refers_to: sa.ForeignKeyConstraint) -> sa.Table:
    """Return the table of the copied rows of a table: the columns of these names, each row in one copy."""
    return sa.Table(
        f"{table.name}_copy",
        Table.metadata,
        sa.Column("copy_id", BigInt, primary_key=True, autoincrement=False),
        *[
            sa.Column(
                name,
                table.c[name].type,
                primary_key=table.c[name].primary_key,
                nullable=table.c[name].nullable,
            )
            for name in names
        ],
        refers_to,
    )


_LINE = ["id", "plan_id", "region_code", "year", "code", *ActionFields.model_fields, "version", "updated_at"]


def _refer_to(own: list[str], referred: list[str]) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(own, referred, ondelete="CASCADE", onupdate="CASCADE")


plan_copies, _live = get_table(PlanCopyRow), get_table(ActionRow)
_locations = get_table(PriorityLocationRow)

action_copies = _make_copy(_live, _LINE, _refer_to(["copy_id"], ["plan_copy.id"]))
"""Lines of copies. `id` is the line's; a negative one belongs to a line that is no longer in the plan."""

location_copies = _make_copy(_locations, _locations.c.keys(), _refer_to(["copy_id"], ["plan_copy.id"]))

PART_COPIES: dict[sa.Table, sa.Table] = {
    part.table: _make_copy(
        part.table,
        part.table.c.keys(),
        _refer_to(["copy_id", "action_id"], ["action_copy.copy_id", "action_copy.id"]),
    )
    for part in PARTS
}
"""Table of a part of lines → table of its copied rows."""

sa.Index(None, PART_COPIES[get_table(LocationRow)].c.region_code)
