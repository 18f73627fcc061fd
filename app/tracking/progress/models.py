"""Reports of progress on actions, by quarter. Every figure is cumulative from January ("s.d.")."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import sqlalchemy as sa
from pydantic import BaseModel, model_validator
from pydantic import Field as ShapeField
from pydantic.config import JsonDict
from sqlmodel import Field

from app.kit.database.engine import Table, get_table
from app.kit.fields import (
    Count,
    Day,
    FundingSourceCode,
    Key,
    Link,
    Percent,
    Prose,
    Quantity,
    Rupiah,
    Shape,
    Version,
    describe_key,
    show_example,
)
from app.kit.http.validation import RuleBroken, refuse_repeated
from app.kit.problems import Kind
from app.kit.wording import Text, declare_words
from app.plans.actions.models import ComponentClass
from app.plans.actions.rules import QuartersContent
from app.plans.findings.models import FindingShape
from app.plans.findings.spending.rules import Limits, SpentContent
from app.plans.findings.thresholds import Thresholds

sums_differ = Kind(
    "sums_differ",
    id="Jumlah {part:report} adalah {sum}, sedangkan realisasi seluruhnya {spent}. Keduanya harus sama.",
    en="The sum of {part:report} is {sum}, but the total spent is {spent}. Both must be equal.",
)
declare_words(
    {
        "spent": Text("realisasi seluruhnya", "the total spent"),
        "spending": Text("realisasi per sumber pembiayaan", "spending by funding source"),
        "components": Text("realisasi per jenis aktivitas", "spending by component class"),
        "outputs": Text("keluaran", "outputs"),
        "recipients": Text("penerima manfaat", "recipients"),
    },
    form="report",
)
declare_words(
    {
        "line.budget_lines": Text("daftar sumber pembiayaan baris ini", "the funding sources of the line"),
        "line.outputs": Text("daftar keluaran baris ini", "the outputs of the line"),
        "line.recipients": Text("daftar penerima manfaat baris ini", "the recipients of the line"),
        "line.milestones": Text("daftar tonggak baris ini", "the milestones of the line"),
        "plan.lines": Text("daftar baris rencana ini", "the lines of the plan"),
    }
)

QuarterKey = Annotated[str, describe_key("Quarter of the plan's year; 404 for another one.", "2026-Q2")]


class MilestoneState(StrEnum):
    pending = "pending"
    done = "done"


class PhysicalBasis(StrEnum):
    """Basis of a physical percentage: the first one that exists."""

    reported = "reported"
    milestones = "milestones"
    outputs = "outputs"


class SpendingFields(BaseModel):
    """Whole rupiah spent from one funding source."""

    funding_source: FundingSourceCode
    amount: Rupiah


class ComponentSpendingFields(BaseModel):
    """Whole rupiah spent on one class of components."""

    component_class: ComponentClass
    amount: Rupiah


class OutputProgressFields(BaseModel):
    code: Key
    achieved: Quantity = ShapeField(description="In the output's unit, cumulative.")


class RecipientProgressFields(BaseModel):
    code: Key
    reached: Count = ShapeField(description="Recipients reached so far, each counted once.")


class MilestoneProgressFields(BaseModel):
    code: Key
    state: MilestoneState
    done_on: Day | None = None


class Spending(SpendingFields, Shape): ...


class ComponentSpending(ComponentSpendingFields, Shape): ...


class OutputProgress(OutputProgressFields, Shape): ...


class RecipientProgress(RecipientProgressFields, Shape): ...


class MilestoneProgress(MilestoneProgressFields, Shape): ...


class ProgressFields(BaseModel):
    """Fields of an agency's report on an action at the end of a quarter."""

    physical_reported_percent: Percent | None = ShapeField(
        default=None, description="Physical progress of the report; null: milestones or outputs decide it."
    )
    obstacle: Prose = ""
    follow_up: Prose = ""
    evidence: list[Link] = ShapeField(default_factory=list, max_length=20, description="Addresses.")


