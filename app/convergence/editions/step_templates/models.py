"""Templates of convergence steps (domain, section 6): data with an edition and a legal basis."""

from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, NamedTuple

import sqlalchemy as sa
from pydantic import BaseModel, model_validator
from pydantic import Field as ShapeField
from sqlmodel import Field

from app.convergence.editions.models import ChoiceState, EditionState, EditionTable, RuleEditionFields
from app.convergence.editions.step_templates.rules import MEASURES, MeasureName
from app.kit.database.engine import Table
from app.kit.fields import Figure, Key, Line, Shape, describe_key, show_example
from app.kit.http.validation import RuleBroken, duplicate_key, refuse_repeated
from app.kit.problems import Kind, require_found

thresholds_out_of_order = Kind(
    "thresholds_out_of_order",
    id="ambang “{value}” tidak berurutan; urutan yang benar: {allowed}",
    en="the thresholds “{value}” are out of order; the right order is {allowed}",
)
thresholds_of_measure = Kind(
    "thresholds_of_measure",
    id="isi ukuran beserta ambangnya, atau kosongkan keduanya bila panel yang menilai",
    en="give both the measure and its thresholds, or neither if the panel grades the criterion",
)
nothing_per_village = Kind(
    "nothing_per_village",
    id="ukuran “{value}” memerlukan jenis bukti per desa pada langkah ini",
    en="the measure “{value}” needs evidence by village in this step",
)
nothing_required = Kind(
    "nothing_required",
    id="wajibkan sedikitnya satu jenis bukti, agar langkah dapat selesai",
    en="require at least one kind of evidence, so that the step can be done",
)
due_before_opening = Kind(
    "due_before_opening",
    id="bulan terakhir “{value}” mendahului bulan pertama ({allowed})",
    en="the last month “{value}” precedes the first month ({allowed})",
)

TemplateKey = Annotated[str, describe_key("Template and its edition.", "poverty-8.2")]
StepYearKey = Annotated[str, describe_key("Plan year that the steps are for.", "2026")]


class GradesCounted(StrEnum):
    """Order of the grades of a criterion: the first that exists counts."""

    panel_first = "panel_first"
    machine_first = "machine_first"


_Weight = Annotated[int, ShapeField(ge=1, le=100)]
_Offset = Annotated[int, ShapeField(ge=-24, le=24)]


class GradeThresholds(Shape):
    """Threshold of each grade, in the unit of the measure; beyond `d` the grade is `none`."""

    a: Figure
    b: Figure
    c: Figure
    d: Figure


class StepCriterion(Shape):
    """A criterion that gives a step its grade."""

    code: Key = ShapeField(description="Unique in the template.")
    name: Line
    name_english: Line
    weight: _Weight = ShapeField(default=1, description="Relative to the other criteria of the step.")
    measure: MeasureName | None = ShapeField(
        default=None,
        description="Figure that the service computes; null if only the panel grades the criterion.",
    )
    thresholds: GradeThresholds | None = None

    @model_validator(mode="after")
    def _check_consistency(self) -> "StepCriterion":
        if (self.measure is None) != (self.thresholds is None):
            raise RuleBroken(thresholds_of_measure, at="/thresholds")
        if self.measure is not None and self.thresholds is not None:
            values = list(self.thresholds.model_dump().values())
            less = MEASURES[self.measure].less_is_better
            if any(later < before if less else later > before for before, later in pairwise(values)):
                allowed = "a ≤ b ≤ c ≤ d" if less else "a ≥ b ≥ c ≥ d"
                raise RuleBroken(
                    thresholds_out_of_order, at="/thresholds", value=str(values), allowed=allowed
                )
        return self


class StepEvidenceKind(Shape):
    """A kind of evidence that a step asks for."""

    code: Key
    name: Line
    name_english: Line
    required: bool = ShapeField(
        default=True, description="True if the step is not done without evidence of this kind."
    )
    per_village: bool = ShapeField(default=False, description="True if each priority location needs its own.")


class TemplateStep(Shape):
    """A step with its window, its kinds of evidence and its criteria."""

    code: Key
    name: Line
    name_english: Line
    weight: _Weight = ShapeField(default=1, description="Relative to the other steps.")
    opens_month: _Offset = ShapeField(
        description="First month of its window, counted from 0 for January of the plan year; -12 is January of the "
        "year before."
    )
    due_month: _Offset = ShapeField(
        description="Last month of its window, which ends with that month; counted likewise."
    )
    evidence_kinds: list[StepEvidenceKind] = ShapeField(min_length=1, max_length=20)
    criteria: list[StepCriterion] = ShapeField(min_length=1, max_length=20)

    @model_validator(mode="after")
    def _check_consistency(self) -> "TemplateStep":
        if self.due_month < self.opens_month:
            raise RuleBroken(
                due_before_opening, at="/due_month", value=self.due_month, allowed=self.opens_month
            )
        refuse_repeated((kind.code for kind in self.evidence_kinds), at="/evidence_kinds")
        if not any(kind.required for kind in self.evidence_kinds):
            raise RuleBroken(nothing_required, at="/evidence_kinds")
        has_villages = any(kind.per_village for kind in self.evidence_kinds)
        for n, criterion in enumerate(self.criteria):
            if criterion.measure is MeasureName.loci_with_evidence and not has_villages:
                raise RuleBroken(
                    nothing_per_village, at=f"/criteria/{n}/measure", value=criterion.measure.value
                )
        return self


