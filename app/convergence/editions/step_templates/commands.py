"""Writing templates by the nation's administrator, and choosing one for a region's year."""

from dataclasses import replace
from pathlib import Path

from sqlmodel import Session

from app.access.rules import Actor
from app.convergence.editions.methods.commands import load_shipped, put_edition
from app.convergence.editions.methods.queries import known_editions
from app.convergence.editions.step_templates.models import RegionTemplateIn, RegionTemplateRow, StepTemplateIn
from app.convergence.editions.step_templates.queries import (
    TEMPLATE,
    RegionTemplate,
    has_begun,
    home_of_steps,
    templates_of,
)
from app.kit.database.engine import table_of
from app.kit.database.journal import Author, Entry, hold, record
from app.kit.database.json_sql import upsert
from app.kit.http.etags import CheckVersion
from app.kit.http.validation import nearest, unknown_reference
from app.kit.problems import FieldError, Invalid, Problem, Text

DATA = Path(__file__).parent / "data"
STEPS_CHAIN = "steps:"
"""With a region's code behind it: the journal's chain of its steps: templates, evidence, grades."""


class StepsBegun(Problem):
    status = 409
    code = "steps_begun"
    title = Text("Langkah sudah berjalan", "The steps have begun")
    detail = Text(
        "Bukti atau nilai {region} tahun {year} sudah dicatat menurut templat {template}.",
        "Evidence or grades of {region} in {year} were written by the template {template} already.",
    )


def put_template(
    session: Session, author: Author, actor: Actor, edition: str, content: StepTemplateIn, check: CheckVersion
) -> bool:
    """Create or replace a template; True when it was created. One in use is superseded, never changed."""
    actor.require("write_editions", "0")
    return put_edition(session, author, TEMPLATE, edition, content, check)


def load_templates(session: Session, author: Author) -> list[str]:
    """Add the templates that this version brings and the database has not, and name them; what is there stays."""
    return load_shipped(session, author, TEMPLATE, StepTemplateIn, DATA / "step_templates.json")


def put_region_template(
    session: Session,
    author: Author,
    actor: Actor,
    region: str,
    year: int,
    content: RegionTemplateIn,
    check: CheckVersion,
) -> bool:
    """Choose the template of a region's year; True where none was chosen or used before."""
    home_of_steps(session, actor, region)
    actor.require("choose_editions", region)
    chain = hold(session, f"{STEPS_CHAIN}{region}")
    before = templates_of(session, [region], year)[region]
    check(before.version)
    after = content.model_dump(mode="json")
    if before.version is not None and before.content == after:
        return False
    known = known_editions(session, TEMPLATE)
    if content.template not in known:
        error = FieldError(
            unknown_reference,
            pointer="/template",
            value=content.template,
            allowed=known,
            nearest=nearest(content.template, known),
            values={"source": TEMPLATE.address},
        )
        raise Invalid(errors=[error])
    if before.template != content.template and has_begun(session, region, year):
        raise StepsBegun(region=region, year=year, template=before.template)
    chosen = RegionTemplate(content.template, content.legal_basis, (before.version or 0) + 1)
    record(session, chain, author, [_keep(session, author, region, year, chosen, before)])
    return before.version is None


def pin_template(
    session: Session, author: Author, region: str, year: int, found: RegionTemplate
) -> list[Entry]:
    """Keep the template by which evidence or grades are now written where nothing kept it yet: a later one
    does not change what was judged. The entries are for whoever holds the region's chain."""
    if found.version is not None:
        return []
    return [_keep(session, author, region, year, replace(found, version=1), found)]


def _keep(
    session: Session, author: Author, region: str, year: int, chosen: RegionTemplate, before: RegionTemplate
) -> Entry:
    key = {"region_code": region, "year": year}
    row = {**key, **chosen.content, "version": chosen.version, "updated_at": author.at.isoformat()}
    upsert(session, table_of(RegionTemplateRow), [row], key=list(key))
    is_new = before.version is None
    return Entry(
        f"region_step_template.{'created' if is_new else 'changed'}",
        region,
        f"regions/{region}/step-templates/{year}",
        chosen.version or 1,
        None if is_new else before.content,
        chosen.content,
    )
