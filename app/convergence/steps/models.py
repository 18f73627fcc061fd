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
from app.kit.wording import Text, declare_words
from app.reference.models import RegionLevel, Timezone

nothing_shown = Kind(
    "nothing_shown",
    id="isi tautan atau nomor dokumen, agar bukti dapat dilihat",
    en="give a link or a document number, so that readers can find the evidence",
)

_HOME_PATTERN = r"^[0-9]{2}(\.[0-9]{2})?$"
declare_words(
    {
        _HOME_PATTERN: Text(
            "kode provinsi atau kabupaten/kota, misalnya 63 atau 63.02",
            "the code of a province or a regency, such as 63 or 63.02",
        )
    },
    form="format",
)

StepKey = Annotated[str, describe_key("Code of the step in the region's template.", "regulation")]
EvidenceKey = Annotated[
    str, describe_key("Key of the evidence in its step; the writer chooses it.", "sk-tkpk")
]
CriterionKey = Annotated[str, describe_key("Code of the criterion in its step.", "decrees")]


class Grade(StrEnum):
    """Grade of a criterion: A to D count 4 to 1, `none` counts 0."""

    a = "A"
    b = "B"
    c = "C"
    d = "D"
    none = "none"


class StepState(StrEnum):
    """State of a step on today's date in the region's zone: `done` with evidence of each required kind (of a kind
    per village, for every priority location), else `not_open`, `open` or `late` by the step's window."""

    not_open = "not_open"
    open = "open"
    late = "late"
    done = "done"


class NoFigure(StrEnum):
    """Reason for a missing figure; `not_adopted` still gives the grade `none`."""

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


