"""Reading where regions stand: every SELECT starts from the regions, and the plans, that the actor sees."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.sql import ColumnElement
from sqlmodel import Session

from app.access.queries import visible, within
from app.access.rules import Actor
from app.convergence.editions.queries import choices_of
from app.convergence.editions.step_templates.models import Template, TemplateStep
from app.convergence.editions.step_templates.queries import TEMPLATES, home_of_steps, template_steps
from app.convergence.steps.measures.queries import Home, counts_of, evidence, meetings_of, villages_of
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
from app.convergence.steps.rules import Facts, Shown, scored, standings
from app.kit.database.engine import table_of
from app.kit.database.json_sql import fields_of
from app.kit.database.resources import Resource, ResourceText
from app.kit.periods import local_date
from app.kit.problems import NotFound, require_found
from app.plans.core.queries import plans, regions, seen
from app.plans.revisions.models import PlanRevisionRow
from app.reference.models import RegionLevel, Timezone
from app.reference.queries import among

grades, _revisions = table_of(StepGradeRow), table_of(PlanRevisionRow)

PartKey = tuple[str, int, str, str]
"""Region, year, step, and the key of evidence or the criterion of a grade."""


class StepPart(NamedTuple):
    """What is written to a step: its rows, its shape as it is read, the right to write it."""

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


def process_scores(
    session: Session, actor: Actor, codes: Collection[str], year: int, now: datetime
) -> dict[str, ProcessScore]:
    """P of those of the regions that the actor sees and that plan; as many statements for many as for one.

    A plan that the actor does not see counts as none. NoTemplate (409) where no template is for the year.
    """
    judged = _judged(session, actor, among(session, regions.c.code, codes), year, now)
    return {code: scored(one.template, one.steps) for code, one in judged.items()}


class _Judged(NamedTuple):
    """A region with its steps."""

    home: Home
    template: Template
    steps: list[StepStanding]

    @property
    def deadlines_missed(self) -> int:
        return sum(step.deadline_missed for step in self.steps)


def _judged(
    session: Session,
    actor: Actor,
    chosen: ColumnElement[bool],
    year: int,
    now: datetime,
    *,
    with_evidence: bool = False,
) -> dict[str, _Judged]:
    """The regions that a predicate chooses, in the order of their codes."""
    homes = _homes(session, actor, chosen, year)
    if not homes:
        return {}
    found = choices_of(session, TEMPLATES, homes, year)
    by_edition = template_steps(session, {one.template for one in found.values()})
    templates = {code: by_edition[one.template] for code, one in found.items()}
    counts = counts_of(session, homes.values(), year, now)
    held = meetings_of(session, homes.values(), templates, year, now)
    villages = villages_of(session, homes.values(), templates, year)
    shown, panel = _shown(session, homes, year), _panel(session, homes, year)
    documents = _evidence(session, homes, year) if with_evidence else {}
    judged = {}
    for code, home in homes.items():
        facts = Facts(
            year=year,
            zone=home.zone,
            today=local_date(now, home.zone),
            has_plan=home.plan_id is not None,
            adopted_on=home.adopted_on,
            counts=counts[code],
            shown=shown.get(code, {}),
            villages_shown=villages.get(code, {}),
            meetings=held.get(code, {}),
        )
        steps = standings(templates[code], facts, panel.get(code, {}), documents.get(code, {}))
        judged[code] = _Judged(home, templates[code], steps)
    return judged


def _homes(session: Session, actor: Actor, chosen: ColumnElement[bool], year: int) -> dict[str, Home]:
    c = regions.c
    planned = sa.and_(plans.c.region_code == c.code, plans.c.year == year, seen(actor))
    first = sa.and_(_revisions.c.plan_id == plans.c.id, _revisions.c.number == 0)
    rows = session.execute(
        sa.select(c.code, c.name, c.level, c.timezone, plans.c.id, _revisions.c.instrument_date)
        .select_from(regions.outerjoin(plans, planned).outerjoin(_revisions, first))
        .where(
            visible(actor, c.code),
            chosen,
            c.level.in_(_HOMES),
            sa.or_(c.retired.is_(False), plans.c.id.is_not(None)),
        )
        .order_by(c.code)
    )
    return {row.code: Home(*row) for row in rows}


def _shown(session: Session, codes: Collection[str], year: int) -> dict[str, dict[tuple[str, str], Shown]]:
    c = evidence.c
    rows = session.execute(
        sa.select(c.region_code, c.step, c.kind, sa.func.count(), sa.func.min(c.date))
        .where(c.year == year, among(session, c.region_code, codes))
        .group_by(c.region_code, c.step, c.kind)
    )
    found: dict[str, dict[tuple[str, str], Shown]] = {}
    for region, step, kind, count, first in rows:
        found.setdefault(region, {})[step, kind] = Shown(count, first)
    return found


def _panel(session: Session, codes: Collection[str], year: int) -> dict[str, dict[str, PanelGrade]]:
    c = grades.c
    rows = session.execute(
        sa.select(c.region_code, c.criterion, *fields_of(PanelGrade, grades)).where(
            c.year == year, among(session, c.region_code, codes)
        )
    )
    found: dict[str, dict[str, PanelGrade]] = {}
    for row in rows:
        grade = PanelGrade.model_construct(**row._mapping)
        found.setdefault(row.region_code, {})[row.criterion] = grade
    return found


def _evidence(session: Session, codes: Collection[str], year: int) -> dict[str, dict[str, list[EvidenceOut]]]:
    c = evidence.c
    rows = session.execute(
        sa.select(c.region_code, c.step, *fields_of(EvidenceOut, evidence))
        .where(c.year == year, among(session, c.region_code, codes))
        .order_by(c.region_code, c.step, c.key)
    )
    found: dict[str, dict[str, list[EvidenceOut]]] = {}
    for row in rows:
        shown = EvidenceOut.model_construct(**row._mapping)
        found.setdefault(row.region_code, {}).setdefault(row.step, []).append(shown)
    return found


# One region


def region_steps(session: Session, actor: Actor, region: str, year: int, now: datetime) -> StepsReply:
    """All steps of a region's year. NotFound where the actor does not see it, or it is none that plans."""
    found = _one(session, actor, region, year, now)
    result = scored(found.template, found.steps)
    return StepsReply.model_construct(
        region_code=region,
        region_name=found.home.name,
        year=year,
        timezone=Timezone(found.home.zone),
        template=found.template.edition,
        grades_counted=found.template.grades_counted,
        score=result.score,
        missing=result.missing,
        deadlines_missed=found.deadlines_missed,
        steps=found.steps,
        allowed=_allowed(actor, region),
    )


