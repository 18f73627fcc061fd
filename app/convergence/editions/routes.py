"""Editions of any kind, and the editions of a region's year, over HTTP."""

from fastapi import Response
from pydantic import BaseModel

from app.access.actor import Caller, RequestContext
from app.changes.history import History, answer_history
from app.changes.models import HistoryEntry
from app.convergence.editions import commands, queries
from app.convergence.editions.methods.models import (
    MethodIn,
    MethodKey,
    MethodOut,
    PackageKey,
    RegionEditionIn,
    RegionEditionReply,
    ServicePackageIn,
    ServicePackageOut,
    YearKey,
)
from app.convergence.editions.methods.queries import EDITIONS, METHOD, PACKAGE
from app.convergence.editions.models import RuleEditionFields
from app.convergence.editions.queries import AnyChoice, ChoiceKind, EditionKind
from app.convergence.editions.rules import CHAIN, parse_year
from app.convergence.editions.step_templates.models import (
    RegionTemplateIn,
    RegionTemplateReply,
    StepTemplateIn,
    StepTemplateOut,
    StepYearKey,
    TemplateKey,
)
from app.convergence.editions.step_templates.queries import TEMPLATE, TEMPLATES
from app.kit.http.pagination import Page, PageQuery
from app.kit.http.replies import answer_resource, declare_created
from app.kit.http.routing import FromQuery, make_router
from app.reference.models import RegionKey

router = make_router(tags=["reference"])
choices = make_router(tags=["convergence"])

_PACKAGE = "/service-packages/{edition}"
_METHOD = "/methods/{edition}"
_TEMPLATE = "/step-templates/{template}"
_REGION_EDITIONS = "/regions/{region}/editions/{year}"
_REGION_TEMPLATE = "/regions/{region}/step-templates/{year}"


def _read(call: RequestContext, kind: EditionKind, edition: str, *, is_new: bool = False) -> Response:
    text, version = queries.read_edition(call.session, kind, edition)
    status, address = 201 if is_new else 200, f"{kind.address}/{edition}"
    return answer_resource(call.request, text, version, address, status=status)


def _put(call: RequestContext, kind: EditionKind, edition: str, content: RuleEditionFields) -> Response:
    is_new = commands.put_edition(call.write, kind, edition, content)
    return _read(call, kind, edition, is_new=is_new)


def _list_history(call: RequestContext, kind: EditionKind, edition: str, query: History) -> Response:
    return answer_history(call, CHAIN, f"{kind.address}/{edition}", query)


def _read_choice(
    call: RequestContext, kind: ChoiceKind[AnyChoice], region: str, year: int, *, is_new: bool = False
) -> Response:
    choice = queries.read_choice(call.session, kind, call.actor, region, year)
    reply = kind.reply(
        **choice.content,
        region_code=region,
        year=year,
        version=choice.version,
        in_use=kind.is_settled(call.session, region, year),
        allowed=["edit"] if call.actor.may("choose_editions", region) else [],
    )
    status, address = 201 if is_new else 200, kind.resource.format_subject(region, year)
    return answer_resource(call.request, reply.model_dump_json(), choice.version, address, status=status)


def _put_choice(
    call: RequestContext, kind: ChoiceKind[AnyChoice], region: str, year: int, content: BaseModel
) -> Response:
    is_new = commands.put_choice(call.write, kind, region, year, content)
    return _read_choice(call, kind, region, year, is_new=is_new)


def _list_choice_history(
    call: RequestContext, kind: ChoiceKind[AnyChoice], region: str, year: str, query: History
) -> Response:
    return answer_history(call, f"{kind.chain}{region}", kind.resource.format_subject(region, year), query)


@router.get("/service-packages", response_model=Page[ServicePackageOut])
def list_service_packages(call: Caller, query: FromQuery[PageQuery]) -> Response:
    """List the editions of the service package: the services for eligible families, each with its strategy and unit.

    Every valid token may read them. The shipped edition is a proposal without official status.
    """
    return call.answer_list(queries.list_editions(PACKAGE), query, sort="edition")


@router.get(_PACKAGE, response_model=ServicePackageOut)
def read_service_package(call: Caller, edition: PackageKey) -> Response:
    """Return one edition of the service package; 404 if there is none."""
    return _read(call, PACKAGE, edition)


@router.put(_PACKAGE, response_model=ServicePackageOut, responses=declare_created(ServicePackageOut))
def put_service_package(call: Caller, edition: PackageKey, content: ServicePackageIn) -> Response:
    """Add or replace an edition of the service package, as the nation's administrator.

    409 if coverage of a region follows the edition; write the new rules as a new edition.
    """
    return _put(call, PACKAGE, edition, content)


@router.get(f"{_PACKAGE}/history", response_model=Page[HistoryEntry])
def list_service_package_history(call: Caller, edition: PackageKey, query: History) -> Response:
    """List the writes to an edition of the service package."""
    return _list_history(call, PACKAGE, edition, query)


