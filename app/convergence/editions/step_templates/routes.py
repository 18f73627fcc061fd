"""Templates of convergence steps over HTTP."""

from typing import Annotated

from fastapi import Query, Response

from app.access.actor import Call, Caller
from app.changes.history import history_page
from app.changes.models import HistoryEntry, HistoryQuery
from app.convergence.editions.methods.commands import CHAIN
from app.convergence.editions.methods.queries import list_editions
from app.convergence.editions.methods.replies import answer_edition
from app.convergence.editions.methods.rules import year_in
from app.convergence.editions.step_templates import commands, queries
from app.convergence.editions.step_templates.commands import STEPS_CHAIN
from app.convergence.editions.step_templates.models import (
    RegionTemplateIn,
    RegionTemplateReply,
    StepTemplateIn,
    StepTemplateOut,
    StepYearKey,
    TemplateKey,
)
from app.convergence.editions.step_templates.queries import TEMPLATE
from app.kit.http.pagination import Page, PageQuery
from app.kit.http.routing import answer, created, house_router
from app.reference.models import RegionKey
from app.reference.replies import page_of

router = house_router(tags=["reference"])
choices = house_router(tags=["convergence"])


@router.get("/step-templates", response_model=Page[StepTemplateOut])
def list_step_templates(call: Caller, query: Annotated[PageQuery, Query()]) -> Response:
    """The convergence steps of a year by template and edition: windows, evidence, criteria, weights, thresholds.

    Open to every valid token. The template that the service brings is a proposal without official status.
    """
    return page_of(call, list_editions(TEMPLATE), query, sort="edition")


@router.get("/step-templates/{template}", response_model=StepTemplateOut)
def read_step_template(call: Caller, template: TemplateKey) -> Response:
    """One template; 404 where there is none."""
    return answer_edition(call, TEMPLATE, template)


@router.put("/step-templates/{template}", response_model=StepTemplateOut, responses=created(StepTemplateOut))
def put_step_template(call: Caller, template: TemplateKey, content: StepTemplateIn) -> Response:
    """Add a template, or replace one that no region's year follows yet: the nation's administrator alone.

    409 where one follows it; give the new steps an edition of their own.
    """
    is_new = commands.put_template(
        call.session, call.author, call.actor, template, content, call.check_version
    )
    return answer_edition(call, TEMPLATE, template, is_new=is_new)


@router.get("/step-templates/{template}/history", response_model=Page[HistoryEntry])
def list_step_template_history(
    call: Caller, template: TemplateKey, query: Annotated[HistoryQuery, Query()]
) -> Response:
    """Every write to a template."""
    return history_page(call, CHAIN, f"step-templates/{template}", query)


@choices.get(
    "/regions/{region}/step-templates/{year}",
    response_model=RegionTemplateReply,
    openapi_extra={"x-problems": [409]},
)
def read_region_step_template(call: Caller, region: RegionKey, year: StepYearKey) -> Response:
    """The template that a region's year follows.

    The one that was chosen, or by which its first evidence or grade was written; before that the newest for the
    year, `version` null.
    """
    return _reply(call, region, year_in(year))


@choices.put(
    "/regions/{region}/step-templates/{year}",
    response_model=RegionTemplateReply,
    responses=created(RegionTemplateReply),
)
def put_region_step_template(
    call: Caller, region: RegionKey, year: StepYearKey, content: RegionTemplateIn
) -> Response:
    """Choose the template of a region's year: an administrator, before evidence or grades are there (409 after)."""
    number = year_in(year)
    is_new = commands.put_region_template(
        call.session, call.author, call.actor, region, number, content, call.check_version
    )
    return _reply(call, region, number, status=201 if is_new else 200)


@choices.get("/regions/{region}/step-templates/{year}/history", response_model=Page[HistoryEntry])
def list_region_step_template_history(
    call: Caller, region: RegionKey, year: StepYearKey, query: Annotated[HistoryQuery, Query()]
) -> Response:
    """Who chose the template of a region's year, or by which write it was settled."""
    subject = f"regions/{region}/step-templates/{year}"
    return history_page(call, f"{STEPS_CHAIN}{region}", subject, query)


def _reply(call: Call, region: str, year: int, *, status: int = 200) -> Response:
    queries.home_of_steps(call.session, call.actor, region)
    found = queries.templates_of(call.session, [region], year)[region]
    shown = RegionTemplateReply(
        **found.content,
        region_code=region,
        year=year,
        version=found.version,
        in_use=queries.has_begun(call.session, region, year),
        allowed=["edit"] if call.actor.may("choose_editions", region) else [],
    )
    return answer(
        call.request,
        shown.model_dump_json().encode(),
        status=status,
        version=found.version,
        location=f"/v1/regions/{region}/step-templates/{year}" if status == 201 else None,
    )