def region_step(
    session: Session, actor: Actor, region: str, year: int, code: str, now: datetime
) -> StepReply:
    """One step of a region's year. NotFound where its template has none of that code, too."""
    found = _one(session, actor, region, year, now)
    step = require_found(next((one for one in found.steps if one.step == code), None))
    return StepReply.model_construct(
        **dict(step),
        region_code=region,
        year=year,
        template=found.template.edition,
        allowed=_allowed(actor, region),
    )


def _one(session: Session, actor: Actor, region: str, year: int, now: datetime) -> _Judged:
    actor.require_seen(region)
    found = _judged(session, actor, regions.c.code == region, year, now, with_evidence=True)
    if region not in found:
        raise NotFound()
    return found[region]


def _allowed(actor: Actor, region: str) -> list[object]:
    return [verb for verb in ("write_evidence", "grade_steps") if actor.may(verb, region)]


def steps_overview(session: Session, actor: Actor, query: StepsQuery, now: datetime) -> StepsOverview:
    """The region and those below it that the actor sees. NotFound: it sees none of them."""
    chosen = within(regions.c.code, query.region)
    found = require_found(_judged(session, actor, chosen, query.year, now) or None)
    return StepsOverview.model_construct(
        region_code=query.region,
        year=query.year,
        regions=[_in_overview(one) for one in found.values()],
    )


def _in_overview(found: _Judged) -> RegionSteps:
    result = scored(found.template, found.steps)
    return RegionSteps.model_construct(
        region_code=found.home.code,
        region_name=found.home.name,
        level=found.home.level,
        template=found.template.edition,
        score=result.score,
        deadlines_missed=found.deadlines_missed,
        missing=result.missing,
        steps=[
            StepOverview.model_construct(
                **{name: getattr(step, name) for name in StepScore.model_fields},
                state=step.state,
                deadline_missed=step.deadline_missed,
            )
            for step in found.steps
        ],
    )


# Evidence and grades by themselves


def step_at(session: Session, actor: Actor, region: str, year: int, step: str) -> TemplateStep:
    """A step of a region that the actor sees, as its template has it. NotFound where there is no such."""
    home_of_steps(session, actor, region)
    edition = choices_of(session, TEMPLATES, [region], year)[region].template
    return template_steps(session, [edition])[edition].step(step)


def part_text(session: Session, actor: Actor, part: StepPart, key: PartKey) -> ResourceText:
    """Return evidence or a grade as its reply without `allowed`. Raises NotFound if the actor sees none."""
    home_of_steps(session, actor, key[0])
    return part.resource.read_reply(session, part.shape, *key)


def steps_have_begun(session: Session, region: str, year: int) -> bool:
    """Whether evidence or a grade of a region's year is there, so that its template stands."""
    found = sa.union_all(
        *[
            sa.select(sa.literal(1)).where(table.c.region_code == region, table.c.year == year)
            for table in (evidence, grades)
        ]
    )
    return session.execute(found.limit(1)).first() is not None
