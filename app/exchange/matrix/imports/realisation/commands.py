"""Commands of the realisation columns: they report the figures that a file changes, of Q2 and of Q4.

A figure that equals the stored one changes nothing, also in a closed quarter; a changed one needs an open quarter.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from pydantic import ValidationError
from sqlmodel import Session

from app.access.commands import Write
from app.exchange.matrix.amounts import accumulate_spending
from app.exchange.matrix.imports.models import ImportedProgress, not_in_force_yet, quarter_without_line
from app.exchange.matrix.imports.rules import LineWrite, locate_errors, relocate
from app.exchange.matrix.models import Basis
from app.exchange.matrix.queries import make_columns
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
    bases: Mapping[int, int]
    """Row → stored spending of the first half-year, or 0 if the file gives it."""
    in_force: Collection[str] | None
    """Lines in force, if the file goes into an amendment; None: into the plan itself."""
    reason: str

    def is_drafted(self, writing: LineWrite) -> bool:
        """Return whether only the amendment has the line."""
        return self.in_force is not None and not (writing.is_of_quarter or writing.code in self.in_force)


class _Figure(NamedTuple):
    """Spending of a line from January to the end of a quarter, in whole rupiah."""

    writing: LineWrite
    spent: int
    shown: int | None
    """What an export shows; None: nothing, although an earlier report may count."""
    in_cell: int


@dataclass
class _HalfYear:
    """A half-year of the file: the quarter that ends it, its column, and its figures."""

    period: str
    column: str
    lines: Mapping[str, LineSpending]
    """Lines of the quarter, with their stored spending."""
    figures: list[_Figure] = field(default_factory=list)
    changed: list[_Figure] = field(default_factory=list)
    reports: list[ReportDraft] = field(default_factory=list)
    """The reports with the changed figures."""
    errors: list[FieldError] = field(default_factory=list)
    is_closed: bool = False
    """Whether a changed figure belongs to a quarter, or a part of one, that takes no reports now."""

    def cell(self, figure: _Figure) -> Cell:
        return figure.writing.resolved.line.cell(self.column)


def read_first_half(session: Session, plan: Plan) -> dict[str, int]:
    """Map the lines of a plan to their stored spending to the end of June."""
    lines = read_spending(session, plan, f"{plan.year}-Q2")
    return {code: line.spent for code, line in lines.items() if line.spent is not None}


def report_halves(write: Write, realisation: Realisation) -> list[ImportedProgress]:
    """Report the figures that differ from the stored ones. Returns the counts by quarter.

    Raises QuarterClosed (409) or Invalid with the cells of both half-years.
    """
    plan = realisation.plan
    halves = _read_halves(write.session, realisation)
    stored = {(report.period, code): report.content for code, report in read_reports(write.session, plan)}
    for half in halves:
        _find_changes(write, realisation, half)
        _make_reports(half, stored)
    errors = [error for half in halves for error in half.errors]
    if closed := [half.period for half in halves if half.is_closed]:
        raise QuarterClosed(period=", ".join(closed), region=plan.region_code, errors=errors)
    refuse(errors)
    counts = []
    for half in halves:
        try:
            counts.append(_write_reports(write, realisation, half))
        except Invalid as problem:
            errors += problem.errors
    refuse(errors)
    return counts


def _read_halves(session: Session, realisation: Realisation) -> list[_HalfYear]:
    """Return the half-years with figures in the file."""
    plan = realisation.plan
    halves = [
        _HalfYear(period, column, read_spending(session, plan, period))
        for period, column in ((f"{plan.year}-Q2", "spent_s1"), (f"{plan.year}-Q4", "spent_s2"))
    ]
    first, last = (half.lines for half in halves)
    for writing in realisation.writings:
        line = writing.resolved.line
        spent = accumulate_spending(line, realisation.basis, realisation.bases.get(line.row, 0))
        shown = make_columns(first.get(writing.code), last.get(writing.code), "cumulative")
        for half, amount in zip(halves, (spent.q2, spent.q4), strict=True):
            if amount is not None:
                half.figures.append(_Figure(writing, amount, shown[half.column], line[half.column]))
    return [half for half in halves if half.figures]


def _find_changes(write: Write, realisation: Realisation, half: _HalfYear) -> None:
    """Find the figures that change a report, and the errors of those that cannot."""
    plan = realisation.plan
    status = read_status(write.session, plan, half.period, write.author.at)
    agencies = {line.lead_agency for line in half.lines.values()}
    closed = find_closed_agencies(status, agencies, write.actor).by_agency
    for figure in half.figures:
        line = half.lines.get(figure.writing.code)
        if line is None:
            kind = not_in_force_yet if realisation.is_drafted(figure.writing) else quarter_without_line
            names = {"period": half.period}
            half.errors.append(FieldError(kind, cell=half.cell(figure), value=figure.in_cell, values=names))
        elif figure.spent == figure.shown:
            continue
        elif line.lead_agency not in closed:
            half.changed.append(figure)
        elif figure.spent != line.spent:
            # In the basis of the file: a second half-year alone begins with the file's first.
            same = None if line.spent is None else [line.spent - figure.spent + figure.in_cell]
            error = replace(closed[line.lead_agency], allowed=same)
            half.errors.append(relocate(half.cell(figure), error))
            half.is_closed = True


def _make_reports(half: _HalfYear, stored: Mapping[tuple[str, str], ReportContent]) -> None:
    """Make the reports of the changed figures from the stored ones."""
    for figure in half.changed:
        code = figure.writing.code
        content: dict[str, object] = dict(stored.get((half.period, code), {}))
        if content.get("spent") != figure.spent:
            # The file has no split of a total, and the stored split no longer adds up to it.
            content |= {"spent": figure.spent, "spending": [], "components": []}
        try:
            report = ProgressIn.model_validate(content)
        except ValidationError as error:
            half.errors += [relocate(half.cell(figure), item) for item in list_body_errors(error)]
        else:
            half.reports.append(ReportDraft(code, report, pointer=f"/{len(half.reports)}"))


def _write_reports(write: Write, realisation: Realisation, half: _HalfYear) -> ImportedProgress:
    counts = Counter(unchanged=len(half.figures) - len(half.reports))
    if half.reports:
        with locate_errors([figure.writing for figure in half.changed], half.column):
            done = report_progress(
                write, realisation.plan, half.period, BatchWrite(half.reports), reason=realisation.reason
            )
        counts.update(str(outcome.status) for outcome in done.outcomes)
    return ImportedProgress(
        period=half.period,
        created=counts["created"],
        updated=counts["updated"],
        unchanged=counts["unchanged"],
    )


def find_report_findings(
    session: Session, plan: Plan, writings: Sequence[LineWrite]
) -> Iterator[tuple[LineWrite, Cell, Finding]]:
    """Yield the findings of the reports of Q2 and Q4 on the lines of a file, each with its cell."""
    by_code = {writing.code: writing for writing in writings}
    columns = {f"{plan.year}-Q2": "spent_s1", f"{plan.year}-Q4": "spent_s2"}
    for placed in check_stored_reports(session, plan):
        writing, column = by_code.get(placed.action or ""), columns.get(placed.period or "")
        if writing and column and writing.resolved.line[column] is not None:
            yield writing, writing.resolved.line.cell(column), placed.finding
