"""Convergence steps over HTTP."""

from typing import Annotated, NamedTuple

from fastapi import Depends, Response

from app.access.actor import Caller, RequestContext
from app.changes.history import History, answer_history
from app.changes.models import HistoryEntry
from app.convergence.editions.rules import parse_year
from app.convergence.editions.step_templates.models import StepYearKey
from app.convergence.editions.step_templates.rules import STEPS_CHAIN
from app.convergence.steps import commands, queries
from app.convergence.steps.models import (
    CriterionKey,
    EvidenceIn,
    EvidenceKey,
    EvidenceReply,
    PanelGradeIn,
    PanelGradeReply,
    StepKey,
    StepReply,
    StepsOverview,
    StepsQuery,
    StepsReply,
)
from app.convergence.steps.queries import EVIDENCE, GRADE, PartKey, StepPart
from app.kit.http.pagination import Page
from app.kit.http.replies import answer, answer_no_content, answer_resource, declare_created
from app.kit.http.routing import FromQuery, make_router
from app.reference.models import RegionKey

router = make_router(tags=["convergence"])

_YEAR = "/regions/{region}/steps/{year}"
_EVIDENCE = f"{_YEAR}/{{step}}/evidence/{{evidence}}"
_GRADE = f"{_YEAR}/{{step}}/criteria/{{criterion}}/grade"


@router.get("/steps", response_model=StepsOverview, openapi_extra={"x-problems": [404, 409]})
def read_steps_overview(call: Caller, query: FromQuery[StepsQuery]) -> Response:
    """Who stands where: a province and each of its regencies that the caller sees, with the machine's and the
    panel's score of each step, the state it is in, P, and how many deadlines were missed.

    Computed from the data as it is; a day that passes changes it as well. 404 where the caller sees none of them.
    """
    overview = queries.read_steps_overview(call.session, call.actor, query, call.now)
    return answer(call.request, overview.model_dump_json().encode())


@router.get(_YEAR, response_model=StepsReply, openapi_extra={"x-problems": [409]})
def read_region_steps(call: Caller, region: RegionKey, year: StepYearKey) -> Response:
    """All convergence steps of a province's or regency's year: window and deadline in the region's zone, state,
    evidence, and of each criterion the figure with its inputs, the machine's grade, the panel's, and which counts.

    A figure for which there is no data is null and says why by `no_figure`; its criterion is left out of the scores
    and named in `missing`. A plan that the caller does not see counts as none.
    """
    steps = queries.read_region_steps(call.session, call.actor, region, parse_year(year), call.now)
    return answer(call.request, steps.model_dump_json().encode())


@router.get(f"{_YEAR}/{{step}}", response_model=StepReply, openapi_extra={"x-problems": [409]})
def read_region_step(call: Caller, region: RegionKey, year: StepYearKey, step: StepKey) -> Response:
    """One step of a region's year; 404 where its template has none of that code."""
    reply = queries.read_region_step(call.session, call.actor, region, parse_year(year), step, call.now)
    return answer(call.request, reply.model_dump_json().encode())


# Evidence, and grades of the panel


class PartPath(NamedTuple):
    """The path parameters of evidence or a grade."""

    region: str
    year: str
    step: str
    code: str

    @property
    def key(self) -> PartKey:
        """Return the key of the row. Raises NotFound if the year is invalid."""
        return self.region, parse_year(self.year), self.step, self.code


async def parse_evidence_path(
    region: RegionKey, year: StepYearKey, step: StepKey, evidence: EvidenceKey
) -> PartPath:
    return PartPath(region, year, step, evidence)


async def parse_grade_path(
    region: RegionKey, year: StepYearKey, step: StepKey, criterion: CriterionKey
) -> PartPath:
    return PartPath(region, year, step, criterion)


EvidenceAt = Annotated[PartPath, Depends(parse_evidence_path)]
GradeAt = Annotated[PartPath, Depends(parse_grade_path)]


@router.get(_EVIDENCE, response_model=EvidenceReply)
def read_step_evidence(call: Caller, at: EvidenceAt) -> Response:
    """One piece of evidence."""
    return _read(call, EVIDENCE, at.key)


@router.put(_EVIDENCE, response_model=EvidenceReply, responses=declare_created(EvidenceReply))
def put_step_evidence(call: Caller, at: EvidenceAt, content: EvidenceIn) -> Response:
    """Show a document for a step: its kind, number, date, and where it can be read; for the region's secretariat.

    Documents only, no personal data. A kind that is given per village names the village. The date is that of the
    document: the step is done on the latest day by which each required kind had its first.
    """
    return _put(call, EVIDENCE, at.key, content)


@router.delete(_EVIDENCE, status_code=204)
def delete_step_evidence(call: Caller, at: EvidenceAt) -> Response:
    """Take back a piece of evidence; 404 where there is none."""
    commands.delete_evidence(call.write, at.key)
    return answer_no_content()


@router.get(f"{_EVIDENCE}/history", response_model=Page[HistoryEntry])
def list_step_evidence_history(call: Caller, at: EvidenceAt, query: History) -> Response:
    """Every write to a piece of evidence. Stays after it was taken back."""
    return _list_history(call, EVIDENCE, at.key, query)


@router.get(_GRADE, response_model=PanelGradeReply)
def read_step_grade(call: Caller, at: GradeAt) -> Response:
    """The panel's grade of a criterion; 404 where none was given."""
    return _read(call, GRADE, at.key)


@router.put(_GRADE, response_model=PanelGradeReply, responses=declare_created(PanelGradeReply))
def put_step_grade(call: Caller, at: GradeAt, content: PanelGradeIn) -> Response:
    """Grade a criterion, with the reason: the panel of the region above. The machine's grade stays beside it.

    409 while the step is not open.
    """
    return _put(call, GRADE, at.key, content)


@router.delete(_GRADE, status_code=204)
def delete_step_grade(call: Caller, at: GradeAt) -> Response:
    """Take back a grade that was given by mistake; 404 where none was given."""
    commands.delete_grade(call.write, at.key)
    return answer_no_content()


@router.get(f"{_GRADE}/history", response_model=Page[HistoryEntry])
def list_step_grade_history(call: Caller, at: GradeAt, query: History) -> Response:
    """Every write to the panel's grade of a criterion. Stays after it was taken back."""
    return _list_history(call, GRADE, at.key, query)


def _read(call: RequestContext, part: StepPart, key: PartKey, *, status: int = 200) -> Response:
    text, version = queries.read_part(call.session, call.actor, part, key)
    allowed = ["edit", "delete"] if call.actor.may(part.right, key[0]) else []
    address = part.resource.format_subject(*key)
    return answer_resource(call.request, text, version, address, status=status, allowed=allowed)


def _put(call: RequestContext, part: StepPart, key: PartKey, content: EvidenceIn | PanelGradeIn) -> Response:
    is_new = commands.put_part(call.write, part, key, content)
    return _read(call, part, key, status=201 if is_new else 200)


def _list_history(call: RequestContext, part: StepPart, key: PartKey, query: History) -> Response:
    return answer_history(call, f"{STEPS_CHAIN}{key[0]}", part.resource.format_subject(*key), query)
