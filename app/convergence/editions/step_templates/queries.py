"""Step templates: their declaration and queries."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlmodel import Session

from app.access.rules import Actor
from app.agencies.rules import can_have_agencies
from app.convergence.editions.queries import Choice, ChoiceKind, EditionKind, check_visible, is_chosen
from app.convergence.editions.step_templates.models import (
    RegionTemplateIn,
    RegionTemplateReply,
    RegionTemplateRow,
    StepTemplateIn,
    StepTemplateOut,
    StepTemplateRow,
    Template,
    TemplateStep,
)
from app.convergence.editions.step_templates.rules import STEPS_CHAIN
from app.kit.database.engine import get_table
from app.kit.database.resources import Resource
from app.kit.problems import NotFound, Problem
from app.kit.wording import Text

templates, region_templates = get_table(StepTemplateRow), get_table(RegionTemplateRow)


class NoTemplate(Problem):
    status = 409
    code = "no_step_template"
    title = Text("Belum ada templat", "No template yet")
    detail = Text(
        "Belum ada templat langkah konvergensi untuk tahun {year}. Minta administrator nasional menambahkannya.",
        "There is no template of convergence steps for {year}. Ask the nation's administrator to add one.",
    )


class StepsBegun(Problem):
    status = 409
    code = "steps_begun"
    title = Text("Langkah sudah berjalan", "The steps have begun")
    detail = Text(
        "Bukti atau nilai wilayah {region} untuk tahun {year} sudah mengikuti templat “{template}”, sehingga templat "
        "itu tidak dapat diganti.",
        "Evidence or grades of region {region} for {year} follow the template “{template}”, so that it cannot change.",
    )


TEMPLATE = EditionKind(
    table=templates,
    noun="step_template",
    address="step-templates",
    shape=StepTemplateIn,
    shipped=Path(__file__).parent / "data" / "step_templates.json",
    reply=StepTemplateOut,
    columns={"in_use": is_chosen(region_templates.c.template, templates.c.edition)},
)


def read_templates(session: Session, editions: Collection[str]) -> dict[str, Template]:
    """Return the templates of editions, by edition."""
    c = templates.c
    rows = session.execute(
        sa.select(c.edition, c.grades_counted, c.steps).where(c.edition.in_(set(editions)))
    )
    return {
        row.edition: Template(
            row.edition,
            row.grades_counted,
            tuple(TemplateStep.model_validate(step) for step in row.steps),
        )
        for row in rows
    }


def check_steps_region(session: Session, actor: Actor, region: str) -> None:
    """Raise NotFound if the actor cannot see the region, or if the region writes no plans."""
    if not can_have_agencies(region):
        raise NotFound()
    check_visible(session, actor, region)


@dataclass(frozen=True, kw_only=True)
class RegionTemplate(Choice):
    """The template of a region's year."""

    template: str


TEMPLATES = ChoiceKind(
    resource=Resource(
        "region_step_template",
        region_templates,
        RegionTemplateIn,
        ("region_code", "year"),
        "regions/{region_code}/step-templates/{year}",
        written_at="updated_at",
    ),
    chain=STEPS_CHAIN,
    record=RegionTemplate,
    reply=RegionTemplateReply,
    kinds={"template": TEMPLATE},
    missing=NoTemplate,
    settled=StepsBegun,
    check_region=check_steps_region,
)
