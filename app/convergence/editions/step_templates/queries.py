"""Reading templates, and which of them region years follow."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement
from sqlmodel import Session

from app.access.rules import Actor
from app.agencies.rules import is_home
from app.convergence.editions.methods.queries import EditionKind, in_use
from app.convergence.editions.methods.rules import edition_for
from app.convergence.editions.step_templates.models import (
    RegionTemplateRow,
    StepTemplateOut,
    StepTemplateRow,
    Template,
    TemplateStep,
)
from app.kit.database.engine import table_of
from app.kit.database.json_sql import fields_of
from app.kit.problems import NotFound, Problem, Text
from app.reference.queries import among, is_region

templates, region_templates = table_of(StepTemplateRow), table_of(RegionTemplateRow)


class NoTemplate(Problem):
    status = 409
    code = "no_step_template"
    title = Text("Belum ada templat", "No template yet")
    detail = Text(
        "Untuk tahun {year} belum ada templat langkah konvergensi; administrator nasional menambahkannya.",
        "There is no template of convergence steps for {year} yet; the nation's administrator adds one.",
    )


def _columns() -> list[ColumnElement[Any]]:
    used = in_use(region_templates.c.template, templates.c.edition)
    return fields_of(StepTemplateOut, templates, in_use=used)


TEMPLATE = EditionKind(templates, "step_template", "step-templates", _columns)


@dataclass(frozen=True)
class RegionTemplate:
    """The template of a region's year; `version` None where it was neither chosen nor used yet."""

    template: str
    legal_basis: str | None = None
    version: int | None = None

    @property
    def content(self) -> dict[str, Any]:
        return {"template": self.template, "legal_basis": self.legal_basis}


def templates_of(session: Session, regions: Collection[str], year: int) -> dict[str, RegionTemplate]:
    """Region → the template that its year follows: the one chosen or used, else the newest for the year.

    NoTemplate (409) where there is none.
    """
    c = region_templates.c
    rows = session.execute(
        sa.select(c.region_code, c.template, c.legal_basis, c.version).where(
            c.year == year, among(session, c.region_code, regions)
        )
    )
    found = {row[0]: RegionTemplate(*row[1:]) for row in rows}
    if len(found) < len(set(regions)):
        known = session.execute(sa.select(templates.c.edition, templates.c.first_year)).all()
        newest = edition_for(year, known)
        if newest is None:
            raise NoTemplate(year=year)
        found |= {code: RegionTemplate(newest.edition) for code in regions if code not in found}
    return found


def template_steps(session: Session, editions: Collection[str]) -> dict[str, Template]:
    """Edition → template."""
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


def home_of_steps(session: Session, actor: Actor, region: str) -> None:
    """NotFound where the actor does not see the region, or it is none that plans."""
    if not (is_home(region) and actor.sees(region) and is_region(session, region)):
        raise NotFound()


HAS_BEGUN: list[Callable[[Session, str, int], bool]] = []
"""Whether something of a region's year was shown or graded already: what keeps it adds its own question."""


def has_begun(session: Session, region: str, year: int) -> bool:
    return any(ask(session, region, year) for ask in HAS_BEGUN)