class EvidenceFields(BaseModel):
    """A document as proof of work on a step."""

    kind: Key = ShapeField(description="Code of a kind of evidence of the step.")
    title: Line
    date: Day = ShapeField(description="Date of the document, up to today in the region's zone.")
    document_number: Line | None = None
    url: SecureLink | None = ShapeField(default=None, description="Link to the document, https only.")
    village: RegionCode | None = ShapeField(
        default=None,
        description="Village of the evidence; required for a kind by village.",
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
    """Evidence in a request: a document, never a person's name or number."""

    model_config = show_example(_EVIDENCE)

    @model_validator(mode="after")
    def _require_source(self) -> "EvidenceIn":
        if self.url is None and self.document_number is None:
            raise RuleBroken(nothing_shown, at="/url")
        return self


class EvidenceOut(EvidenceFields):
    """Evidence in a reply."""

    key: Key
    version: Version
    updated_at: datetime

    model_config = show_example(_EVIDENCE, {name: _PLACE[name] for name in ("key", "version", "updated_at")})


class EvidenceReply(EvidenceOut):
    """A piece of evidence with the rights of the caller."""

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


class PanelGradeFields(BaseModel):
    """The grade of a criterion by the panel of the province, with the reason."""

    grade: Grade
    reason: Statement = ShapeField(description="Reason for the grade; names positions, never persons.")


_GRADE = {"grade": "B", "reason": "Regulasi RPKD belum diperbarui"}
_GRADED = {
    **_GRADE,
    "graded_at": "2026-02-11T03:00:00+00:00",
    "graded_by": "bappeda-kalsel",
    "version": 1,
}


class PanelGradeIn(PanelGradeFields, Shape):
    """A grade of the panel in a request."""

    model_config = show_example(_GRADE)


class PanelGrade(PanelGradeFields):
    """A grade of the panel in a reply."""

    graded_at: datetime
    graded_by: str = ShapeField(description="Position or service, never a person.")
    version: Version

    model_config = show_example(_GRADED)


class PanelGradeReply(PanelGrade):
    """The panel's grade of a criterion with the rights of the caller."""

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


_SCORE = "0 to 100, two decimals; null without grades."
Score = Annotated[float | None, ShapeField(description=_SCORE)]
ProcessPercent = Annotated[
    float | None, ShapeField(description="P: mean of the steps that have a score, by their weights.")
]
Ungraded = Annotated[
    list[str],
    ShapeField(description="Criteria of open steps without a grade, for lack of data or of a panel."),
]


class StepScore(BaseModel):
    """The scores of a step."""

    step: Key
    machine_score: Score = ShapeField(description=f"Score of the machine's grades: {_SCORE}")
    panel_score: Score = ShapeField(description=f"Score of the panel's grades: {_SCORE}")
    score: Score = ShapeField(
        description="Score that counts, from one grade of each criterion: the template's first choice, else the other "
        "grade; null before the step opens and without grades."
    )


class ProcessScore(BaseModel):
    """P of a region's year, with the scores of its steps and the criteria without a grade."""

    template: Key = ShapeField(description="Template with its edition.")
    score: ProcessPercent
    steps: list[StepScore]
    missing: Ungraded


CountedNumber = Annotated[
    float,
    PlainSerializer(lambda value: int(value) if value == int(value) else value),
    WithJsonSchema({"type": "number"}),
]
"""A count as a JSON number: rupiah and families stay whole."""


class GradedCriterion(BaseModel):
    """A criterion with the grades of machine and panel, and the inputs of the machine's."""

    code: Key
    name: str
    name_english: str
    weight: int
    measure: MeasureName | None
    thresholds: GradeThresholds | None
    value: float | None = ShapeField(
        description="The figure, two decimals; null with the reason in `no_figure`."
    )
    unit: Unit | None
    inputs: dict[str, CountedNumber] = ShapeField(description="Inputs of the figure, by name.")
    measured_at: str | None = ShapeField(
        description="Quarter of the coverage, survey of the indicator or date of the legal instrument, if the figure "
        "depends on one."
    )
    no_figure: NoFigure | None
    machine_grade: Grade | None
    panel: PanelGrade | None
    grade: Grade | None = ShapeField(description="Grade that counts.")


class AskedEvidence(StepEvidenceKind):
    """A kind of evidence that the step asks for, with the evidence so far."""

    count: int = ShapeField(description="Pieces of evidence of this kind.")
    first_date: dt.date | None = ShapeField(description="Date of the earliest piece.")
    loci: int | None = ShapeField(
        description="Villages among the priority locations of the plan, each with evidence of its own; null unless "
        "`per_village`."
    )
    loci_with_evidence: int | None = ShapeField(
        description="Those with evidence of this kind; null unless `per_village`."
    )


class StepStanding(StepScore):
    """The state of a region on a step."""

    number: int = ShapeField(description="Place among the steps, from 1.")
    name: str
    name_english: str
    weight: int
    opens_on: dt.date
    due_on: dt.date
    deadline: datetime = ShapeField(description="End of the last day, in the region's zone.")
    state: StepState
    done_on: dt.date | None = ShapeField(
        description="Date of the document that completed the required kinds, those per village for every priority "
        "location; null before that."
    )
    deadline_missed: bool = ShapeField(description="True if the last day passed before the step was done.")
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
            "loci": None,
            "loci_with_evidence": None,
        }
    ],
    "evidence": [
        {**_EVIDENCE, **{name: _PLACE[name] for name in ("key", "version", "updated_at")}},
    ],
}


class StepReply(StepStanding):
    """A step of a region's year with the rights of the caller."""

    region_code: RegionCode
    year: int
    template: Key
    allowed: list[Literal["write_evidence", "grade_steps"]]

    model_config = show_example(
        _STEP, region_code="63.02", year=2026, template="poverty-8.1", allowed=["write_evidence"]
    )


class StepsReply(BaseModel):
    """The steps of a region's year with the rights of the caller."""

    region_code: RegionCode
    region_name: str
    year: int
    timezone: Timezone
    template: Key
    grades_counted: GradesCounted
    score: ProcessPercent
    missing: Ungraded
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


class StepsQuery(BaseModel):
    """Region and year of an overview."""

    region: str = ShapeField(
        pattern=_HOME_PATTERN,
        max_length=5,
        description="Kemendagri code of a province, with its regencies, or of one regency.",
    )
    year: int = ShapeField(ge=2015, le=2100, description="Plan year.")


class StepOverview(StepScore):
    """A step in the overview of a province."""

    state: StepState
    deadline_missed: bool


class RegionSteps(BaseModel):
    """A region in the overview of a province."""

    region_code: RegionCode
    region_name: str
    level: RegionLevel
    template: Key
    score: Score
    deadlines_missed: int
    missing: list[str]
    steps: list[StepOverview]


class StepsOverview(BaseModel):
    """The state of a province and of each of its visible regencies on all steps."""

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
