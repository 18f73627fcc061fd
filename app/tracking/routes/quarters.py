"""Routes of quarters, parts and extensions."""

from fastapi import Response

from app.access.actor import Caller, RequestContext
from app.agencies.models import AgencyKey
from app.changes.history import History, answer_history
from app.changes.models import HistoryEntry
from app.kit.database.json_sql import dump_json
from app.kit.http.pagination import Page
from app.kit.http.replies import answer, answer_no_content, answer_resource, append_fields, declare_created
from app.kit.http.routing import FromQuery, make_router
from app.plans.core.rules import format_plan_chain
from app.reference.models import RegionKey
from app.tracking.quarters import commands, queries
from app.tracking.quarters.commands import QuarterMove
from app.tracking.quarters.models import (
    ExtensionIn,
    ExtensionKey,
    ExtensionOut,
    PartReply,
    PartSubmitIn,
    PartVerb,
    QuarterCorrectIn,
    QuarterOut,
    QuarterPeriod,
    QuarterReply,
    QuarterReturnIn,
    QuarterSubmitIn,
    QuarterVerb,
    SemesterPeriod,
    SemesterReply,
)
from app.tracking.quarters.queries import ExtensionsQuery, QuartersQuery, RegionQuartersQuery
from app.tracking.quarters.rules import PART_STEPS, QUARTER_STEPS, QuarterFacts, list_possible_verbs

router = make_router(tags=["tracking"])

_CONDITIONAL = {"x-conditional": True}
_QUARTER = "/regions/{region}/quarters/{period}"


@router.get("/quarters", response_model=Page[QuarterOut])
def list_quarters(call: Caller, query: FromQuery[QuartersQuery]) -> Response:
    """List the quarters of all visible plans: state, deadline and number of reports.

    `state=open` with a `period` lists the regions that have yet to submit.
    """
    listing = queries.list_quarters(call.actor, query, call.now)
    return call.answer_list(listing, query, sort=query.sort)


@router.get("/regions/{region}/quarters", response_model=Page[QuarterOut])
def list_region_quarters(call: Caller, region: RegionKey, query: FromQuery[RegionQuartersQuery]) -> Response:
    """List the quarters of a region's plans, the latest first. 404 for a region without a plan."""
    listing = queries.list_region_quarters(call.session, call.actor, region, query, call.now)
    return call.answer_list(listing, query, sort=query.sort)


@router.get(_QUARTER, response_model=QuarterReply)
def read_quarter(call: Caller, region: RegionKey, period: QuarterPeriod) -> Response:
    """Return a quarter: state, days, extensions, parts of its agencies and the notes of the last return.

    `allowed` lists the steps that the caller may take now. Version 0: before the first step.
    """
    return _answer_quarter(call, region, period)


@router.get("/regions/{region}/semesters/{semester}", response_model=SemesterReply)
def read_semester(call: Caller, region: RegionKey, semester: SemesterPeriod) -> Response:
    """Return a half-year with the state and the snapshot of its last quarter, since every figure is cumulative."""
    text = queries.read_semester(call.session, call.actor, region, semester, call.now)
    return answer(call.request, text.encode())


@router.post(f"{_QUARTER}/submit", response_model=QuarterReply, openapi_extra=_CONDITIONAL)
def submit_quarter(
    call: Caller, region: RegionKey, period: QuarterPeriod, submission: QuarterSubmitIn
) -> Response:
    """Submit the quarter to the region's reviewer, for the secretariat, which closes its reports.

    409 with `errors` for every line without a report (`accept_missing` with a reason submits without them), every
    report with an error (E06, E07, E08) and every priority location without coverage (`accept_without_coverage`). From
    then on the figures compare with one revision of the plan. After the deadline the service marks it late, until the
    calendar closes the quarter.
    """
    return _move(call, region, period, QuarterMove("submit", submission=submission))


@router.post(f"{_QUARTER}/return", response_model=QuarterReply, openapi_extra=_CONDITIONAL)
def return_quarter(
    call: Caller, region: RegionKey, period: QuarterPeriod, content: QuarterReturnIn
) -> Response:
    """Return the quarter to the region with notes, for its reviewer; the region can report and submit again."""
    return _move(call, region, period, QuarterMove("return", text=content.notes))


@router.post(f"{_QUARTER}/verify", response_model=QuarterReply, openapi_extra=_CONDITIONAL)
def verify_quarter(call: Caller, region: RegionKey, period: QuarterPeriod) -> Response:
    """Verify a submitted quarter, for a reviewer of a region above; reviewers of the region itself cannot."""
    return _move(call, region, period, QuarterMove("verify"))


@router.post(f"{_QUARTER}/freeze", response_model=QuarterReply, openapi_extra=_CONDITIONAL)
def freeze_quarter(call: Caller, region: RegionKey, period: QuarterPeriod) -> Response:
    """Freeze the verified quarter as an immutable snapshot at `/v1/snapshots/{period}/{region}`, or a correction as
    its next amendment.

    Of several calls at once, one freezes the quarter; the others get 409 or 412.
    """
    return _move(call, region, period, QuarterMove("freeze"))


@router.post(f"{_QUARTER}/correct", response_model=QuarterReply, openapi_extra=_CONDITIONAL)
def correct_quarter(
    call: Caller, region: RegionKey, period: QuarterPeriod, content: QuarterCorrectIn
) -> Response:
    """Open a frozen quarter for a correction, with a reason. `revision` moves its figures to that revision of the plan.

    The snapshot stays in force until the region submits the correction and its reviewer verifies and freezes it, as
    an amendment with the reason.
    """
    move: QuarterMove[QuarterVerb] = QuarterMove("correct", text=content.reason, revision=content.revision)
    return _move(call, region, period, move)


