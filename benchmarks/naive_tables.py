"""The tables as ORM classes with relationships, for the usual code."""

from typing import Any

from sqlalchemy.orm import DeclarativeBase, Mapped, relationship

import app.startup.schema  # noqa: F401  # foreign keys name tables of every area
from app.kit.database.engine import get_table
from app.kit.database.journal import JournalHead, JournalRow
from app.plans.actions.models import (
    ActionRow,
    BudgetLineRow,
    ComponentRow,
    LocationRow,
    MilestoneRow,
    OutputRow,
    RecipientRow,
    SupportingAgencyRow,
    TagRow,
)
from app.plans.core.models import PlanRow
from app.tracking.progress.models import (
    ComponentSpendingRow,
    MilestoneProgressRow,
    OutputProgressRow,
    ProgressRow,
    RecipientProgressRow,
    SpendingRow,
)


class Base(DeclarativeBase):
    pass


class Plan(Base):
    __table__ = get_table(PlanRow)


class SupportingAgency(Base):
    __table__ = get_table(SupportingAgencyRow)


class Component(Base):
    __table__ = get_table(ComponentRow)


class BudgetLine(Base):
    __table__ = get_table(BudgetLineRow)


class Output(Base):
    __table__ = get_table(OutputRow)


class Recipient(Base):
    __table__ = get_table(RecipientRow)


class Location(Base):
    __table__ = get_table(LocationRow)


class Milestone(Base):
    __table__ = get_table(MilestoneRow)


class ActionTag(Base):
    __table__ = get_table(TagRow)


class Spending(Base):
    __table__ = get_table(SpendingRow)


class ComponentSpending(Base):
    __table__ = get_table(ComponentSpendingRow)


class OutputProgress(Base):
    __table__ = get_table(OutputProgressRow)


class RecipientProgress(Base):
    __table__ = get_table(RecipientProgressRow)


class MilestoneProgress(Base):
    __table__ = get_table(MilestoneProgressRow)


def _relate_parts(name: str, table: type[Any]) -> Any:
    return relationship(name, order_by=table.__table__.c.position, cascade="all, delete-orphan")


class Progress(Base):
    __table__ = get_table(ProgressRow)

    spending: Mapped[list[Spending]] = _relate_parts("Spending", Spending)
    components: Mapped[list[ComponentSpending]] = _relate_parts("ComponentSpending", ComponentSpending)
    outputs: Mapped[list[OutputProgress]] = _relate_parts("OutputProgress", OutputProgress)
    recipients: Mapped[list[RecipientProgress]] = _relate_parts("RecipientProgress", RecipientProgress)
    milestones: Mapped[list[MilestoneProgress]] = _relate_parts("MilestoneProgress", MilestoneProgress)
    line: Mapped["Action"] = relationship("Action", back_populates="reports")

    @property
    def plan(self) -> str:
        return self.line.of_plan.code

    @property
    def action(self) -> str:
        return self.line.code


class Action(Base):
    __table__ = get_table(ActionRow)

    of_plan: Mapped[Plan] = relationship("Plan")
    supporting: Mapped[list[SupportingAgency]] = _relate_parts("SupportingAgency", SupportingAgency)
    components: Mapped[list[Component]] = _relate_parts("Component", Component)
    budget_lines: Mapped[list[BudgetLine]] = _relate_parts("BudgetLine", BudgetLine)
    outputs: Mapped[list[Output]] = _relate_parts("Output", Output)
    recipients: Mapped[list[Recipient]] = _relate_parts("Recipient", Recipient)
    locations: Mapped[list[Location]] = _relate_parts("Location", Location)
    milestones: Mapped[list[Milestone]] = _relate_parts("Milestone", Milestone)
    tag_rows: Mapped[list[ActionTag]] = _relate_parts("ActionTag", ActionTag)
    reports: Mapped[list[Progress]] = relationship(
        "Progress", back_populates="line", order_by=Progress.__table__.c.period
    )

    @property
    def plan(self) -> str:
        return self.of_plan.code

    @property
    def supporting_agencies(self) -> list[str]:
        return [row.agency_code for row in self.supporting]

    @property
    def tags(self) -> list[str]:
        return [row.tag for row in self.tag_rows]

    @property
    def absorption_percent(self) -> float | None:
        return round(self.spent * 100 / self.allocation, 2) if self.allocation else None


class Journal(Base):
    __table__ = get_table(JournalRow)


class Head(Base):
    __table__ = get_table(JournalHead)


ACTION_PARTS = (
    Action.of_plan,
    Action.supporting,
    Action.components,
    Action.budget_lines,
    Action.outputs,
    Action.recipients,
    Action.locations,
    Action.milestones,
    Action.tag_rows,
)
PROGRESS_PARTS = {
    "spending": Spending,
    "components": ComponentSpending,
    "outputs": OutputProgress,
    "recipients": RecipientProgress,
    "milestones": MilestoneProgress,
}
