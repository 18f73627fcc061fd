"""Queries for the steps of regions. Each SELECT starts from the regions and the plans that the actor sees."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.sql import ColumnElement
from sqlmodel import Session

from app.access.queries import can_see_region, is_in_region
from app.access.rules import Actor
from app.convergence.editions.queries import read_choices
from app.convergence.editions.step_templates.models import Template, TemplateStep
from app.convergence.editions.step_templates.queries import TEMPLATES, check_steps_region, read_templates
from app.convergence.steps.measures.queries import (
    PlanningRegion,
    count_inputs,
    count_meetings,
    count_villages,
    evidence,
)
from app.convergence.steps.models import (
    EvidenceIn,
    EvidenceOut,
    PanelGrade,
    PanelGradeIn,
    ProcessScore,
    RegionSteps,
    StepGradeRow,
    StepOverview,
    StepReply,
    StepScore,
    StepsOverview,
    StepsQuery,
    StepsReply,
    StepStanding,
)
from app.convergence.steps.rules import EvidenceCount, StepFacts, describe_steps, score_process
from app.kit.database.engine import get_table
from app.kit.database.json_sql import select_fields
from app.kit.database.resources import Resource, ResourceText
from app.kit.periods import get_local_date
from app.kit.problems import NotFound, require_found
from app.plans.core.queries import can_see_plan, plans, regions
from app.plans.revisions.models import PlanRevisionRow
from app.reference.models import RegionLevel, Timezone
from app.reference.queries import is_among

grades, _revisions = get_table(StepGradeRow), get_table(PlanRevisionRow)

PartKey = tuple[str, int, str, str]
"""Region, year, step, and the key of evidence or the criterion of a grade."""


class StepPart(NamedTuple):
    """A kind of writable part of a step: its rows, its reply, and the right to write it."""

    resource: Resource
    shape: type[BaseModel]
    right: str


EVIDENCE = StepPart(
    Resource(
        "step_evidence",
        evidence,
        EvidenceIn,
        ("region_code", "year", "step", "key"),
        "regions/{region_code}/steps/{year}/{step}/evidence/{key}",
        written_at="updated_at",
    ),
    EvidenceOut,
    "write_evidence",
)
GRADE = StepPart(
    Resource(
        "step_grade",
        grades,
        PanelGradeIn,
        ("region_code", "year", "step", "criterion"),
        "regions/{region_code}/steps/{year}/{step}/criteria/{criterion}/grade",
        written_at="graded_at",
        written_by="graded_by",
    ),
    PanelGrade,
    "grade_steps",
)

_HOMES = (RegionLevel.province, RegionLevel.regency)


def compute_process_scores(
    session: Session, actor: Actor, codes: Collection[str], year: int, now: datetime
) -> dict[str, ProcessScore]:
    """Return P of each planning region that the actor sees, with as many statements for many regions as for one.

    An invisible plan counts as missing. Raises NoTemplate (409) if the year has no template.
    """
    reviews = _review_regions(session, actor, is_among(session, regions.c.code, codes), year, now)
    return {code: score_process(review.template, review.steps) for code, review in reviews.items()}


class _Review(NamedTuple):
    home: PlanningRegion
    template: Template
    steps: list[StepStanding]

    @property
    def deadlines_missed(self) -> int:
        return sum(step.deadline_missed for step in self.steps)


def _review_regions(
    session: Session,
    actor: Actor,
    chosen: ColumnElement[bool],
    year: int,
    now: datetime,
    *,
    with_evidence: bool = False,
) -> dict[str, _Review]:
    """Return the chosen regions with their steps, ordered by code."""
    homes = _read_homes(session, actor, chosen, year)
    if not homes:
        return {}
    choices = read_choices(session, TEMPLATES, homes, year)
    by_edition = read_templates(session, {choice.template for choice in choices.values()})
    templates = {code: by_edition[choice.template] for code, choice in choices.items()}
    counts = count_inputs(session, homes.values(), year, now)
    meetings = count_meetings(session, homes.values(), templates, year, now)
    villages = count_villages(session, homes.values(), templates, year)
    shown, panel = _count_evidence(session, homes, year), _read_panel(session, homes, year)
    documents = _read_evidence(session, homes, year) if with_evidence else {}
    reviews = {}
    for code, home in homes.items():
        facts = StepFacts(
            year=year,
            zone=home.zone,
            today=get_local_date(now, home.zone),
            has_plan=home.plan_id is not None,
            adopted_on=home.adopted_on,
            counts=counts[code],
            shown=shown.get(code, {}),
            villages_shown=villages.get(code, {}),
            meetings=meetings.get(code, {}),
        )
        steps = describe_steps(templates[code], facts, panel.get(code, {}), documents.get(code, {}))
        reviews[code] = _Review(home, templates[code], steps)
    return reviews


def _read_homes(
    session: Session, actor: Actor, chosen: ColumnElement[bool], year: int
) -> dict[str, PlanningRegion]:
    c = regions.c
    planned = sa.and_(plans.c.region_code == c.code, plans.c.year == year, can_see_plan(actor))
    first = sa.and_(_revisions.c.plan_id == plans.c.id, _revisions.c.number == 0)
    rows = session.execute(
        sa.select(c.code, c.name, c.level, c.timezone, plans.c.id, _revisions.c.instrument_date)
        .select_from(regions.outerjoin(plans, planned).outerjoin(_revisions, first))
        .where(
            can_see_region(actor, c.code),
            chosen,
            c.level.in_(_HOMES),
            sa.or_(c.retired.is_(False), plans.c.id.is_not(None)),
        )
        .order_by(c.code)
    )
    return {row.code: PlanningRegion(*row) for row in rows}


def _count_evidence(
    session: Session, codes: Collection[str], year: int
) -> dict[str, dict[tuple[str, str], EvidenceCount]]:
    c = evidence.c
    rows = session.execute(
        sa.select(c.region_code, c.step, c.kind, sa.func.count(), sa.func.min(c.date))
        .where(c.year == year, is_among(session, c.region_code, codes))
        .group_by(c.region_code, c.step, c.kind)
    )
    result: dict[str, dict[tuple[str, str], EvidenceCount]] = {}
    for region, step, kind, count, first in rows:
        result.setdefault(region, {})[step, kind] = EvidenceCount(count, first)
    return result


def _read_panel(session: Session, codes: Collection[str], year: int) -> dict[str, dict[str, PanelGrade]]:
    c = grades.c
    rows = session.execute(
        sa.select(c.region_code, c.criterion, *select_fields(PanelGrade, grades)).where(
            c.year == year, is_among(session, c.region_code, codes)
        )
    )
    result: dict[str, dict[str, PanelGrade]] = {}
    for row in rows:
        grade = PanelGrade.model_construct(**row._mapping)
        result.setdefault(row.region_code, {})[row.criterion] = grade
    return result


def _read_evidence(
    session: Session, codes: Collection[str], year: int
) -> dict[str, dict[str, list[EvidenceOut]]]:
    c = evidence.c
    rows = session.execute(
        sa.select(c.region_code, c.step, *select_fields(EvidenceOut, evidence))
        .where(c.year == year, is_among(session, c.region_code, codes))
        .order_by(c.region_code, c.step, c.key)
    )
    result: dict[str, dict[str, list[EvidenceOut]]] = {}
    for row in rows:
        document = EvidenceOut.model_construct(**row._mapping)
        result.setdefault(row.region_code, {}).setdefault(row.step, []).append(document)
    return result


def read_region_steps(session: Session, actor: Actor, region: str, year: int, now: datetime) -> StepsReply:
    """Return all steps of a region's year. Raises NotFound if the actor cannot see the region or it does not plan."""
    review = _review_region(session, actor, region, year, now)
    result = score_process(review.template, review.steps)
    return StepsReply.model_construct(
        region_code=region,
        region_name=review.home.name,
        year=year,
        timezone=Timezone(review.home.zone),
        template=review.template.edition,
        grades_counted=review.template.grades_counted,
        score=result.score,
        missing=result.missing,
        deadlines_missed=review.deadlines_missed,
        steps=review.steps,
        allowed=_list_allowed(actor, region),
    )


