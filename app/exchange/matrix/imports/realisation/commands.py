"""Commands of the realisation columns: they report the figures that a file changes, by quarter.

A figure that equals the stored one changes nothing, also in a closed quarter; a changed one needs an open quarter.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from pydantic import ValidationError
from sqlmodel import Session

from app.access.commands import Write
from app.exchange.matrix.imports.models import ImportedProgress, not_in_force_yet, quarter_without_line
from app.exchange.matrix.imports.rules import LineWrite, locate_errors, relocate
from app.exchange.matrix.models import Basis
from app.exchange.matrix.queries import make_columns
from app.exchange.matrix.spending import SPENT_COLUMNS, accumulate_spending
from app.kit.batch import BatchWrite
from app.kit.http.validation import list_body_errors
from app.kit.problems import Cell, FieldError, Invalid, refuse
from app.plans.core.models import Plan
from app.plans.findings.kinds import Finding
from app.tracking.lines.queries import LineSpending, check_stored_reports, read_spending
from app.tracking.progress.models import ProgressIn, ReportContent
from app.tracking.progress.queries import read_reports
from app.tracking.quarters.queries import read_status
from app.tracking.quarters.rules import QuarterClosed, find_closed_agencies
from app.tracking.reporting.commands import ReportDraft, report_progress


@dataclass(frozen=True)
class Realisation:
    """The realisation columns of a file."""

    plan: Plan
    writings: Sequence[LineWrite]
    basis: Basis
    bases: Mapping[int, Mapping[str, int]]
    """Row → stored spending by quarter."""
    in_force: Collection[str] | None
    """Lines in force, if the file goes into an amendment; None: into the plan itself."""
    reason: str

    def is_drafted(self, writing: LineWrite) -> bool:
        """Return whether only the amendment has the line."""
        return self.in_force is not None and not (writing.is_of_quarter or writing.code in self.in_force)


class _Figure(NamedTuple):
    """Spending of a line from January to the end of a quarter, in whole rupiah."""

    writing: LineWrite
    column: str
    spent: int
    shown: int | None
    """What an export shows; None: nothing, although an earlier report may count."""
    in_cell: int

    @property
    def cell(self) -> Cell:
        return self.writing.resolved.line.cell(self.column)


@dataclass
class _Quarter:
    """A quarter of the file with its figures."""

    period: str
    lines: Mapping[str, LineSpending]
    """Lines of the quarter, with their stored spending."""
    figures: list[_Figure] = field(default_factory=list)
    changed: list[_Figure] = field(default_factory=list)
    reports: list[ReportDraft] = field(default_factory=list)
    """The reports with the changed figures."""
    errors: list[FieldError] = field(default_factory=list)
    is_closed: bool = False
    """Whether a changed figure belongs to a quarter, or a part of one, that takes no reports now."""


def read_spending_before(session: Session, plan: Plan, columns: Collection[str]) -> dict[str, dict[str, int]]:
    """Return quarter → line → its stored spending, for the quarters before the columns of a file."""
    quarters = {column.before for column in SPENT_COLUMNS if column.key in columns and column.before}
    return {
        quarter: {
            code: line.spent
            for code, line in read_spending(session, plan, f"{plan.year}-{quarter}").items()
            if line.spent is not None
        }
        for quarter in sorted(quarters)
    }


def report_quarters(write: Write, realisation: Realisation) -> list[ImportedProgress]:
    """Report the figures that differ from the stored ones. Returns the counts by quarter.

    Raises QuarterClosed (409) or Invalid with the cells of every quarter.
    """
    plan = realisation.plan
    quarters = _read_quarters(write.session, realisation)
    stored = {(report.period, code): report.content for code, report in read_reports(write.session, plan)}
    for quarter in quarters:
        _find_changes(write, realisation, quarter)
        _make_reports(quarter, stored)
    errors = [error for quarter in quarters for error in quarter.errors]
    if closed := [quarter.period for quarter in quarters if quarter.is_closed]:
        raise QuarterClosed(period=", ".join(closed), region=plan.region_code, errors=errors)
    refuse(errors)
    counts = []
    for quarter in quarters:
        try:
            counts.append(_write_reports(write, realisation, quarter))
        except Invalid as problem:
            errors += problem.errors
    refuse(errors)
    return counts


def _read_quarters(session: Session, realisation: Realisation) -> list[_Quarter]:
    """Return the quarters with figures in the file. Of a half-year and its last quarter the first counts."""
    plan = realisation.plan
    found: dict[str, _Quarter] = {}
    of_q2 = read_spending(session, plan, f"{plan.year}-Q2")
    for writing in realisation.writings:
        line = writing.resolved.line
        spent = accumulate_spending(line, realisation.basis, realisation.bases.get(line.row))
        given: dict[str, str] = {}
        for column in SPENT_COLUMNS:
            if column.key in spent:
                given.setdefault(column.quarter, column.key)
        for name, key in given.items():
            if name not in found:
                period = f"{plan.year}-{name}"
                lines = of_q2 if name == "Q2" else read_spending(session, plan, period)
                found[name] = _Quarter(period, lines)
            shown = _find_shown(found[name], key, of_q2.get(writing.code), writing.code)
            found[name].figures.append(_Figure(writing, key, spent[key], shown, line[key]))
    return [found[name] for name in sorted(found)]


def _find_shown(quarter: _Quarter, column: str, of_q2: LineSpending | None, code: str) -> int | None:
    """Return what an export shows of a line in a half-year, or what the quarter's own report has."""
    line = quarter.lines.get(code)
    if column in ("spent_s1", "spent_s2"):
        return make_columns(of_q2, line, "cumulative")[column]
    return line.spent if line is not None and line.reported_in == quarter.period else None


