"""Reply models of the usual code, without the service's validators."""

from datetime import date, datetime

from pydantic import BaseModel

from app.tracking.progress.models import ProgressItem


class ComponentOut(BaseModel):
    code: str
    component_class: str
    description: str
    amount: int | None
    is_travel: bool


class BudgetLineOut(BaseModel):
    funding_source: str
    amount: int | None
    stage: str | None


class OutputOut(BaseModel):
    code: str
    indicator: str
    unit: str
    baseline: float | None
    target: float
    quarterly_targets: list[float]


class RecipientOut(BaseModel):
    code: str
    kind: str
    unit: str | None
    count: int | None
    decile_from: int | None
    decile_to: int | None
    vulnerable_groups: list[str]
    source: str | None
    source_period: str | None


class LocationOut(BaseModel):
    region_code: str
    recipients: int | None
    amount: int | None


class MilestoneOut(BaseModel):
    code: str
    title: str
    due: date | None
    weight: float | None
    evidence_required: bool


class ActionOut(BaseModel):
    title: str
    strategy: str
    lead_agency: str
    nomenclature_edition: str | None
    subactivity_code: str | None
    subactivity: str | None
    activity: str | None
    program: str | None
    allocation: int
    benefit_regularity: str | None
    benefit_forms: list[str]
    benefit_amount: int | None
    benefit_description: str
    benefit_months: int | None
    matrix_texts: dict[str, str]
    first_month: int | None
    last_month: int | None
    source_stage: str | None
    source_key: str | None
    note: str
    supporting_agencies: list[str]
    components: list[ComponentOut]
    budget_lines: list[BudgetLineOut]
    outputs: list[OutputOut]
    recipients: list[RecipientOut]
    locations: list[LocationOut]
    milestones: list[MilestoneOut]
    tags: list[str]
    code: str
    plan: str
    version: int
    updated_at: datetime
    progress_period: str | None
    spent: int
    absorption_percent: float | None
    physical_percent: float | None
    imported_from: None = None
    """No line of the data set comes from an import."""


class ActionsOut(BaseModel):
    items: list[ActionOut]
    next: str | None


class SpendingOut(BaseModel):
    funding_source: str
    amount: int


class ComponentSpendingOut(BaseModel):
    component_class: str
    amount: int


class AchievedOut(BaseModel):
    code: str
    achieved: float


class ReachedOut(BaseModel):
    code: str
    reached: int


class MilestoneStateOut(BaseModel):
    code: str
    state: str
    done_on: date | None


class ProgressOut(BaseModel):
    physical_reported_percent: float | None
    obstacle: str
    follow_up: str
    evidence: list[str]
    spent: int
    spending: list[SpendingOut]
    components: list[ComponentSpendingOut]
    outputs: list[AchievedOut]
    recipients: list[ReachedOut]
    milestones: list[MilestoneStateOut]
    plan: str
    action: str
    period: str
    version: int
    reported_at: datetime
    reported_by: str
    physical_percent: float | None
    physical_basis: str | None


class Batch(BaseModel):
    items: list[ProgressItem]


class BatchOut(BaseModel):
    created: int
    updated: int
    unchanged: int
    refused: int