@router.get("/methods", response_model=Page[MethodOut])
def list_methods(call: Caller, query: FromQuery[PageQuery]) -> Response:
    """List the editions of the method: weights, shares and thresholds of the convergence index.

    Every valid token may read them. The shipped edition is a proposal without official status.
    """
    return call.answer_list(queries.list_editions(METHOD), query, sort="edition")


@router.get(_METHOD, response_model=MethodOut)
def read_method(call: Caller, edition: MethodKey) -> Response:
    """Return one edition of the method; 404 if there is none."""
    return _read(call, METHOD, edition)


@router.put(_METHOD, response_model=MethodOut, responses=declare_created(MethodOut))
def put_method(call: Caller, edition: MethodKey, content: MethodIn) -> Response:
    """Add or replace an edition of the method, as the nation's administrator.

    409 if figures of a region follow the edition; write the new rules as a new edition.
    """
    return _put(call, METHOD, edition, content)


@router.get(f"{_METHOD}/history", response_model=Page[HistoryEntry])
def list_method_history(call: Caller, edition: MethodKey, query: History) -> Response:
    """List the writes to an edition of the method."""
    return _list_history(call, METHOD, edition, query)


@router.get("/step-templates", response_model=Page[StepTemplateOut])
def list_step_templates(call: Caller, query: FromQuery[PageQuery]) -> Response:
    """List the step templates: windows, evidence, criteria, weights and thresholds of the convergence steps of a year.

    Every valid token may read them. The shipped template is a proposal without official status.
    """
    return call.answer_list(queries.list_editions(TEMPLATE), query, sort="edition")


@router.get(_TEMPLATE, response_model=StepTemplateOut)
def read_step_template(call: Caller, template: TemplateKey) -> Response:
    """Return one step template; 404 if there is none."""
    return _read(call, TEMPLATE, template)


@router.put(_TEMPLATE, response_model=StepTemplateOut, responses=declare_created(StepTemplateOut))
def put_step_template(call: Caller, template: TemplateKey, content: StepTemplateIn) -> Response:
    """Add or replace a step template, as the nation's administrator.

    409 if a region's year follows the template; write the new steps as a new edition.
    """
    return _put(call, TEMPLATE, template, content)


@router.get(f"{_TEMPLATE}/history", response_model=Page[HistoryEntry])
def list_step_template_history(call: Caller, template: TemplateKey, query: History) -> Response:
    """List the writes to a step template."""
    return _list_history(call, TEMPLATE, template, query)


@choices.get(_REGION_EDITIONS, response_model=RegionEditionReply, openapi_extra={"x-problems": [409]})
def read_region_editions(call: Caller, region: RegionKey, year: YearKey) -> Response:
    """Return the editions of the service package and the method for a region's year.

    A choice or the year's first coverage fixes them; before that they are the newest for the year, and `version` is
    null.
    """
    return _read_choice(call, EDITIONS, region, parse_year(year))


@choices.put(
    _REGION_EDITIONS, response_model=RegionEditionReply, responses=declare_created(RegionEditionReply)
)
def put_region_editions(call: Caller, region: RegionKey, year: YearKey, content: RegionEditionIn) -> Response:
    """Choose the editions of a region's year, as an administrator; 409 if the year has coverage by other editions."""
    return _put_choice(call, EDITIONS, region, parse_year(year), content)


@choices.get(f"{_REGION_EDITIONS}/history", response_model=Page[HistoryEntry])
def list_region_edition_history(call: Caller, region: RegionKey, year: YearKey, query: History) -> Response:
    """List the writes to the choice of editions of a region's year, with the write that fixed it."""
    return _list_choice_history(call, EDITIONS, region, year, query)


@choices.get(_REGION_TEMPLATE, response_model=RegionTemplateReply, openapi_extra={"x-problems": [409]})
def read_region_step_template(call: Caller, region: RegionKey, year: StepYearKey) -> Response:
    """Return the step template of a region's year.

    A choice or the year's first evidence or grade fixes it; before that it is the newest for the year, and `version`
    is null.
    """
    return _read_choice(call, TEMPLATES, region, parse_year(year))


@choices.put(
    _REGION_TEMPLATE, response_model=RegionTemplateReply, responses=declare_created(RegionTemplateReply)
)
def put_region_step_template(
    call: Caller, region: RegionKey, year: StepYearKey, content: RegionTemplateIn
) -> Response:
    """Choose the step template of a region's year, as an administrator; 409 if it has evidence or grades by another."""
    return _put_choice(call, TEMPLATES, region, parse_year(year), content)


@choices.get(f"{_REGION_TEMPLATE}/history", response_model=Page[HistoryEntry])
def list_region_step_template_history(
    call: Caller, region: RegionKey, year: StepYearKey, query: History
) -> Response:
    """List the writes to the choice of a step template for a region's year, with the write that fixed it."""
    return _list_choice_history(call, TEMPLATES, region, year, query)
