"""Importing the matrix: agencies, lines and realisation of a file, all of it or nothing."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

import sqlalchemy as sa
from pydantic import ValidationError
from sqlmodel import Session

from app.access.rules import Actor
from app.agencies.commands import put_agency
from app.agencies.models import AgencyIn, AgencyKind
from app.exchange.matrix.basis import basis_contradictions, cumulative_spent
from app.exchange.matrix.rules import read_matrix
from app.exchange.matrix.models import Matrix, MatrixRow
from app.exchange.models import Basis, ImportedProgress, ImportFinding, ImportReport, Resolution
from app.exchange.queries import names_for
from app.exchange.resolving import Outcome as Looked
from app.exchange.resolving import Resolver
from app.exchange.rules import Resolved, content_of, matched, new_codes
from app.kit.inputs import body_errors
from app.kit.journal import Author, hold
from app.kit.problems import CellShape, FieldError, Invalid, Kind, Language
from app.plans.commands import Draft, plan_chain, put_actions
from app.plans.models import ActionIn
from app.plans.queries import StoredAction, stored_actions
from app.plans.rules import findings_of
from app.reference.queries import funding_source_labels
from app.tracking.commands import Report, Reported, report_progress
from app.tracking.models import ProgressIn
from app.tracking.queries import latest_spent, stored_progress

basis_required = Kind(
    "basis_required", id="nyatakan basis: cumulative atau period; berkas ini memuat kolom realisasi",
    en="state basis: cumulative or period; this file has realisation columns",
)
HALVES: tuple[tuple[Literal["q2", "q4"], str], ...] = (("q2", "Q2"), ("q4", "Q4"))


@dataclass(frozen=True)
class Wish:
    """How the caller wants a file to be read."""

    basis: Basis | None = None
    accept: frozenset[str] = frozenset()
    new_agencies: bool = False
    sheet: str | None = None
    resolutions: tuple[Resolution, ...] = ()


def import_matrix(
    session: Session, author: Author, actor: Actor, plan: sa.Row[Any], data: bytes, filename: str, wish: Wish,
    language: Language = "id",
) -> ImportReport:
    """Bring a plan to what a matrix says: lines by what identifies them, realisation to Q2 and Q4.

    The same file twice changes nothing. Invalid lists every cell that has to be settled, and nothing is
    written; UnreadableFile where it is no matrix at all.
    """
    actor.require("import_matrix", plan.region_code)
    matrix = read_matrix(data, filename, sheet=wish.sheet, known_sources=list(funding_source_labels(session).values()))
    errors = list(matrix.errors)
    if matrix.has_realisation and wish.basis is None:
        errors.append(FieldError(basis_required, parameter="basis", allowed=["cumulative", "period"]))
    elif matrix.has_realisation and wish.basis is not None and "totals" not in wish.accept:
        errors += basis_contradictions(matrix.rows, wish.basis)
    looked, created = _resolved(session, author, actor, plan, matrix, wish)
    if errors := [*errors, *looked.errors]:
        raise Invalid(errors=errors)
    hold(session, plan_chain(plan.code))
    stored = stored_actions(session, plan)
    before = {code: action.content for code, action in stored.items()}
    codes = _codes(before, looked.lines)
    names = names_for(session, plan, [*before.values()])
    drafts = _drafts(looked.lines, codes, before, names)
    reason = f"import sha256:{sha256(data).hexdigest()[:16]}"
    outcomes = put_actions(session, author, actor, plan, drafts, check=_any_version, reason=reason)
    counts = Counter(outcome.status for outcome in outcomes)
    findings = [_line_finding(finding, draft.code, line, language)
                for draft, line in zip(drafts, looked.lines, strict=True)
                for finding in findings_of(draft.content.model_dump(mode="json"), plan.year)]
    progress: list[ImportedProgress] = []
    if matrix.has_realisation and wish.basis is not None:
        for half, quarter in HALVES:
            period = f"{plan.year}-{quarter}"
            done = _report(session, author, actor, plan, period, half, wish.basis, codes, looked.lines, reason)
            findings += _progress_findings(done, codes, looked.lines, half, language)
            if done:
                kinds = Counter(one.status for one in done)
                progress.append(
                    ImportedProgress(period=period, created=kinds["created"], updated=kinds["updated"], unchanged=kinds["unchanged"])
                )
    return ImportReport(
        plan=plan.code,
        sheet=matrix.sheet,
        lines=len(drafts),
        created=counts["created"],
        updated=counts["updated"],
        unchanged=counts["unchanged"],
        absent=sorted(set(before) - set(codes)),
        agencies_created=created,
        free_text=sum(line.subactivity.code is None for line in looked.lines),
        allocation=sum(draft.content.allocation for draft in drafts),
        by_strategy=dict(Counter(draft.content.strategy.value for draft in drafts)),
        progress=progress,
        findings=findings,
        warnings=[warning.shown(language) for warning in (*matrix.warnings, *looked.warnings)],
    )


def _any_version(stored: dict[str, StoredAction]) -> None:
    """An import says what the file says; it is held to its rows, not to a version."""


def _resolved(
    session: Session, author: Author, actor: Actor, plan: sa.Row[Any], matrix: Matrix, wish: Wish
) -> tuple[Looked, list[str]]:
    """The file's lines looked up, after the agencies were made that it names and that may be made."""

    def look() -> Looked:
        free = "free_text" in wish.accept
        return Resolver(session, plan, matrix.rows, wish.resolutions, accept_free_text=free).run()

    looked = look()
    if not (wish.new_agencies and looked.unknown_agencies):
        return looked, []
    for code, name in looked.unknown_agencies.items():
        content = AgencyIn(name=name, kind=kind_of_agency(name))
        put_agency(session, author, actor, plan.region_code, code, content, lambda version: None)
    return look(), sorted(looked.unknown_agencies)


