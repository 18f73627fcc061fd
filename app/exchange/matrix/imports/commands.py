"""Writes of an import: agencies, lines and realisation of a file, in one transaction."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from pydantic import ValidationError
from sqlmodel import Session

from app.access.commands import Write
from app.agencies.commands import put_agency
from app.agencies.models import AgencyIn
from app.exchange.matrix.amounts import accumulate_spending, check_totals
from app.exchange.matrix.cells import CodeNames, sort_codes
from app.exchange.matrix.imports.models import (
    Acceptance,
    ImportedProgress,
    ImportFinding,
    ImportQuery,
    ImportReport,
    Resolution,
    basis_required,
    line_has_ended,
    no_amendment,
    not_in_force_yet,
)
from app.exchange.matrix.imports.queries import MatrixFile, read_action_ids
from app.exchange.matrix.imports.resolving import ResolvedFile, resolve
from app.exchange.matrix.imports.rules import (
    ResolvedLine,
    find_agency_kind,
    find_column,
    make_codes,
    match_lines,
    merge_content,
)
from app.exchange.matrix.models import Basis, Content, Matrix
from app.exchange.matrix.queries import read_code_names
from app.kit.batch import BatchWrite, ItemOutcome
from app.kit.database.journal import lock_chain
from app.kit.http.validation import list_body_errors
from app.kit.problems import (
    MOST_CELL_ERRORS,
    BadRequest,
    Cell,
    FieldError,
    Invalid,
    Problem,
    refuse,
)
from app.kit.wording import Language
from app.plans.actions.commands import put_actions
from app.plans.actions.models import ActionIn
from app.plans.actions.queries import read_stored_actions
from app.plans.actions.rules import Draft
from app.plans.amendments.commands import put_amended_actions
from app.plans.amendments.models import build_reason
from app.plans.amendments.queries import read_amended_rows, read_editions, read_open_amendment
from app.plans.core.models import Plan, Reason
from app.plans.core.queries import find_plan
from app.plans.core.rules import format_plan_chain
from app.plans.findings.kinds import W07, Finding
from app.plans.findings.models import PlanFinding, dump_placed
from app.plans.findings.queries import check_lines, check_plan
from app.plans.workflow.queries import read_lines_to_submit
from app.tracking.progress.models import ProgressIn
from app.tracking.progress.queries import read_latest_spent, read_stored_and_before
from app.tracking.reporting.commands import ReportDraft, report_progress


class HalfYear(NamedTuple):
    """A half of the year, named by the quarter it ends with, and its column."""

    name: Literal["q2", "q4"]
    column: str


HALF_YEARS = (HalfYear("q2", "spent_s1"), HalfYear("q4", "spent_s2"))


@dataclass(frozen=True)
class LineWrite:
    """A line of the file, and the action that it becomes."""

    code: str
    resolved: ResolvedLine
    content: Content
    """The action to store."""
    is_unchanged: bool

    def cell(self, pointer: str) -> Cell:
        return self.resolved.line.cell(find_column(pointer, self.content))


@dataclass(frozen=True)
class AmendmentTarget:
    """The open amendment of a plan in force, as the target of an import."""

    lines: Mapping[str, Content]
    """Its drafted lines by code."""
    taken: Sequence[str]
    """Codes that new lines cannot have."""
    reason: Reason | None
    """Reason for every line that the file changes."""


@dataclass
class _Import:
    write: Write
    plan: Plan
    reason: str
    language: Language
    amended: AmendmentTarget | None
    findings: list[ImportFinding] = field(default_factory=list)
    plan_findings: list[PlanFinding] = field(default_factory=list)


def import_matrix(
    write: Write,
    plan: str,
    file: MatrixFile,
    query: ImportQuery,
    resolutions: Sequence[Resolution] = (),
    language: Language = "id",
) -> ImportReport:
    """Write the lines of a file into a plan, and its realisation into the reports of Q2 and Q4. Idempotent.

    The lines of a plan in force go into its open amendment, the realisation into reports on the lines in force.
    Raises Invalid with every unresolved cell, before it writes anything.
    """
    session, actor = write.session, write.actor
    matrix, reason = file.matrix, f"import sha256:{file.sha256[:16]}"
    row = find_plan(session, actor, plan)
    actor.require("import_matrix", row.region_code)
    if len(matrix.errors) >= MOST_CELL_ERRORS:
        raise Invalid(errors=matrix.errors)
    chain = format_plan_chain(plan)
    if query.new_agencies == "create":
        # The merge of agencies locks the region before its plans; the same order here prevents deadlocks.
        lock_chain(session, f"region:{row.region_code}")
    lock_chain(session, chain)
    row = find_plan(session, actor, plan)
    amended = _find_amendment(session, row, build_reason(query.category, query.reason))
    run = _Import(write, row, reason, language, amended)
    stored = (
        amended.lines
        if amended
        else {code: dict(action.content) for code, action in read_stored_actions(session, row).items()}
    )
    resolved = resolve(session, run.plan, matrix.rows, stored.values(), resolutions, query)
    errors = [*matrix.errors, *_check_basis(matrix, query)]
    cells = {error.cell for error in errors}
    errors += [error for error in resolved.errors if error.cell is None or error.cell not in cells]
    agencies, wrong_agencies = _make_agencies(resolved)
    refuse([*errors, *wrong_agencies])
    for code, content in agencies.items():
        put_agency(write.drop_precondition(), run.plan.region_code, code, content)
    names = read_code_names(session, run.plan, list(stored.values()))
    writings = _match_lines(resolved.lines, stored, names, amended.taken if amended else list(stored))
    counts = _write_lines(run, writings)
    progress = _report_halves(run, writings, query.basis) if matrix.has_realisation and query.basis else []
    return ImportReport(
        plan=plan,
        sheet=matrix.sheet,
        lines=len(writings),
        created=counts["created"],
        updated=counts["updated"],
        unchanged=counts["unchanged"],
        absent=sort_codes(stored.keys() - {writing.code for writing in writings}),
        agencies_created=sorted(agencies),
        free_text=sum(writing.content["subactivity_code"] is None for writing in writings),
        allocation=sum(writing.content["allocation"] for writing in writings),
        by_strategy=dict(Counter(writing.content["strategy"] for writing in writings)),
        progress=progress,
        findings=run.findings,
        plan_findings=run.plan_findings,
        warnings=[
            warning.render(language)
            for warning in (*matrix.warnings, *resolved.warnings, *_find_ended(writings))
        ],
    )


def _find_amendment(session: Session, plan: Plan, reason: Reason | None) -> AmendmentTarget | None:
    """Return the open amendment of a plan in force. Returns None if the file goes into the plan itself."""
    amendment = read_open_amendment(session, plan)
    if amendment is None:
        if reason is not None and plan.revision is None:
            raise BadRequest(errors=[FieldError(no_amendment, parameter="reason")])
        return None
    before, after, reasons = read_editions(session, amendment)
    lines = {code: dict(content) for code, content in after.actions.items()}
    return AmendmentTarget(lines, [*{**before.actions, **reasons}], reason)


def _check_basis(matrix: Matrix, query: ImportQuery) -> list[FieldError]:
    if not matrix.has_realisation:
        return []
    if query.basis is None:
        return [FieldError(basis_required, parameter="basis", allowed=["cumulative", "period"])]
    return [] if Acceptance.totals in query.accept else check_totals(matrix.rows, query.basis)


# Agencies that the file names and the region does not have


def _make_agencies(resolved: ResolvedFile) -> tuple[dict[str, AgencyIn], list[FieldError]]:
    agencies: dict[str, AgencyIn] = {}
    errors: list[FieldError] = []
    for code, (name, cell) in resolved.new_agencies.items():
        try:
            agencies[code] = AgencyIn(name=name, kind=find_agency_kind(name))
        except ValidationError as error:
            errors += [_relocate(cell, problem) for problem in list_body_errors(error)]
    return agencies, errors


# Lines


def _match_lines(
    lines: Sequence[ResolvedLine], stored: Mapping[str, Content], names: CodeNames, taken: Sequence[str]
) -> list[LineWrite]:
    def has_equal_content(code: str, line: ResolvedLine) -> bool:
        return merge_content(line, stored[code], names) == stored[code]

    fresh = make_codes(taken)
    writings = []
    for line, known in zip(lines, match_lines(stored, lines, has_equal_content), strict=True):
        content = merge_content(line, stored[known] if known else None, names)
        writings.append(
            LineWrite(known or next(fresh), line, content, known is not None and content == stored[known])
        )
    return writings


def _find_ended(writings: Sequence[LineWrite]) -> list[FieldError]:
    """Return a warning for each ended line that the file changes."""
    return [
        FieldError(line_has_ended, cell=writing.resolved.line.cell("subactivity"), value=writing.code)
        for writing in writings
        if not writing.is_unchanged and writing.content.get("ends_after") is not None
    ]


def _write_lines(run: _Import, writings: Sequence[LineWrite]) -> Counter[str]:
    """Write the lines that changed. Raises Invalid with the cell of each value that an action cannot hold."""
    changed = [writing for writing in writings if not writing.is_unchanged]
    errors: list[FieldError] = []
    drafts: list[Draft] = []
    for n, writing in enumerate(changed):
        try:
            drafts.append(Draft(writing.code, ActionIn.model_validate(writing.content), pointer=f"/{n}"))
        except ValidationError as error:
            errors += [_relocate(writing.cell(item.pointer or ""), item) for item in list_body_errors(error)]
    with _locate_errors(changed):
        outcomes = _put_drafts(run, drafts, errors)
    _collect_findings(run, writings)
    counts = Counter(str(outcome.status) for outcome in outcomes)
    counts["unchanged"] += len(writings) - len(changed)
    return counts


def _put_drafts(run: _Import, drafts: Sequence[Draft], errors: Sequence[FieldError]) -> Sequence[ItemOutcome]:
    """Write drafts into the plan, or into its open amendment with the import's reason for each line."""
    batch = BatchWrite(drafts, errors_before=errors)
    if run.amended is None:
        return put_actions(run.write, run.plan, batch, reason=run.reason).outcomes
    if not drafts and not errors:
        return []  # Nothing to draft: the realisation does not depend on the amendment's state.
    reasons = _collect_reasons(run, drafts)
    return put_amended_actions(run.write, run.plan.code, batch, reasons, note=run.reason).outcomes