def read_region_step(
    session: Session, actor: Actor, region: str, year: int, code: str, now: datetime
) -> StepReply:
    """Return one step of a region's year. Raises NotFound as `read_region_steps` does, also without the step."""
    review = _review_region(session, actor, region, year, now)
    step = require_found(next((item for item in review.steps if item.step == code), None))
    return StepReply.model_construct(
        **dict(step),
        region_code=region,
        year=year,
        template=review.template.edition,
        allowed=_list_allowed(actor, region),
    )


def _review_region(session: Session, actor: Actor, region: str, year: int, now: datetime) -> _Review:
    actor.require_seen(region)
    reviews = _review_regions(session, actor, regions.c.code == region, year, now, with_evidence=True)
    if region not in reviews:
        raise NotFound()
    return reviews[region]


def _list_allowed(actor: Actor, region: str) -> list[object]:
    return [verb for verb in ("write_evidence", "grade_steps") if actor.may(verb, region)]


def read_steps_overview(session: Session, actor: Actor, query: StepsQuery, now: datetime) -> StepsOverview:
    """Return the region and the regions below it that the actor sees. Raises NotFound if there are none."""
    chosen = is_in_region(regions.c.code, query.region)
    reviews = require_found(_review_regions(session, actor, chosen, query.year, now) or None)
    return StepsOverview.model_construct(
        region_code=query.region,
        year=query.year,
        regions=[_summarise(review) for review in reviews.values()],
    )


def _summarise(review: _Review) -> RegionSteps:
    result = score_process(review.template, review.steps)
    return RegionSteps.model_construct(
        region_code=review.home.code,
        region_name=review.home.name,
        level=review.home.level,
        template=review.template.edition,
        score=result.score,
        deadlines_missed=review.deadlines_missed,
        missing=result.missing,
        steps=[
            StepOverview.model_construct(
                **{name: getattr(step, name) for name in StepScore.model_fields},
                state=step.state,
                deadline_missed=step.deadline_missed,
            )
            for step in review.steps
        ],
    )


def read_step(session: Session, actor: Actor, region: str, year: int, step: str) -> TemplateStep:
    """Return a step of a region's template. Raises NotFound if the actor cannot see it or there is none."""
    check_steps_region(session, actor, region)
    edition = read_choices(session, TEMPLATES, [region], year)[region].template
    return read_templates(session, [edition])[edition].step(step)


def read_part(session: Session, actor: Actor, part: StepPart, key: PartKey) -> ResourceText:
    """Return evidence or a grade as its reply without `allowed`. Raises NotFound if the actor cannot see it."""
    check_steps_region(session, actor, key[0])
    return part.resource.read_reply(session, part.shape, *key)


def has_step_entries(session: Session, region: str, year: int) -> bool:
    """Return whether a region's year has evidence or a grade, which fixes its template."""
    query = sa.union_all(
        *[
            sa.select(sa.literal(1)).where(table.c.region_code == region, table.c.year == year)
            for table in (evidence, grades)
        ]
    )
    return session.execute(query.limit(1)).first() is not None