@router.get(f"{_QUARTER}/history", response_model=Page[HistoryEntry])
def list_quarter_history(call: Caller, region: RegionKey, period: QuarterPeriod, query: History) -> Response:
    """List every step of a quarter, of its parts and of its extensions, with actor, time and notes. 404 before the
    first one."""
    plan = f"{region}-{period[:4]}"
    return answer_history(call, format_plan_chain(plan), f"regions/{region}/quarters/{period}", query)


@router.get(f"{_QUARTER}/agencies/{{agency}}", response_model=PartReply)
def read_quarter_part(call: Caller, region: RegionKey, period: QuarterPeriod, agency: AgencyKey) -> Response:
    """Return the part of an agency: the lines that it leads. 404 if it leads none."""
    return _answer_part(call, region, period, agency)


@router.post(f"{_QUARTER}/agencies/{{agency}}/submit", response_model=PartReply, openapi_extra=_CONDITIONAL)
def submit_quarter_part(
    call: Caller, region: RegionKey, period: QuarterPeriod, agency: AgencyKey, submission: PartSubmitIn
) -> Response:
    """Submit an agency's part to the secretariat, on the conditions of the whole quarter.

    From then on only the secretariat writes reports on its lines, until it returns the part or submits the quarter.
    """
    return _move_part(call, region, period, agency, QuarterMove("submit", submission=submission))


@router.post(f"{_QUARTER}/agencies/{{agency}}/return", response_model=PartReply, openapi_extra=_CONDITIONAL)
def return_quarter_part(
    call: Caller, region: RegionKey, period: QuarterPeriod, agency: AgencyKey, content: QuarterReturnIn
) -> Response:
    """Return a part to its agency with notes, for the secretariat. 409 after the submission of the quarter."""
    return _move_part(call, region, period, agency, QuarterMove("return", text=content.notes))


@router.get(f"{_QUARTER}/extensions", response_model=Page[ExtensionOut])
def list_quarter_extensions(
    call: Caller, region: RegionKey, period: QuarterPeriod, query: FromQuery[ExtensionsQuery]
) -> Response:
    """List the extensions of a quarter, for the region and for single agencies."""
    plan = queries.read_plan_of_quarter(call.session, call.actor, region, period)
    listing = queries.list_extensions(plan, period)
    return call.answer_list(listing, query, sort=query.sort)


@router.get(f"{_QUARTER}/extensions/{{extension}}", response_model=ExtensionOut)
def read_quarter_extension(
    call: Caller, region: RegionKey, period: QuarterPeriod, extension: ExtensionKey
) -> Response:
    """Return an extension with its agency, last day, reason and source."""
    return _answer_extension(call, region, period, extension)


@router.put(
    f"{_QUARTER}/extensions/{{extension}}",
    response_model=ExtensionOut,
    responses=declare_created(ExtensionOut),
)
def put_quarter_extension(
    call: Caller, region: RegionKey, period: QuarterPeriod, extension: ExtensionKey, content: ExtensionIn
) -> Response:
    """Grant more time under a name, to the region or to one agency, with a reason; it ends by itself after `until`.

    For reviewers and administrators above the region. Earlier submissions keep their lateness.
    """
    is_new = commands.put_extension(call.write, region, period, extension, content)
    return _answer_extension(call, region, period, extension, status=201 if is_new else 200)


@router.delete(f"{_QUARTER}/extensions/{{extension}}", status_code=204)
def delete_quarter_extension(
    call: Caller, region: RegionKey, period: QuarterPeriod, extension: ExtensionKey
) -> Response:
    """Delete an extension; the days of the calendar apply again."""
    commands.delete_extension(call.write, region, period, extension)
    return answer_no_content()


def _move(call: RequestContext, region: str, period: str, move: QuarterMove[QuarterVerb]) -> Response:
    commands.move_quarter(call.write, region, period, move)
    return _answer_quarter(call, region, period)


def _move_part(
    call: RequestContext, region: str, period: str, agency: str, move: QuarterMove[PartVerb]
) -> Response:
    commands.move_part(call.write, region, period, agency, move)
    return _answer_part(call, region, period, agency)


def _answer_quarter(call: RequestContext, region: str, period: str) -> Response:
    plan = queries.read_plan_of_quarter(call.session, call.actor, region, period)
    quarter = queries.read_quarter(call.session, plan, period, call.now)
    status = quarter.status
    facts = QuarterFacts(status, lines=quarter.lines)
    allowed = list_possible_verbs(QUARTER_STEPS, status.state, facts, call.actor)
    uncovered = queries.list_uncovered(call.session, plan, status)
    body = append_fields(quarter.json, loci_without_coverage=uncovered, allowed=allowed)
    return answer(call.request, body, version=status.version)


def _answer_part(call: RequestContext, region: str, period: str, agency: str) -> Response:
    plan = queries.read_plan_of_quarter(call.session, call.actor, region, period)
    quarter = queries.read_quarter(call.session, plan, period, call.now)
    part = queries.find_part(quarter, agency)
    facts = QuarterFacts(quarter.status, agency, part["merged_into"], lines=part["expected"])
    allowed = list_possible_verbs(PART_STEPS, part["state"], facts, call.actor)
    body = dump_json({**part, "region_code": region, "period": period, "allowed": allowed})
    return answer(call.request, body.encode(), version=part["version"])


def _answer_extension(
    call: RequestContext, region: str, period: str, name: str, *, status: int = 200
) -> Response:
    plan = queries.read_plan_of_quarter(call.session, call.actor, region, period)
    text, version = queries.read_extension(call.session, plan, period, name)
    address = queries.EXTENSION.format_subject(region, period, name)
    return answer_resource(call.request, text, version, address, status=status)