def _collect_reasons(run: _Import, drafts: Sequence[Draft]) -> dict[str, list[Reason]]:
    """Return the reasons of drafted lines: the stored ones, and the import's reason for the whole line."""
    rows = read_amended_rows(run.write.session, run.plan, [draft.code for draft in drafts])
    reasons = {code: [Reason.model_validate(reason) for reason in row.reasons] for code, row in rows.items()}
    own = run.amended.reason if run.amended else None
    if own is None:
        return reasons
    return {
        draft.code: [own, *(reason for reason in reasons.get(draft.code, ()) if reason.field != own.field)]
        for draft in drafts
    }


def _collect_findings(run: _Import, writings: Sequence[LineWrite]) -> None:
    """Collect the findings of the file's lines with their cells, and those of the plan."""
    by_code = {writing.code: writing for writing in writings}
    if run.amended is None:
        findings = check_plan(run.write.session, run.plan).found
    else:
        lines = read_lines_to_submit(run.write.session, run.plan)
        findings = check_lines(run.write.session, run.plan, lines, is_amended=True)
    for placed in findings:
        if placed.period is None and placed.action in by_code and placed.finding.kind is not W07:
            writing = by_code[placed.action]
            _add_finding(run, writing.code, writing.cell(placed.finding.pointer), placed.finding)
        elif placed.period is None and (placed.action is None or placed.finding.kind is W07):
            run.plan_findings.append(dump_placed(placed, run.language))


