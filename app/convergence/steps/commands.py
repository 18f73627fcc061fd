"""Writing evidence, by the region, and grades, by the panel of the province."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from app.access.rules import Actor, is_within
from app.convergence.coverage.rules import is_village
from app.convergence.editions.commands import hold_choices, pin_choices
from app.convergence.editions.step_templates.models import TemplateStep
from app.convergence.editions.step_templates.queries import (
    TEMPLATES,
    home_of_steps,
    template_steps,
)
from app.convergence.editions.step_templates.rules import STEPS_CHAIN, window_of
from app.convergence.steps.measures import evidence
from app.convergence.steps.models import EvidenceIn, PanelGradeIn
from app.convergence.steps.queries import grades, step_at, stored_evidence, stored_grade
from app.kit.database.journal import Author, Entry, hold, next_version, record
from app.kit.database.upsert import upsert
from app.kit.http.etags import CheckVersion
from app.kit.http.validation import checked_key, nearest, unknown_reference
from app.kit.problems import FieldError, Invalid, Kind, NotFound, PreconditionFailed, Problem, Text
from app.reference.queries import regions_by_code
from app.reference.rules import local_date

after_today = Kind(
    "after_today",
    id="tanggal {value} sesudah hari ini di wilayah itu, {allowed}",
    en="the date {value} is after today in that region, {allowed}",
)
village_required = Kind(
    "village_required",
    id="bukti jenis {kind} diberikan per desa: isi village",
    en="evidence of the kind {kind} is given per village: name the village",
)
no_village_there = Kind(
    "no_village_there",
    id="{value} bukan desa atau kelurahan di wilayah {allowed}",
    en="{value} is no village of the region {allowed}",
)


class StepNotOpen(Problem):
    status = 409
    code = "step_not_open"
    title = Text("Langkah belum dibuka", "The step is not open yet")
    detail = Text(
        "Langkah {step} dibuka pada {opens_on}; sebelum itu tidak ada yang dinilai.",
        "The step {step} opens on {opens_on}; before that there is nothing to grade.",
    )


def put_evidence(
    session: Session,
    author: Author,
    actor: Actor,
    region: str,
    year: int,
    step: str,
    key: str,
    content: EvidenceIn,
    check: CheckVersion,
) -> bool:
    """Create (True) or replace (False) a piece of evidence; the same content changes nothing."""
    home_of_steps(session, actor, region)
    actor.require("write_evidence", region)
    chain = hold(session, f"{STEPS_CHAIN}{region}")
    chosen = hold_choices(session, TEMPLATES, [region], year)
    template = chosen[region].template
    asked = template_steps(session, [template])[template].step(step)
    stored = stored_evidence(session, region, year, step, key)
    check(stored.version if stored else None)
    if stored is None:
        checked_key(key)
    if errors := _evidence_errors(session, author, region, asked, content):
        raise Invalid(errors=errors)
    after = content.model_dump(mode="json")
    if stored is not None and stored.content == after:
        return False
    place = {"region_code": region, "year": year, "step": step, "key": key}
    version = next_version(session, _evidence_subject(place), stored.version if stored else None)
    row = {**place, **after, "version": version, "updated_at": author.at.isoformat()}
    if not upsert(session, evidence, [row], key=list(place), versioned=True, returning=["version"]):
        raise PreconditionFailed()
    entries = pin_choices(session, author, TEMPLATES, chosen, year)
    entries.append(
        _entry("step_evidence", _evidence_subject(place), version, stored and stored.content, after)
    )
    record(session, chain, author, entries)
    return stored is None


def _evidence_errors(
    session: Session, author: Author, region: str, step: TemplateStep, content: EvidenceIn
) -> list[FieldError]:
    errors = []
    kinds = {kind.code: kind for kind in step.evidence_kinds}
    kind = kinds.get(content.kind)
    if kind is None:
        errors.append(
            FieldError(
                unknown_reference,
                pointer="/kind",
                value=content.kind,
                allowed=list(kinds),
                nearest=nearest(content.kind, kinds),
                values={"source": f"step {step.code}"},
            )
        )
    elif kind.per_village and content.village is None:
        errors.append(FieldError(village_required, pointer="/village", values={"kind": kind.code}))
    known = regions_by_code(session, {region, *([content.village] if content.village else [])})
    village = content.village
    if village is not None and not (village in known and is_village(village) and is_within(village, region)):
        errors.append(FieldError(no_village_there, pointer="/village", value=village, allowed=region))
    today = local_date(author.at, known[region].timezone)
    if content.date > today:
        errors.append(FieldError(after_today, pointer="/date", value=str(content.date), allowed=str(today)))
    return errors


def delete_evidence(
    session: Session,
    author: Author,
    actor: Actor,
    region: str,
    year: int,
    step: str,
    key: str,
    check: CheckVersion,
) -> None:
    """Take back a piece of evidence. NotFound: there is none."""
    home_of_steps(session, actor, region)
    actor.require("write_evidence", region)
    chain = hold(session, f"{STEPS_CHAIN}{region}")
    stored = stored_evidence(session, region, year, step, key)
    if stored is None:
        raise NotFound()
    check(stored.version)
    place = {"region_code": region, "year": year, "step": step, "key": key}
    session.execute(sa.delete(evidence).where(*[evidence.c[name] == value for name, value in place.items()]))
    entry = _entry("step_evidence", _evidence_subject(place), stored.version + 1, stored.content, None)
    record(session, chain, author, [entry])


def _evidence_subject(place: Mapping[str, Any]) -> str:
    return "regions/{region_code}/steps/{year}/{step}/evidence/{key}".format(**place)


def _entry(
    noun: str, subject: str, version: int, before: dict[str, Any] | None, after: dict[str, Any] | None
) -> Entry:
    reason = (after or {}).get("reason")
    return Entry.of(
        noun, subject.split("/")[1], subject, version, before, after, reason[:1000] if reason else None
    )


# Grades


def put_grade(
    session: Session,
    author: Author,
    actor: Actor,
    region: str,
    year: int,
    step: str,
    criterion: str,
    content: PanelGradeIn,
    check: CheckVersion,
) -> bool:
    """Give (True) or replace (False) the panel's grade of a criterion; the machine's stays beside it."""
    home_of_steps(session, actor, region)
    actor.require("grade_steps", region)
    chain = hold(session, f"{STEPS_CHAIN}{region}")
    chosen = hold_choices(session, TEMPLATES, [region], year)
    template = chosen[region].template
    asked = template_steps(session, [template])[template].step(step)
    _check_criterion(asked, criterion)
    stored = stored_grade(session, region, year, criterion)
    check(stored.version if stored else None)
    opens_on = window_of(year, asked.opens_month, asked.due_month).opens_on
    if _today(session, author, region) < opens_on:
        raise StepNotOpen(step=step, opens_on=opens_on)
    after = content.model_dump(mode="json")
    if stored is not None and stored.content == after:
        return False
    place = {"region_code": region, "year": year, "step": step, "criterion": criterion}
    version = next_version(session, _grade_subject(place), stored.version if stored else None)
    told = {"graded_at": author.at.isoformat(), "graded_by": author.actor, "version": version}
    key = ["region_code", "year", "criterion"]
    if not upsert(
        session, grades, [{**place, **after, **told}], key=key, versioned=True, returning=["version"]
    ):
        raise PreconditionFailed()
    entries = pin_choices(session, author, TEMPLATES, chosen, year)
    entries.append(_entry("step_grade", _grade_subject(place), version, stored and stored.content, after))
    record(session, chain, author, entries)
    return stored is None


def _check_criterion(step: TemplateStep, criterion: str) -> None:
    if criterion not in {one.code for one in step.criteria}:
        raise NotFound()


def _today(session: Session, author: Author, region: str) -> date:
    return local_date(author.at, regions_by_code(session, [region])[region].timezone)


def delete_grade(
    session: Session,
    author: Author,
    actor: Actor,
    region: str,
    year: int,
    step: str,
    criterion: str,
    check: CheckVersion,
) -> None:
    """Take back a grade that was given by mistake. NotFound: there is none."""
    asked = step_at(session, actor, region, year, step)
    _check_criterion(asked, criterion)
    actor.require("grade_steps", region)
    chain = hold(session, f"{STEPS_CHAIN}{region}")
    stored = stored_grade(session, region, year, criterion)
    if stored is None:
        raise NotFound()
    check(stored.version)
    c = grades.c
    session.execute(
        sa.delete(grades).where(c.region_code == region, c.year == year, c.criterion == criterion)
    )
    place = {"region_code": region, "year": year, "step": step, "criterion": criterion}
    entry = _entry("step_grade", _grade_subject(place), stored.version + 1, stored.content, None)
    record(session, chain, author, [entry])


def _grade_subject(place: Mapping[str, Any]) -> str:
    return "regions/{region_code}/steps/{year}/{step}/criteria/{criterion}/grade".format(**place)