def _find_changes(write: Write, realisation: Realisation, quarter: _Quarter) -> None:
    """Find the figures that change a report, and the errors of those that cannot."""
    plan = realisation.plan
    status = read_status(write.session, plan, quarter.period, write.author.at)
    agencies = {line.lead_agency for line in quarter.lines.values()}
    closed = find_closed_agencies(status, agencies, write.actor).by_agency
    for figure in quarter.figures:
        line = quarter.lines.get(figure.writing.code)
        if line is None:
            kind = not_in_force_yet if realisation.is_drafted(figure.writing) else quarter_without_line
            names = {"period": quarter.period}
            quarter.errors.append(FieldError(kind, cell=figure.cell, value=figure.in_cell, values=names))
        elif figure.spent == figure.shown:
            continue
        elif line.lead_agency not in closed:
            quarter.changed.append(figure)
        elif figure.spent != line.spent:
            # In the basis of the file: a second half-year alone begins with the file's first.
            same = None if line.spent is None else [line.spent - figure.spent + figure.in_cell]
            error = replace(closed[line.lead_agency], allowed=same)
            quarter.errors.append(relocate(figure.cell, error))
            quarter.is_closed = True


def _make_reports(quarter: _Quarter, stored: Mapping[tuple[str, str], ReportContent]) -> None:
    """Make the reports of the changed figures from the stored ones."""
    for figure in quarter.changed:
        code = figure.writing.code
        content: dict[str, object] = dict(stored.get((quarter.period, code), {}))
        if content.get("spent") != figure.spent:
            # The file has no split of a total, and the stored split no longer adds up to it.
            content |= {"spent": figure.spent, "spending": [], "components": []}
        try:
            report = ProgressIn.model_validate(content)
        except ValidationError as error:
            quarter.errors += [relocate(figure.cell, item) for item in list_body_errors(error)]
        else:
            quarter.reports.append(ReportDraft(code, report, pointer=f"/{len(quarter.reports)}"))


def _write_reports(write: Write, realisation: Realisation, quarter: _Quarter) -> ImportedProgress:
    counts = Counter(unchanged=len(quarter.figures) - len(quarter.reports))
    if quarter.reports:
        changed = quarter.changed
        with locate_errors([f.writing for f in changed], [f.column for f in changed]):
            done = report_progress(
                write,
                realisation.plan,
                quarter.period,
                BatchWrite(quarter.reports),
                reason=realisation.reason,
            )
        counts.update(str(outcome.status) for outcome in done.outcomes)
    return ImportedProgress(
        period=quarter.period,
        created=counts["created"],
        updated=counts["updated"],
        unchanged=counts["unchanged"],
    )


def find_report_findings(
    session: Session, plan: Plan, realisation: Realisation
) -> Iterator[tuple[LineWrite, Cell, Finding]]:
    """Yield the findings of the reports of a file's quarters on its lines, each with its cell."""
    by_code = {writing.code: writing for writing in realisation.writings}
    for placed in check_stored_reports(session, plan):
        writing = by_code.get(placed.action or "")
        if writing is None:
            continue
        for column in SPENT_COLUMNS:
            is_given = writing.resolved.line[column.key] is not None
            if is_given and placed.period == f"{plan.year}-{column.quarter}":
                yield writing, writing.resolved.line.cell(column.key), placed.finding
                break
