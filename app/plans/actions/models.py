"""An action and its parts (domain, section 3).

A `…Fields` class declares the fields of each noun once; the table and the wire shapes inherit them. To add a field to
an action, add it to `ActionFields` and write the migration.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, NamedTuple

import sqlalchemy as sa
from pydantic import BaseModel, model_validator
from pydantic import Field as ShapeField
from sqlmodel import Field

from app.agencies.models import refer_to_agency
from app.kit.database.engine import Table, get_table
from app.kit.fields import (
    AgencyCode,
    Count,
    Day,
    Decile,
    ExternalKey,
    FundingSourceCode,
    Key,
    Line,
    Month,
    Percent,
    Prose,
    Quantity,
    RegionCode,
    Rupiah,
    Shape,
    Tag,
    Version,
    describe_key,
    show_example,
)
from app.kit.http.validation import RuleBroken, refuse_repeated
from app.kit.openapi.schemas import since
from app.kit.periods import PeriodText, Quarter
from app.kit.problems import Kind
from app.plans.actions.examples import ACTION_EXAMPLE, ACTION_OUT_EXAMPLE
from app.plans.core.models import EDITION_PATTERN
from app.plans.imports.models import ImportedFrom

decile_order = Kind(
    "decile_order",
    id="desil awal ({first}) melebihi desil akhir ({last})",
    en="the first decile ({first}) is above the last decile ({last})",
)
month_order = Kind(
    "month_order",
    id="bulan mulai ({first}) setelah bulan selesai ({last})",
    en="the first month ({first}) is after the last month ({last})",
)
falling_targets = Kind(
    "falling_targets",
    id="isi empat target triwulan secara kumulatif: tidak turun, dan yang terakhir sama dengan target {target}",
    en="give four cumulative quarterly targets: they never fall, and the last equals the target {target}",
)
milestone_weights = Kind(
    "milestone_weights",
    id="bobot tonggak berjumlah {sum}, bukan 100; isi semua bobot atau kosongkan semuanya",
    en="the weights of the milestones sum to {sum}, not 100; give all of them or none",
)


class Strategy(StrEnum):
    """The strategies of Inpres 4/2022 and Inpres 8/2025."""

    reduce_spending_burden = "reduce_spending_burden"
    raise_income = "raise_income"
    reduce_poverty_pockets = "reduce_poverty_pockets"


class ComponentClass(StrEnum):
    """The class of a component, by how far its money reaches the recipient."""

    direct = "direct"
    indirect = "indirect"
    supporting = "supporting"


class BudgetStage(StrEnum):
    """The stage of budgeting that fixed an amount."""

    rkpd = "rkpd"
    kua_ppas = "kua_ppas"
    apbd = "apbd"
    apbd_p = "apbd_p"


class RecipientKind(StrEnum):
    families = "families"
    persons = "persons"
    groups = "groups"
    villages = "villages"
    units = "units"


class BenefitForm(StrEnum):
    cash = "cash"
    goods = "goods"
    service = "service"
    subsidy = "subsidy"
    access = "access"


class Regularity(StrEnum):
    routine = "routine"
    incidental = "incidental"


ActionKey = Annotated[str, describe_key("Key of the action in its plan.", "A-001")]


# Parts of an action


class ComponentFields(BaseModel):
    """A component of a line's spending, by class."""

    code: Key
    component_class: ComponentClass
    description: Prose = ""
    amount: Rupiah | None = ShapeField(
        default=None, description="Whole rupiah; null without an amount in the plan."
    )
    is_travel: bool = ShapeField(default=False, description="Official travel; direct spending leaves it out.")


class BudgetLineFields(BaseModel):
    """The money of one funding source."""

    funding_source: FundingSourceCode
    amount: Rupiah | None = ShapeField(
        default=None,
        description="Whole rupiah; null if several sources share an allocation without a split yet.",
    )
    stage: BudgetStage | None = None


class OutputFields(BaseModel):
    """A measured output of a line."""

    code: Key
    indicator: Line
    unit: Line
    baseline: Quantity | None = None
    target: Quantity
    quarterly_targets: list[Quantity] = ShapeField(
        default_factory=list, max_length=4, description="Cumulative targets of Q1 to Q4; empty or four."
    )

    @model_validator(mode="after")
    def _check_targets(self) -> "OutputFields":
        steps = self.quarterly_targets
        if steps and (len(steps) != 4 or steps != sorted(steps) or steps[-1] != self.target):
            raise RuleBroken(falling_targets, at="/quarterly_targets", target=self.target, value=str(steps))
        return self


class RecipientFields(BaseModel):
    """A group of recipients of a line: a count, never a name."""

    code: Key
    kind: RecipientKind
    unit: Line | None = ShapeField(default=None, description="Word of the plan, such as `KK` or `Sekolah`.")
    count: Count | None = None
    decile_from: Decile | None = None
    decile_to: Decile | None = None
    vulnerable_groups: list[Tag] = ShapeField(default_factory=list, max_length=20)
    source: Line | None = ShapeField(default=None, description="Source of the count, such as `DTSEN`.")
    source_period: PeriodText | None = None

    @model_validator(mode="after")
    def _check_deciles(self) -> "RecipientFields":
        first, last = self.decile_from, self.decile_to
        if first is not None and last is not None and first > last:
            raise RuleBroken(decile_order, at="/decile_from", first=first, last=last, value=first)
        return self