@contextmanager
def _locate_errors(writings: Sequence[LineWrite], column: str | None = None) -> Iterator[None]:
    """Turn the pointers of errors into cells of the file, all in `column` or by field."""
    try:
        yield
    except Problem as problem:
        errors = []
        for error in problem.errors:
            place, slash, remainder = (error.pointer or "").removeprefix("/").partition("/")
            if place.isdecimal():
                writing = writings[int(place)]
                cell = writing.resolved.line.cell(column) if column else writing.cell(slash + remainder)
                error = _relocate(cell, error)
            errors.append(error)
        problem.errors = tuple(_drop_duplicates(errors))
        raise


def _relocate(cell: Cell, error: FieldError) -> FieldError:
    return replace(error, pointer=None, parameter=None, header=None, cell=cell)


def _drop_duplicates(errors: Sequence[FieldError]) -> list[FieldError]:
    """Return the first error of each kind and cell: too long a name gives one error as title and one as name."""
    return list(
        {(error.kind.code, error.cell or error.pointer): error for error in reversed(errors)}.values()
    )[::-1]


def _add_finding(run: _Import, code: str, cell: Cell, finding: Finding) -> None:
    fields = {**finding.render(run.language), "line": code, "cell": cell._asdict()}
    run.findings.append(ImportFinding.model_validate(fields))


