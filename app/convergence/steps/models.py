"""Evidence, grades and scores of convergence steps: fields declared once for table and wire."""

import datetime as dt
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

import sqlalchemy as sa
from pydantic import BaseModel, PlainSerializer, WithJsonSchema, model_validator
from pydantic import Field as ShapeField
from sqlmodel import Field

from app.convergence.editions.step_templates.models import GradesCounted, GradeThresholds, StepEvidenceKind
from app.convergence.editions.step_templates.rules import MeasureName, Unit
from app.kit.database.engine import Table
from app.kit.fields import (
    Day,
    Key,
    Line,
    RegionCode,
    SecureLink,
    Shape,
    Statement,
    Version,
    describe_key,
    show_example,
)
from app.kit.http.validation import RuleBroken
from app.kit.problems import Kind
from app.reference.models import RegionLevel, Timezone

nothing_shown = Kind(
    "nothing_shown",
    id="isi url atau document_number: sesuatu harus dapat dilihat",
    en="give url or document_number: there must be something to look at",
)

StepKey = Annotated[str, describe_key("Code of the step in the region's template.", "regulation")]
EvidenceKey = Annotated[
    str, describe_key("Key of the evidence in its step, chosen by who writes it.", "sk-tkpk")
]
CriterionKey = Annotated[str, describe_key("Code of the criterion in its step.", "decrees")]


class Grade(StrEnum):
    """A to D are 4 to 1, `none` is 0."""

    a = "A"
    b = "B"
    c = "C"
    d = "D"
    none = "none"


class StepState(StrEnum):
    """Derived, never written, judged on the day in the region's zone: `done` where everything required is shown,
    else `not_open`, `open` or `late` by the step's window."""

    not_open = "not_open"
    open = "open"
    late = "late"
    done = "done"


class NoFigure(StrEnum):
    """Why there is no figure; only `not_adopted` is graded all the same, since it is known."""

    not_open = "not_open"
    panel_only = "panel_only"
    no_plan = "no_plan"
    no_lines = "no_lines"
    no_comparable_lines = "no_comparable_lines"
    no_priority_locations = "no_priority_locations"
    no_recipient_data = "no_recipient_data"
    no_meetings = "no_meetings"
    no_commitments_due = "no_commitments_due"
    not_adopted_yet = "not_adopted_yet"
    not_adopted = "not_adopted"
    no_quarter_due = "no_quarter_due"
    no_coverage = "no_coverage"
    nobody_eligible = "nobody_eligible"
    nobody_expected = "nobody_expected"
    no_reports = "no_reports"
    no_observations = "no_observations"


# Evidence


class EvidenceFields(BaseModel):
    """A document as proof of work on a step."""

    kind: Key = ShapeField(description="Code of one of the kinds that the step asks for.")
    title: Line
    date: Day = ShapeField(description="Of the document; not after today in the region's zone.")
    document_number: Line | None = None
    url: SecureLink | None = ShapeField(default=None, description="Where it can be read, https only.")
    village: RegionCode | None = ShapeField(
        default=None,
        description="The village that it is about; required of a kind that is given per village.",
    )


_EVIDENCE = {
    "kind": "team_decree",
    "title": "Keputusan Bupati tentang TKPK",
    "date": "2025-02-03",
    "document_number": "188.45/71/KUM/2025",
    "url": "https://jdih.kotabarukab.go.id/188-45-71-2025.pdf",
    "village": None,
}
_PLACE = {
    "region_code": "63.02",
    "year": 2026,
    "step": "regulation",
    "key": "sk-tkpk",
    "version": 1,
    "updated_at": "2025-02-04T03:00:00+00:00",
}


class EvidenceIn(EvidenceFields, Shape):
    """Evidence as it is written: documents only, never a person's name or number."""

    model_config = show_example(_EVIDENCE)

    @model_validator(mode="after")
    def _require_source(self) -> "EvidenceIn":
        if self.url is None and self.document_number is None:
            raise RuleBroken(nothing_shown, at="/url")
        return self


class EvidenceOut(EvidenceFields):
    """Evidence as it is read."""

    key: Key
    version: Version
    updated_at: datetime

    model_config = show_example(_EVIDENCE, {name: _PLACE[name] for name in ("key", "version", "updated_at")})


class EvidenceReply(EvidenceOut):
    """One piece of evidence, with what the caller may do with it."""

    region_code: RegionCode
    year: int
    step: Key
    allowed: list[Literal["edit", "delete"]]

    model_config = show_example(_EVIDENCE, _PLACE, allowed=["edit", "delete"])