class LocationFields(BaseModel):
    """A place of a line: any region inside the plan's."""

    region_code: RegionCode
    recipients: Count | None = None
    amount: Rupiah | None = None


class MilestoneFields(BaseModel):
    """A dated, weighted step of a line."""

    code: Key
    title: Line
    due: Day | None = None
    weight: Percent | None = ShapeField(
        default=None, description="Share of the line's work; all together 100."
    )
    evidence_required: bool = False


class Component(ComponentFields, Shape): ...


class BudgetLine(BudgetLineFields, Shape): ...


class Output(OutputFields, Shape): ...


class Recipient(RecipientFields, Shape): ...


class Location(LocationFields, Shape): ...


class Milestone(MilestoneFields, Shape): ...


# The action


class ActionFields(BaseModel):
    """One line of a plan: a sub-activity of an agency under a strategy."""

    title: Line
    strategy: Strategy
    lead_agency: AgencyCode
    nomenclature_edition: str | None = ShapeField(
        default=None,
        min_length=1,
        max_length=20,
        pattern=EDITION_PATTERN,
        description="Edition of the code; null takes the plan's.",
    )
    subactivity_code: str | None = ShapeField(
        default=None,
        max_length=20,
        pattern=r"^[0-9X]\.[0-9X]{2}\.[0-9]{2}\.[0-9]\.[0-9]{2}\.[0-9]{4}$",
        description="Official sub-activity code, such as `1.06.05.2.02.0006`; null: a sub-activity with a name alone.",
    )
    subactivity: Line | None = ShapeField(default=None, description="Name; null takes the name of the code.")
    activity: Line | None = None
    program: Line | None = None
    allocation: Rupiah = ShapeField(
        description="Whole rupiah for the year; components and budget lines sum to it."
    )
    benefit_regularity: Regularity | None = None
    benefit_forms: list[BenefitForm] = ShapeField(default_factory=list, max_length=5)
    benefit_amount: Rupiah | None = ShapeField(
        default=None, description="Whole rupiah for one recipient at a time."
    )
    benefit_description: Prose = ""
    benefit_months: Annotated[int, ShapeField(ge=1, le=12)] | None = None
    matrix_texts: dict[Key, Prose] = ShapeField(
        default_factory=dict,
        max_length=21,
        description="Words of the matrix that no field holds, by column (`location`, `recipients`).",
    )
    first_month: Month | None = None
    last_month: Month | None = None
    starts_in: Quarter | None = ShapeField(
        default=None,
        description="First quarter in which a report on the line is due; null: the first of the year. "
        "An amendment sets it.",
        json_schema_extra=since("1.1"),
    )
    ends_after: Quarter | None = ShapeField(
        default=None,
        description="Last quarter in which a report on the line is due, or the last of the year before: none is. "
        "Null: the line has not ended. An amendment sets it.",
        json_schema_extra=since("1.1"),
    )
    source_stage: Line | None = ShapeField(
        default=None, description="Document or system that the line came from."
    )
    source_key: ExternalKey | None = ShapeField(default=None, description="Key of the line there.")
    note: Prose = ""

    @model_validator(mode="after")
    def _check_months(self) -> "ActionFields":
        first, last = self.first_month, self.last_month
        if first is not None and last is not None and first > last:
            raise RuleBroken(month_order, at="/first_month", first=first, last=last, value=first)
        return self


class ActionIn(ActionFields, Shape):
    """The fields of an action that a client writes; PUT replaces all, each list whole."""

    supporting_agencies: list[AgencyCode] = ShapeField(default_factory=list, max_length=20)
    components: list[Component] = ShapeField(default_factory=list, max_length=100)
    budget_lines: list[BudgetLine] = ShapeField(default_factory=list, max_length=50)
    outputs: list[Output] = ShapeField(default_factory=list, max_length=50)
    recipients: list[Recipient] = ShapeField(default_factory=list, max_length=50)
    locations: list[Location] = ShapeField(default_factory=list, max_length=500)
    milestones: list[Milestone] = ShapeField(default_factory=list, max_length=50)
    tags: list[Tag] = ShapeField(default_factory=list, max_length=30)

    model_config = show_example(ACTION_EXAMPLE)

    @model_validator(mode="after")
    def _check_parts(self) -> "ActionIn":
        for part in PARTS:
            items = getattr(self, part.name)
            refuse_repeated((getattr(item, part.key, item) for item in items), at=f"/{part.name}")
        weights = [m.weight for m in self.milestones]
        given = [w for w in weights if w is not None]
        # Three thirds are 99.99: each weight may be off by what rounding to two decimals leaves.
        if given and (len(given) < len(weights) or abs(sum(given) - 100) > 0.005 * len(given) + 1e-9):
            raise RuleBroken(milestone_weights, at="/milestones", sum=round(sum(given), 2))
        return self