PROGRESS_EXAMPLE: JsonDict = {
    "physical_reported_percent": None,
    "obstacle": "Penyaluran di tiga desa tertunda banjir",
    "follow_up": "Dijadwalkan ulang bulan Juli",
    "evidence": ["https://berkas.kotabarukab.go.id/bast-014.pdf"],
    "spent": 120000000,
    "spending": [{"funding_source": "APBD", "amount": 120000000}],
    "components": [
        {"component_class": "direct", "amount": 115000000},
        {"component_class": "supporting", "amount": 5000000},
    ],
    "outputs": [{"code": "O1", "achieved": 20}],
    "recipients": [{"code": "R1", "reached": 20}],
    "milestones": [{"code": "M1", "state": "done", "done_on": "2026-03-28"}],
}


class ProgressIn(ProgressFields, Shape):
    """Report to write: PUT replaces all of it."""

    spent: Rupiah | None = ShapeField(
        default=None,
        description="Whole rupiah spent in all; null takes the sum of `spending` or of `components`.",
    )
    spending: list[Spending] = ShapeField(default_factory=list, max_length=50)
    components: list[ComponentSpending] = ShapeField(default_factory=list, max_length=3)
    outputs: list[OutputProgress] = ShapeField(default_factory=list, max_length=50)
    recipients: list[RecipientProgress] = ShapeField(default_factory=list, max_length=50)
    milestones: list[MilestoneProgress] = ShapeField(default_factory=list, max_length=50)

    model_config = show_example(PROGRESS_EXAMPLE)

    @model_validator(mode="after")
    def _check_parts(self) -> "ProgressIn":
        for part in PROGRESS_PARTS:
            refuse_repeated(
                (getattr(item, part.key) for item in getattr(self, part.name)), at=f"/{part.name}"
            )
        sums = {
            name: sum(item.amount for item in items)
            for name, items in (("spending", self.spending), ("components", self.components))
            if items
        }
        if self.spent is None:
            self.spent = next(iter(sums.values()), 0)
        for name, total in sums.items():
            if total != self.spent:
                raise RuleBroken(
                    sums_differ, at=f"/{name}", part=name, sum=total, spent=self.spent, value=total
                )
        return self


class ProgressItem(ProgressIn):
    """Report in a batch, with the key of its action."""

    action: Key

    model_config = show_example({"action": "A-001"}, PROGRESS_EXAMPLE)


_OUT_EXAMPLE = {
    **PROGRESS_EXAMPLE,
    "plan": "63.02-2026",
    "action": "A-001",
    "period": "2026-Q2",
    "version": 1,
    "reported_at": "2026-07-08T03:00:00+00:00",
    "reported_by": "dinas-sosial",
    "physical_percent": 30.0,
    "physical_basis": "milestones",
}


class ProgressOut(ProgressIn):
    """Report with its source, version and physical progress."""

    spent: int = ShapeField(description="Whole rupiah spent, cumulative to the end of the quarter.")
    plan: str
    action: Key
    period: str
    version: Version
    reported_at: datetime
    reported_by: str = ShapeField(description="Position or service that reported.")
    physical_percent: float | None = ShapeField(
        description="By the report; else the weight of milestones done; else the mean of the outputs' achieved/target."
    )
    physical_basis: PhysicalBasis | None

    model_config = show_example(_OUT_EXAMPLE)


class ProgressReply(ProgressOut):
    """Report with the findings on its figures and the operations that the caller may use."""

    findings: list[FindingShape]
    allowed: list[Literal["edit", "delete"]]

    model_config = show_example(_OUT_EXAMPLE, findings=[], allowed=["edit", "delete"])


class ProgressRow(ProgressFields, Table, table=True):
    __tablename__ = "progress"
    __table_args__ = (
        sa.ForeignKeyConstraint(["action_id"], ["action.id"]),
        sa.Index(None, "plan_id", "period"),
        sa.Index(None, "region_code", "period"),
    )

    action_id: int = Field(primary_key=True)
    period: str = Field(primary_key=True, max_length=7)
    plan_id: int = Field(foreign_key="plan.id")
    region_code: str = Field(max_length=13, description="Region of the plan; possible distribution key.")
    year: int = Field(description="Year of the plan; possible partition key.")
    carried_from: str | None = Field(
        default=None,
        max_length=7,
        description="Quarter of the report that a submission copied for a line without its own; null: a report.",
    )
    spent: int
    evidence: list[str] = Field(sa_type=sa.JSON)
    physical_percent: float | None = None
    physical_basis: PhysicalBasis | None = None
    version: int = 1
    reported_at: datetime
    reported_by: str = Field(max_length=80)