def kind_of_agency(name: str) -> AgencyKind:
    """By the first word of its name; `other` where that says nothing."""
    first = name.split()[0].casefold()
    words = {"dinas": "dinas", "badan": "badan", "kecamatan": "kecamatan", "sekretariat": "sekretariat", "bagian": "sekretariat"}
    return AgencyKind(words.get(first, "other"))


def _codes(before: dict[str, dict[str, Any]], lines: Sequence[Resolved]) -> list[str]:
    fresh = new_codes(list(before))
    return [code or next(fresh) for code in matched(before, lines)]


def _drafts(lines: Sequence[Resolved], codes: Sequence[str], before: dict[str, dict[str, Any]], names: Any) -> list[Draft]:
    """The actions that the lines make. Invalid where a cell's content is not one an action can hold."""
    drafts, errors = [], []
    for code, line in zip(codes, lines, strict=True):
        try:
            content = ActionIn.model_validate(content_of(line, before.get(code), names))
        except ValidationError as error:
            errors += [_at_cell(found, line.line) for found in body_errors(error)]
            continue
        drafts.append(Draft(code, content))
    if errors:
        raise Invalid(errors=errors)
    return drafts


_COLUMN_OF = {
    "title": "subactivity", "subactivity": "subactivity", "subactivity_code": "subactivity", "activity": "activity",
    "program": "program", "lead_agency": "agency", "strategy": "strategy", "allocation": "allocation",
    "budget_lines": "funding_sources", "components": "direct", "locations": "location", "recipients": "recipients",
    "benefit_amount": "benefit_amount", "benefit_description": "benefit_amount", "benefit_forms": "benefit_form",
    "benefit_months": "duration", "benefit_regularity": "regularity", "amount": "funding_sources",
}


def _column_of(pointer: str) -> str:
    return _COLUMN_OF.get(pointer.split("/")[1] if "/" in pointer else pointer, "subactivity")


def _at_cell(error: FieldError, row: MatrixRow) -> FieldError:
    cell = row.cell(_column_of(error.pointer or ""))
    return FieldError(error.kind, cell=cell, value=error.value, allowed=error.allowed, values=error.values)


def _line_finding(finding: Any, code: str, line: Resolved, language: Language) -> ImportFinding:
    said = finding.shown(language)
    cell = line.line.cell(_column_of(finding.pointer))
    return ImportFinding(
        line=code, cell=CellShape(**cell._asdict()), code=finding.code, severity=finding.severity, message=said["message"]
    )


# Realisation


def _report(
    session: Session, author: Author, actor: Actor, plan: sa.Row[Any], period: str, half: Literal["q2", "q4"], basis: Basis,
    codes: Sequence[str], lines: Sequence[Resolved], reason: str,
) -> list[Reported]:
    """Report what the file says was spent by the end of a half-year; a figure that the half-year's latest
    report already says adds none."""
    spent = {
        code: figure
        for code, line in zip(codes, lines, strict=True)
        if (figure := getattr(cumulative_spent(line.line, basis), half)) is not None
    }
    stored = stored_actions(session, plan, list(spent))
    ids = {code: action.id for code, action in stored.items()}
    known = latest_spent(session, list(ids.values()), period, after=f"{plan.year}-Q2" if half == "q4" else None)
    there = stored_progress(session, list(ids.values()), period)
    reports = []
    for code, figure in spent.items():
        if ids[code] not in there and known.get(ids[code]) == figure:
            continue
        content = dict(there[ids[code]].content) if ids[code] in there else {}
        if content.get("spent") != figure:
            # A total of the file leaves the split open: what was split before no longer adds up.
            content |= {"spent": figure, "spending": [], "components": []}
        reports.append(Report(code, ProgressIn.model_validate(content)))
    return report_progress(session, author, actor, plan, period, reports, check=lambda _: None, reason=reason) if reports else []


def _progress_findings(
    done: Sequence[Reported], codes: Sequence[str], lines: Sequence[Resolved], half: Literal["q2", "q4"], language: Language
) -> list[ImportFinding]:
    line_of = dict(zip(codes, lines, strict=True))
    column = "spent_s1" if half == "q2" else "spent_s2"
    return [
        ImportFinding(
            line=one.code, cell=CellShape(**line_of[one.code].line.cell(column)._asdict()), code=finding.code,
            severity=finding.severity, message=finding.shown(language)["message"],
        )
        for one in done
        for finding in one.findings
    ]