class StepEvidenceRow(EvidenceFields, Table, table=True):
    __tablename__ = "step_evidence"
    __table_args__ = (
        sa.PrimaryKeyConstraint("region_code", "year", "step", "key"),
        sa.Index(None, "village"),
    )

    region_code: str = Field(max_length=13, foreign_key="region.code")
    year: int
    step: str = Field(max_length=40)
    key: str = Field(max_length=40)
    document_number: str | None = Field(default=None, max_length=500)
    url: str | None = Field(default=None, max_length=2000)
    village: str | None = Field(default=None, max_length=13, foreign_key="region.code")
    version: int
    updated_at: datetime


# Grades of the panel


class PanelGradeFields(BaseModel):
    """The grade of a criterion by the panel of the province, with the reason."""

    grade: Grade
    reason: Statement = ShapeField(description="Why; names positions, never persons.")


_GRADE = {"grade": "B", "reason": "Regulasi RPKD belum diperbarui"}
_GRADED = {
    **_GRADE,
    "graded_at": "2026-02-11T03:00:00+00:00",
    "graded_by": "bappeda-kalsel",
    "version": 1,
}


class PanelGradeIn(PanelGradeFields, Shape):
    """A grade as the panel gives it."""

    model_config = show_example(_GRADE)


class PanelGrade(PanelGradeFields):
    """A grade that the panel gave."""

    graded_at: datetime
    graded_by: str = ShapeField(description="Name of the token, a service or a position; never of a person.")
    version: Version

    model_config = show_example(_GRADED)


class PanelGradeReply(PanelGrade):
    """The panel's grade of a criterion, with what the caller may do with it."""

    region_code: RegionCode
    year: int
    step: Key
    criterion: Key
    allowed: list[Literal["edit", "delete"]]

    model_config = show_example(
        _GRADED,
        region_code="63.02",
        year=2026,
        step="regulation",
        criterion="decrees",
        allowed=["edit", "delete"],
    )


class StepGradeRow(PanelGradeFields, Table, table=True):
    """Grades by criterion, without the step: a criterion's code is unique in a template."""

    __tablename__ = "step_grade"
    __table_args__ = (sa.PrimaryKeyConstraint("region_code", "year", "criterion"),)

    region_code: str = Field(max_length=13, foreign_key="region.code")
    year: int
    step: str = Field(max_length=40)
    criterion: str = Field(max_length=40)
    graded_at: datetime
    graded_by: str = Field(max_length=200)
    version: int


# Scores

_SCORE = "0 to 100, two decimals; null where nothing was graded."
Score = Annotated[float | None, ShapeField(description=_SCORE)]


class StepScore(BaseModel):
    """A step in numbers."""

    step: Key
    machine_score: Score = ShapeField(description=f"Of the machine's grades alone: {_SCORE}")
    panel_score: Score = ShapeField(description=f"Of the panel's grades alone: {_SCORE}")
    score: Score = ShapeField(
        description="The one that counts: of each criterion the grade that the template lets count, else the other; "
        "null while the step is not open, or where nothing was graded."
    )


class ProcessScore(BaseModel):
    """P of a region's year, with the scores of its steps and the criteria without a grade."""

    template: Key = ShapeField(description="Template and edition.")
    score: Score = ShapeField(description="P: mean of the steps that have a score, by their weights.")
    steps: list[StepScore]
    missing: list[str] = ShapeField(
        description="Criteria of steps that are open that nobody could grade, for want of data or of a panel."
    )


CountedNumber = Annotated[
    float,
    PlainSerializer(lambda value: int(value) if value == int(value) else value),
    WithJsonSchema({"type": "number"}),
]
"""A count as a JSON number: rupiah and families stay whole."""


class GradedCriterion(BaseModel):
    """A criterion with both grades and what the machine's was computed from."""

    code: Key
    name: str
    name_english: str
    weight: int
    measure: MeasureName | None
    thresholds: GradeThresholds | None
    value: float | None = ShapeField(description="The figure, two decimals; null where `no_figure` says why.")
    unit: Unit | None
    inputs: dict[str, CountedNumber] = ShapeField(description="What the figure was computed from, by name.")
    measured_at: str | None = ShapeField(
        description="What it is of, where there was a choice: the quarter of coverage, the survey of the indicator, "
        "the date of the legal instrument."
    )
    no_figure: NoFigure | None
    machine_grade: Grade | None
    panel: PanelGrade | None
    grade: Grade | None = ShapeField(description="The one that counts.")


class AskedEvidence(StepEvidenceKind):
    """What is to be shown, and whether it was."""

    count: int = ShapeField(description="Pieces of evidence of this kind.")
    first_date: dt.date | None = ShapeField(description="Date of the earliest.")