def _refer_to_progress() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["action_id", "period"], ["progress.action_id", "progress.period"], ondelete="CASCADE"
    )


class _PartRow(Table):
    action_id: int = Field(primary_key=True)
    period: str = Field(primary_key=True, max_length=7)
    position: int


class SpendingRow(SpendingFields, _PartRow, table=True):
    __tablename__ = "progress_spending"
    __table_args__ = (_refer_to_progress(),)

    funding_source: str = Field(primary_key=True, max_length=40)


class ComponentSpendingRow(ComponentSpendingFields, _PartRow, table=True):
    __tablename__ = "progress_component"
    __table_args__ = (_refer_to_progress(),)

    component_class: ComponentClass = Field(primary_key=True)


class OutputProgressRow(OutputProgressFields, _PartRow, table=True):
    __tablename__ = "progress_output"
    __table_args__ = (_refer_to_progress(),)

    code: str = Field(primary_key=True, max_length=40)


class RecipientProgressRow(RecipientProgressFields, _PartRow, table=True):
    __tablename__ = "progress_recipient"
    __table_args__ = (_refer_to_progress(),)

    code: str = Field(primary_key=True, max_length=40)


class MilestoneProgressRow(MilestoneProgressFields, _PartRow, table=True):
    __tablename__ = "progress_milestone"
    __table_args__ = (_refer_to_progress(),)

    code: str = Field(primary_key=True, max_length=40)


class ProgressPart(NamedTuple):
    """List inside a report. `reports_on` is the part of the action with the allowed keys; None allows all keys."""

    name: str
    table: sa.Table
    key: str
    figure: str | None
    shape: type[Shape]
    reports_on: str | None
    planned: str | None
    """Field of the action's item with the figure planned."""

    def list_items(self, content: Mapping[str, Any]) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = content[self.name]
        return items

    def map_figures(self, content: Mapping[str, Any]) -> dict[str, float]:
        """Return the figures of the list in a report, by key; empty if its items have no figure."""
        return {item[self.key]: item[self.figure] for item in self.list_items(content)} if self.figure else {}

    def map_planned(self, action: Mapping[str, Any]) -> dict[str, float | None]:
        """Return the keys that this list may use, each with the figure planned in the action, if any."""
        items = action[self.reports_on] if self.reports_on else []
        return {item[self.key]: item[self.planned] if self.planned else None for item in items}


PROGRESS_PARTS = (
    ProgressPart(
        "spending", get_table(SpendingRow), "funding_source", "amount", Spending, "budget_lines", "amount"
    ),
    ProgressPart(
        "components",
        get_table(ComponentSpendingRow),
        "component_class",
        "amount",
        ComponentSpending,
        None,
        None,
    ),
    ProgressPart(
        "outputs", get_table(OutputProgressRow), "code", "achieved", OutputProgress, "outputs", "target"
    ),
    ProgressPart(
        "recipients",
        get_table(RecipientProgressRow),
        "code",
        "reached",
        RecipientProgress,
        "recipients",
        "count",
    ),
    ProgressPart(
        "milestones", get_table(MilestoneProgressRow), "code", None, MilestoneProgress, "milestones", None
    ),
)


@dataclass(frozen=True)
class ReportableLine:
    """Action with the fields that checks of its reports read."""

    id: int
    lead_agency: str
    """Agency that reports: after a merge the successor of `named_agency`."""
    named_agency: str
    limits: Limits
    quarters: QuartersContent
    known: dict[str, dict[str, float | None]]
    """Part → keys that a report may use, each with the figure planned, if any."""
    thresholds: Thresholds

    @property
    def sources(self) -> list[str]:
        return list(self.limits.sources)

    @property
    def is_deleted(self) -> bool:
        """True for a line that only the copy of a quarter has: it left the plan before the first adoption."""
        return self.id < 0


class AchievedContent(TypedDict):
    code: str
    achieved: float


class ReachedContent(TypedDict):
    code: str
    reached: int


class ReportContent(SpentContent):
    """JSON of a report (`ProgressIn`): the keys that rules read."""

    outputs: list[AchievedContent]
    recipients: list[ReachedContent]


class StoredProgress(NamedTuple):
    """Report in force, to compare, patch and journal."""

    content: ReportContent
    version: int
    period: str
    physical_percent: float | None