class StepTemplateFields(RuleEditionFields):
    grades_counted: GradesCounted = ShapeField(
        default=GradesCounted.panel_first, description="Grade that counts if both machine and panel gave one."
    )


_TEMPLATE = {
    "name": "Delapan aksi konvergensi penanggulangan kemiskinan",
    "first_year": 2099,
    "steps": [
        {
            "code": "regulation",
            "name": "Regulasi daerah",
            "name_english": "Regulation",
            "weight": 1,
            "opens_month": -12,
            "due_month": -1,
            "evidence_kinds": [
                {
                    "code": "team_decree",
                    "name": "Keputusan pembentukan TKPK",
                    "name_english": "Decree of the team",
                    "required": True,
                    "per_village": False,
                }
            ],
            "criteria": [
                {
                    "code": "adopted_before_year",
                    "name": "RAT ditetapkan sebelum tahun rencana",
                    "name_english": "Plan adopted before its year",
                    "weight": 60,
                    "measure": "days_before_year",
                    "thresholds": {"a": 1, "b": -30, "c": -90, "d": -180},
                },
                {
                    "code": "quality_of_decree",
                    "name": "Mutu regulasi",
                    "name_english": "Quality of the regulation",
                    "weight": 40,
                    "measure": None,
                    "thresholds": None,
                },
            ],
        }
    ],
}


class StepTemplateIn(StepTemplateFields, Shape):
    """A step template in a request."""

    steps: list[TemplateStep] = ShapeField(min_length=1, max_length=20)

    model_config = show_example(_TEMPLATE)

    @model_validator(mode="after")
    def _refuse_repeated_codes(self) -> "StepTemplateIn":
        refuse_repeated((step.code for step in self.steps), at="/steps")
        seen: set[str] = set()
        for n, step in enumerate(self.steps):
            for m, criterion in enumerate(step.criteria):
                if criterion.code in seen:
                    at = f"/steps/{n}/criteria/{m}/code"
                    raise RuleBroken(duplicate_key, at=at, value=criterion.code)
                seen.add(criterion.code)
        return self


class StepTemplateOut(StepTemplateIn, EditionState):
    """A step template in a reply."""

    edition: str = ShapeField(description="Template and its edition.")

    model_config = show_example(
        _TEMPLATE, edition="poverty-8.2", version=1, in_use=False, updated_at="2026-01-05T02:00:00+00:00"
    )


class StepTemplateRow(EditionTable, StepTemplateFields, table=True):
    __tablename__ = "step_template"

    grades_counted: GradesCounted
    steps: list[dict[str, object]] = Field(sa_type=sa.JSON)


class Template(NamedTuple):
    """The parts of a template that the assessment of steps needs."""

    edition: str
    grades_counted: GradesCounted
    steps: tuple[TemplateStep, ...]

    def step(self, code: str) -> TemplateStep:
        """Return the step of a code. Raises NotFound if there is none."""
        return require_found(next((step for step in self.steps if step.code == code), None))


class RegionTemplateFields(BaseModel):
    template: Key
    legal_basis: Line | None = ShapeField(default=None, description="Legal basis of the choice.")


_CHOICE = {"template": "poverty-8.1", "legal_basis": "Keputusan Gubernur"}


class RegionTemplateIn(RegionTemplateFields, Shape):
    """The choice of a step template for a region's year."""

    model_config = show_example(_CHOICE)


class RegionTemplateReply(ChoiceState, RegionTemplateFields):
    """The step template of a region's year, chosen or by default."""

    model_config = show_example(
        _CHOICE, region_code="63.02", year=2026, version=1, in_use=True, allowed=["edit"]
    )


class RegionTemplateRow(RegionTemplateFields, Table, table=True):
    __tablename__ = "region_step_template"
    __table_args__ = (sa.Index(None, "template"),)

    region_code: str = Field(primary_key=True, max_length=13, foreign_key="region.code")
    year: int = Field(primary_key=True)
    template: str = Field(max_length=40, foreign_key="step_template.edition")
    legal_basis: str | None = Field(default=None, max_length=500)
    version: int
    updated_at: datetime