# Realisation


def _report_halves(run: _Import, writings: Sequence[LineWrite], basis: Basis) -> list[ImportedProgress]:
    ids = read_action_ids(run.write.session, run.plan)
    result = []
    for half in HALF_YEARS:
        period = f"{run.plan.year}-{half.name.upper()}"
        done, findings = _report_half(run, period, half, basis, writings, ids)
        cells = {writing.code: writing.resolved.line.cell(half.column) for writing in writings}
        for code, of_line in findings.items():
            for finding in of_line:
                _add_finding(run, code, cells[code], finding)
        if done:
            kinds = Counter(outcome.status for outcome in done)
            result.append(
                ImportedProgress(
                    period=period,
                    created=kinds["created"],
                    updated=kinds["updated"],
                    unchanged=kinds["unchanged"],
                )
            )
    return result


def _report_half(
    run: _Import,
    period: str,
    half: HalfYear,
    basis: Basis,
    writings: Sequence[LineWrite],
    ids: Mapping[str, int],
) -> tuple[Sequence[ItemOutcome], Mapping[str, Sequence[Finding]]]:
    """Report the figures of a half-year that differ from the latest reports. Return the outcomes and the findings."""
    session, column = run.write.session, half.column
    after = f"{run.plan.year}-Q2" if half.name == "q4" else None
    known = read_latest_spent(session, list(ids.values()), period, after=after)
    stored, _ = read_stored_and_before(session, list(ids.values()), period)
    reports: list[ReportDraft] = []
    reported: list[LineWrite] = []
    errors: list[FieldError] = []
    for writing in writings:
        figure = getattr(accumulate_spending(writing.resolved.line, basis), half.name)
        cell = writing.resolved.line.cell(column)
        id = ids.get(writing.code)
        if id is None:
            if figure is not None:
                errors.append(FieldError(not_in_force_yet, cell=cell, value=figure))
            continue
        if figure is None or (id not in stored and known.get(id) == figure):
            continue
        content = dict(stored[id].content) if id in stored else {}
        if content.get("spent") != figure:
            # The file has no split of a total, and the stored split no longer adds up to it.
            content |= {"spent": figure, "spending": [], "components": []}
        try:
            reports.append(
                ReportDraft(writing.code, ProgressIn.model_validate(content), pointer=f"/{len(reports)}")
            )
        except ValidationError as error:
            errors += [_relocate(cell, problem) for problem in list_body_errors(error)]
        reported.append(writing)
    refuse(errors)
    if not reports:
        return [], {}
    with _locate_errors(reported, column):
        done = report_progress(run.write, run.plan, period, BatchWrite(reports), reason=run.reason)
    return done.outcomes, done.findings