class ActionItem(ActionIn):
    """An action of a batch, with its key."""

    code: Key

    model_config = show_example({"code": "A-001"}, ACTION_EXAMPLE)


class ActionOut(ActionIn):
    """An action with its latest reported figures."""

    code: Key
    plan: str = ShapeField(description="Key of the plan.")
    version: Version
    updated_at: datetime
    progress_period: str | None = ShapeField(
        description="Quarter of the latest report; null without reports."
    )
    spent: int = ShapeField(description="Whole rupiah spent, cumulative to the end of that quarter.")
    absorption_percent: float | None = ShapeField(
        description="Spent of the allocation; null without an allocation."
    )
    physical_percent: float | None = ShapeField(description="Physical progress to the end of that quarter.")
    imported_from: ImportedFrom | None = ShapeField(
        description="Row of a file, while no later write changed the line; null otherwise."
    )

    model_config = show_example(ACTION_OUT_EXAMPLE)


class ActionRow(ActionFields, Table, table=True):
    __tablename__ = "action"
    __table_args__ = (sa.UniqueConstraint("plan_id", "code"), *refer_to_agency("lead_agency"))

    id: int | None = Field(default=None, primary_key=True)
    plan_id: int = Field(foreign_key="plan.id")
    region_code: str = Field(max_length=13, description="The plan's; a key to distribute the table by.")
    year: int = Field(description="The plan's; a key to partition the table by.")
    code: str = Field(max_length=40)
    benefit_forms: list[BenefitForm] = Field(sa_type=sa.JSON)
    matrix_texts: dict[str, str] = Field(sa_type=sa.JSON)
    search: str = Field(description="Title and nomenclature names, folded for search.")
    version: int = 1
    updated_at: datetime
    progress_period: str | None = Field(default=None, max_length=7)
    spent: int = 0
    physical_percent: float | None = None


class _PartRow(Table):
    action_id: int = Field(foreign_key="action.id", primary_key=True, ondelete="CASCADE")
    position: int


class ComponentRow(ComponentFields, _PartRow, table=True):
    __tablename__ = "action_component"

    code: str = Field(primary_key=True, max_length=40)


class BudgetLineRow(BudgetLineFields, _PartRow, table=True):
    __tablename__ = "action_budget_line"

    funding_source: str = Field(
        foreign_key="funding_source.code", primary_key=True, max_length=40, index=True
    )


class OutputRow(OutputFields, _PartRow, table=True):
    __tablename__ = "action_output"

    code: str = Field(primary_key=True, max_length=40)
    quarterly_targets: list[float] = Field(sa_type=sa.JSON)


class RecipientRow(RecipientFields, _PartRow, table=True):
    __tablename__ = "action_recipient"

    code: str = Field(primary_key=True, max_length=40)
    vulnerable_groups: list[str] = Field(sa_type=sa.JSON)


class LocationRow(LocationFields, _PartRow, table=True):
    __tablename__ = "action_location"

    region_code: str = Field(foreign_key="region.code", primary_key=True, max_length=13, index=True)


class MilestoneRow(MilestoneFields, _PartRow, table=True):
    __tablename__ = "action_milestone"

    code: str = Field(primary_key=True, max_length=40)


class SupportingAgencyRow(_PartRow, table=True):
    __tablename__ = "action_supporting_agency"
    __table_args__ = refer_to_agency()

    agency_code: str = Field(primary_key=True, max_length=40)
    region_code: str = Field(max_length=13)


class TagRow(_PartRow, table=True):
    __tablename__ = "action_tag"

    tag: str = Field(primary_key=True, max_length=60, index=True)


class Part(NamedTuple):
    """A list inside an action: its field, its table, the column that identifies an item, the items' shape."""

    name: str
    table: sa.Table
    key: str
    shape: type[Shape] | None
    """None if the items are plain keys."""

    def list_items(self, content: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return this part's items in an action, each as a table row."""
        items: list[Any] = content[self.name]
        return items if self.shape else [{self.key: item} for item in items]

    def list_keys(self, content: Mapping[str, Any]) -> set[str]:
        """Return the keys of this part's items in an action."""
        return {str(item[self.key]) for item in self.list_items(content)}


PARTS = (
    Part("supporting_agencies", get_table(SupportingAgencyRow), "agency_code", None),
    Part("components", get_table(ComponentRow), "code", Component),
    Part("budget_lines", get_table(BudgetLineRow), "funding_source", BudgetLine),
    Part("outputs", get_table(OutputRow), "code", Output),
    Part("recipients", get_table(RecipientRow), "code", Recipient),
    Part("locations", get_table(LocationRow), "region_code", Location),
    Part("milestones", get_table(MilestoneRow), "code", Milestone),
    Part("tags", get_table(TagRow), "tag", None),
)
