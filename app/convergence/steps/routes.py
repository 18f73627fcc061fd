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
    """Return the steps of a province and its visible regencies: scores, states, P and missed deadlines.

    The service computes the reply from present data; it depends on today's date. 404 if the caller sees none of the
    regions.
    """
    overview = queries.read_steps_overview(call.session, call.actor, query, call.now)
    return answer(call.request, overview.model_dump_json().encode())


@router.get(_YEAR, response_model=StepsReply, openapi_extra={"x-problems": [409]})
def read_region_steps(call: Caller, region: RegionKey, year: StepYearKey) -> Response:
    """Return the convergence steps of a province's or a regency's year.

    A step has its window and deadline in the region's zone, its state and its evidence; each criterion has the figure
    with its inputs, the machine's grade, the panel's grade, and the one that counts. A figure without data is null with
    a reason in `no_figure`; the scores skip its criterion, and `missing` lists it. An invisible plan counts as missing.
    """
    steps = queries.read_region_steps(call.session, call.actor, region, parse_year(year), call.now)
    return answer(call.request, steps.model_dump_json().encode())


@router.get(f"{_YEAR}/{{step}}", response_model=StepReply, openapi_extra={"x-problems": [409]})
def read_region_step(call: Caller, region: RegionKey, year: StepYearKey, step: StepKey) -> Response:
    """Return a step of a region's year; 404 if its template has no such step."""
    reply = queries.read_region_step(call.session, call.actor, region, parse_year(year), step, call.now)
    return answer(call.request, reply.model_dump_json().encode())


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
    """Return a piece of evidence."""
    return _read(call, EVIDENCE, at.key)


@router.put(_EVIDENCE, response_model=EvidenceReply, responses=declare_created(EvidenceReply))
def put_step_evidence(call: Caller, at: EvidenceAt, content: EvidenceIn) -> Response:
    """Write a piece of evidence for a step, as the region's secretariat: a document with kind, date, number or link.

    It holds no personal data. A kind by village needs the village. A step is done on the date of the document that
    completes its required kinds.
    """
    return _put(call, EVIDENCE, at.key, content)


@router.delete(_EVIDENCE, status_code=204)
def delete_step_evidence(call: Caller, at: EvidenceAt) -> Response:
    """Delete a piece of evidence; 404 if there is none."""
    commands.delete_evidence(call.write, at.key)
    return answer_no_content()


@router.get(f"{_EVIDENCE}/history", response_model=Page[HistoryEntry])
def list_step_evidence_history(call: Caller, at: EvidenceAt, query: History) -> Response:
    """List the writes to a piece of evidence, also after its deletion."""
    return _list_history(call, EVIDENCE, at.key, query)


@router.get(_GRADE, response_model=PanelGradeReply)
def read_step_grade(call: Caller, at: GradeAt) -> Response:
    """Return the panel's grade of a criterion; 404 if there is none."""
    return _read(call, GRADE, at.key)


@router.put(_GRADE, response_model=PanelGradeReply, responses=declare_created(PanelGradeReply))
def put_step_grade(call: Caller, at: GradeAt, content: PanelGradeIn) -> Response:
    """Grade a criterion with a reason, as the panel of the region above. The machine's grade remains.

    409 before the step opens.
    """
    return _put(call, GRADE, at.key, content)


@router.delete(_GRADE, status_code=204)
def delete_step_grade(call: Caller, at: GradeAt) -> Response:
    """Delete the panel's grade of a criterion; 404 if there is none."""
    commands.delete_grade(call.write, at.key)
    return answer_no_content()


@router.get(f"{_GRADE}/history", response_model=Page[HistoryEntry])
def list_step_grade_history(call: Caller, at: GradeAt, query: History) -> Response:
    """List the writes to the panel's grade of a criterion, also after its deletion."""
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