class StepStanding(StepScore):
    """Where a region stands on one step."""

    number: int = ShapeField(description="Place among the steps, from 1.")
    name: str
    name_english: str
    weight: int
    opens_on: dt.date
    due_on: dt.date
    deadline: datetime = ShapeField(description="End of the last day, in the region's zone.")
    state: StepState
    done_on: dt.date | None = ShapeField(
        description="Date by which everything required was there; null before that."
    )
    deadline_missed: bool = ShapeField(description="The last day is over and it was not done by then.")
    criteria: list[GradedCriterion]
    evidence_kinds: list[AskedEvidence]
    evidence: list[EvidenceOut]


_STEP = {
    "step": "regulation",
    "machine_score": 50.0,
    "panel_score": 75.0,
    "score": 75.0,
    "number": 4,
    "name": "Regulasi daerah",
    "name_english": "Regulation",
    "weight": 1,
    "opens_on": "2025-01-01",
    "due_on": "2025-12-31",
    "deadline": "2025-12-31T23:59:59+08:00",
    "state": "late",
    "done_on": None,
    "deadline_missed": True,
    "criteria": [
        {
            "code": "decrees",
            "name": "Regulasi yang ditunjukkan",
            "name_english": "Regulations shown",
            "weight": 40,
            "measure": "evidence_given",
            "thresholds": {"a": 100, "b": 66, "c": 33, "d": 33},
            "value": 33.33,
            "unit": "percent",
            "inputs": {"required": 3, "given": 1},
            "measured_at": None,
            "no_figure": None,
            "machine_grade": "C",
            "panel": _GRADED,
            "grade": "B",
        }
    ],
    "evidence_kinds": [
        {
            "code": "team_decree",
            "name": "Keputusan TKPK",
            "name_english": "Decree of the team",
            "required": True,
            "per_village": False,
            "count": 1,
            "first_date": "2025-02-03",
        }
    ],
    "evidence": [
        {**_EVIDENCE, **{name: _PLACE[name] for name in ("key", "version", "updated_at")}},
    ],
}


class StepReply(StepStanding):
    """One step of a region's year, with what the caller may do with it."""

    region_code: RegionCode
    year: int
    template: Key
    allowed: list[Literal["write_evidence", "grade_steps"]]

    model_config = show_example(
        _STEP, region_code="63.02", year=2026, template="poverty-8.1", allowed=["write_evidence"]
    )


class StepsReply(BaseModel):
    """All steps of a region's year."""

    region_code: RegionCode
    region_name: str
    year: int
    timezone: Timezone
    template: Key
    grades_counted: GradesCounted
    score: Score = ShapeField(description="P: mean of the steps that have a score, by their weights.")
    missing: list[str] = ShapeField(
        description="Criteria of steps that are open that nobody could grade, for want of data or of a panel."
    )
    deadlines_missed: int
    steps: list[StepStanding]
    allowed: list[Literal["write_evidence", "grade_steps"]]

    model_config = show_example(
        region_code="63.02",
        region_name="Kabupaten Kotabaru",
        year=2026,
        timezone="WITA",
        template="poverty-8.1",
        grades_counted="panel_first",
        score=75.0,
        missing=["loci_strengthened"],
        deadlines_missed=1,
        steps=[_STEP],
        allowed=["write_evidence"],
    )


# The overview of a province


class StepsQuery(BaseModel):
    """Region and year of an overview."""

    region: str = ShapeField(
        pattern=r"^[0-9]{2}(\.[0-9]{2})?$",
        max_length=5,
        description="Kemendagri code of a province, with its regencies, or of one regency.",
    )
    year: int = ShapeField(ge=2015, le=2100, description="Plan year.")


class StepOverview(StepScore):
    """A step in the overview."""

    state: StepState
    deadline_missed: bool


class RegionSteps(BaseModel):
    """A region in the overview."""

    region_code: RegionCode
    region_name: str
    level: RegionLevel
    template: Key
    score: Score
    deadlines_missed: int
    missing: list[str]
    steps: list[StepOverview]


class StepsOverview(BaseModel):
    """Who stands where: the province and each of its regencies that the caller sees."""

    region_code: RegionCode
    year: int
    regions: list[RegionSteps]

    model_config = show_example(
        region_code="63",
        year=2026,
        regions=[
            {
                "region_code": "63.02",
                "region_name": "Kabupaten Kotabaru",
                "level": "regency",
                "template": "poverty-8.1",
                "score": 75.0,
                "deadlines_missed": 1,
                "missing": ["loci_strengthened"],
                "steps": [{name: _STEP[name] for name in StepOverview.model_fields}],
            }
        ],
    )
