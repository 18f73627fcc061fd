"""Writes of an import: agencies, lines and realisation of a file, in one transaction."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from pydantic import ValidationError
from sqlmodel import Session

from app.access.commands import Write
from app.agencies.commands import put_agency
from app.agencies.models import AgencyIn
from app.changes.commands import ImportedFile
from app.exchange.matrix.cells import CodeNames, sort_codes
from app.exchange.matrix.imports.matching.rules import match_versions
from app.exchange.matrix.imports.models import (
    Acceptance,
    ImportFinding,
    ImportQuery,
    ImportReport,
    Resolution,
    VersionBefore,
    basis_required,
    left_plan,
    line_has_ended,
    no_amendment,
)
from app.exchange.matrix.imports.queries import MatrixFile, read_quarter_plans
from app.exchange.matrix.imports.realisation.commands import (
    Realisation,
    find_report_findings,
    read_spending_before,
    report_quarters,
)
from app.exchange.matrix.imports.resolving.queries import ResolvedFile, resolve
from app.exchange.matrix.imports.rules import (
    LineWrite,
    ResolvedLine,
    find_agency_kind,
    has_equal_content,
    locate_errors,
    make_codes,
    merge_content,
    relocate,
)
from app.exchange.matrix.models import Content, Matrix
from app.exchange.matrix.queries import read_code_names
from app.exchange.matrix.spending import check_totals, has_open_start, list_quarters
from app.kit.batch import BatchWrite, ItemOutcome
from app.kit.database.journal import lock_chain
from app.kit.http.validation import list_body_errors
from app.kit.personal import find_new_numbers
from app.kit.problems import MOST_CELL_ERRORS, BadRequest, Cell, FieldError, Invalid, refuse
from app.kit.wording import Language
from app.plans.actions.commands import put_actions
from app.plans.actions.models import ActionIn
from app.plans.actions.queries import read_stored_actions
from app.plans.actions.rules import Draft
from app.plans.amendments.commands import put_amended_actions
from app.plans.amendments.models import build_reason
from app.plans.amendments.queries import (
    read_amended_rows,
    read_amended_versions,
    read_editions,
    read_open_amendment,
)
from app.plans.core.models import Plan, Reason
from app.plans.core.queries import find_plan
from app.plans.core.rules import format_plan_chain
from app.plans.findings.kinds import W07, Finding
from app.plans.findings.models import PlanFinding, dump_placed
from app.plans.findings.queries import check_lines, check_plan
from app.plans.imports.commands import record_import
from app.plans.workflow.queries import read_lines_to_submit


@dataclass(frozen=True)
class AmendmentTarget:
    """The open amendment of a plan in force, as the target of an import."""

    lines: Mapping[str, Content]
    """Its drafted lines by code."""
    in_force: Collection[str]
    """Codes of the plan's lines in force."""
    taken: Sequence[str]
    """Codes that new lines cannot have."""
    reason: Reason | None
    """Reason for every line that the file changes."""
    versions: Mapping[str, int]
    """Versions of its lines by code."""


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
    """Write the lines of a file into a plan, and its realisation into the reports of its quarters. Idempotent.

    The lines of a plan in force go into its open amendment, the realisation into reports on the lines in force.
    Raises Invalid with every unresolved cell, before it writes anything.
    """
    session, actor = write.session, write.actor
    matrix = file.matrix
    choices = {"columns": file.choices, "resolutions": resolutions}
    source = ImportedFile.of(file.name, file.data, matrix.sheet, query, **choices)
    reason = f"import sha256:{source.sha256[:16]}"
    row = find_plan(session, actor, plan)
    actor.require("import_matrix", row.region_code)
    if len(matrix.errors) >= MOST_CELL_ERRORS:
        raise Invalid(errors=matrix.errors, columns=matrix.columns)
    chain = format_plan_chain(plan)
    if query.new_agencies == "create":
        # The merge of agencies locks the region before its plans; the same order here prevents deadlocks.
        lock_chain(session, f"region:{row.region_code}")
    lock_chain(session, chain)
    row = find_plan(session, actor, plan)
    amended = _find_amendment(session, row, build_reason(query.category, query.reason))
    run = _Import(write, row, reason, language, amended)
    in_plan = {} if amended else read_stored_actions(session, row)
    stored = amended.lines if amended else {code: dict(line.content) for code, line in in_plan.items()}
    before = amended.versions if amended else {code: line.version for code, line in in_plan.items()}
    quarters = read_quarter_plans(session, row, stored, list_quarters(matrix.spent))
    versions = [stored, *quarters]
    resolved = resolve(session, row, matrix.rows, versions, resolutions, query)
    names = read_code_names(session, row, [content for lines in versions for content in lines.values()])
    taken = [*(amended.taken if amended else stored), *(code for lines in quarters for code in lines)]
    writings, errors_of_lines = _match_lines(resolved.lines, versions, names, taken)
    bases = _list_bases(writings, read_spending_before(session, row, matrix.spent))
    errors = [*matrix.errors, *_check_basis(matrix, query, bases), *errors_of_lines]
    cells = {error.cell for error in errors}
    errors += [error for error in resolved.errors if error.cell is None or error.cell not in cells]
    agencies, wrong_agencies = _make_agencies(resolved)
    refuse([*errors, *wrong_agencies], columns=matrix.columns)
    for code, content in agencies.items():
        put_agency(write.drop_precondition(), row.region_code, code, content)
    outcomes = _write_lines(run, writings)
    counts = Counter(str(outcome.status) for outcome in outcomes)
    progress = []
    if matrix.has_realisation and query.basis:
        in_force = amended.in_force if amended else None
        realisation = Realisation(row, writings, query.basis, bases, in_force, reason)
        progress = report_quarters(write, realisation)
        for writing, cell, finding in find_report_findings(session, row, realisation):
            _add_finding(run, writing.code, cell, finding)
    written = {item.code: item.version for item in outcomes if item.version and item.status != "unchanged"}
    number = None
    if written or any(quarter.created or quarter.updated for quarter in progress):
        lines = {
            writing.code: (written[writing.code], writing.resolved.line.row)
            for writing in writings
            if writing.code in written
        }
        number = record_import(write, row, source, lines, is_amendment=amended is not None)
    return ImportReport(
        plan=plan,
        sheet=matrix.sheet,
        lines=len(writings),
        created=counts["created"],
        updated=counts["updated"],
        unchanged=len(writings) - len(written),
        of_quarters=sum(writing.is_of_quarter for writing in writings),
        absent=sort_codes(stored.keys() - {writing.code for writing in writings}),
        agencies_created=sorted(agencies),
        free_text=sum(writing.content["subactivity_code"] is None for writing in writings),
        allocation=sum(writing.content["allocation"] for writing in writings),
        by_strategy=dict(Counter(writing.content["strategy"] for writing in writings)),
        factors=list(matrix.factors),
        skipped_rows=list(matrix.skipped),
        progress=progress,
        findings=run.findings,
        plan_findings=run.plan_findings,
        warnings=[
            warning.render(language)
            for warning in (*matrix.warnings, *resolved.warnings, *_find_ended(writings))
        ],
        import_number=number,
        before=[VersionBefore(line=code, version=before.get(code)) for code in sort_codes(written)],
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
    versions = read_amended_versions(session, amendment)
    return AmendmentTarget(lines, before.actions.keys(), [*{**before.actions, **reasons}], reason, versions)


def _list_bases(
    writings: Sequence[LineWrite], before: Mapping[str, Mapping[str, int]]
) -> dict[int, Mapping[str, int]]:
    """Map the rows of lines to their stored spending by quarter."""
    return {
        writing.resolved.line.row: {
            quarter: spent[writing.code] for quarter, spent in before.items() if writing.code in spent
        }
        for writing in writings
    }


def _check_basis(
    matrix: Matrix, query: ImportQuery, bases: Mapping[int, Mapping[str, int]]
) -> list[FieldError]:
    if not matrix.has_realisation:
        return []
    if query.basis is None:
        return [FieldError(basis_required, parameter="basis", allowed=["cumulative", "period"])]
    if Acceptance.totals in query.accept:
        return []
    # Without its line, the stored spending of a row is unknown.
    rows = [row for row in matrix.rows if (row.continues or row.row) in bases or not has_open_start(row)]
    return check_totals(rows, query.basis, bases)


# Agencies that the file names and the region does not have


def _make_agencies(resolved: ResolvedFile) -> tuple[dict[str, AgencyIn], list[FieldError]]:
    agencies: dict[str, AgencyIn] = {}
    errors: list[FieldError] = []
    for code, (name, cell) in resolved.new_agencies.items():
        try:
            agencies[code] = AgencyIn(name=name, kind=find_agency_kind(name))
        except ValidationError as error:
            errors += [relocate(cell, problem) for problem in list_body_errors(error)]
        else:
            errors += [relocate(cell, number) for number in find_new_numbers(agencies[code])]
    return agencies, errors


# Lines


def _match_lines(
    lines: Sequence[ResolvedLine],
    versions: Sequence[Mapping[str, Content]],
    names: CodeNames,
    taken: Sequence[str],
) -> tuple[list[LineWrite], list[FieldError]]:
    """Match the lines of the file with those of the target, the first version, and those of reported quarters.

    Returns the errors of lines that have left the target and differ from those of the quarters.
    """

    @cache
    def is_equal(version: int, code: str, place: int) -> bool:
        return has_equal_content(lines[place], versions[version][code], names)

    target, fresh = versions[0], make_codes(taken)
    writings: list[LineWrite] = []
    errors: list[FieldError] = []
    for place, (line, match) in enumerate(zip(lines, match_versions(versions, lines, is_equal), strict=True)):
        if match is None:
            writings.append(LineWrite(next(fresh), line, merge_content(line, None, names), False))
        elif is_equal(match.version, match.code, place):
            content = versions[match.version][match.code]
            is_of_quarter = content != target.get(match.code)
            writings.append(LineWrite(match.code, line, content, True, is_of_quarter))
        elif match.code in target:
            content = merge_content(line, target[match.code], names)
            writings.append(LineWrite(match.code, line, content, content == target[match.code]))
        else:
            errors.append(FieldError(left_plan, cell=line.line.cell("subactivity")))
    return writings, errors


def _find_ended(writings: Sequence[LineWrite]) -> list[FieldError]:
    """Return a warning for each ended line that the file changes."""
    return [
        FieldError(line_has_ended, cell=writing.resolved.line.cell("subactivity"), value=writing.code)
        for writing in writings
        if not writing.is_unchanged and writing.content.get("ends_after") is not None
    ]


def _write_lines(run: _Import, writings: Sequence[LineWrite]) -> Sequence[ItemOutcome]:
    """Write the lines that changed. Raises Invalid with the cell of each value that an action cannot hold."""
    changed = [writing for writing in writings if not writing.is_unchanged]
    errors: list[FieldError] = []
    drafts: list[Draft] = []
    for n, writing in enumerate(changed):
        try:
            drafts.append(Draft(writing.code, ActionIn.model_validate(writing.content), pointer=f"/{n}"))
        except ValidationError as error:
            errors += [relocate(writing.cell(item.pointer or ""), item) for item in list_body_errors(error)]
    with locate_errors(changed):
        outcomes = _put_drafts(run, drafts, errors)
    _collect_findings(run, writings)
    return outcomes


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
    # A line of a quarter shows other cells than the one that the findings are about.
    by_code = {writing.code: writing for writing in writings if not writing.is_of_quarter}
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


def _add_finding(run: _Import, code: str, cell: Cell, finding: Finding) -> None:
    fields = {**finding.render(run.language), "line": code, "cell": cell._asdict()}
    run.findings.append(ImportFinding.model_validate(fields))
