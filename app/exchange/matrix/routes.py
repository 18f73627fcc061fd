"""Routes of the import and export of the matrix."""

from functools import partial

from fastapi import Response

from app.access.actor import Caller, RequestContext
from app.exchange.matrix.imports.commands import import_matrix
from app.exchange.matrix.imports.models import RESOLUTIONS, ImportQuery, ImportReport
from app.exchange.matrix.imports.queries import read_file
from app.exchange.matrix.models import MatrixCsvQuery, MatrixQuery
from app.exchange.matrix.queries import read_matrix_lines
from app.exchange.matrix.writing import PLAN_TITLE, REPORT_TITLE, make_matrix_csv, make_matrix_xlsx
from app.kit.database.journal import state_hash
from app.kit.files.books import XLSX
from app.kit.files.delimited import SPREADSHEET, Dialect
from app.kit.http.etags import answer_unchanged, is_unchanged, make_etag
from app.kit.http.forms import Upload
from app.kit.http.replies import answer, choose_language
from app.kit.http.routing import FromQuery, make_router
from app.kit.periods import Period, parse_period
from app.kit.problems import BadRequest, FieldError, Kind, require_extra
from app.kit.tables.choices import COLUMNS_PART, parse_columns
from app.kit.tables.resolutions import parse_resolutions
from app.plans.core.models import PlanKey
from app.plans.core.queries import find_plan, region_name
from app.plans.core.rules import format_plan_chain
from app.reference.rules import CHAIN as REFERENCE
from app.reference.rules import format_region
from app.tracking.progress.rules import check_period

router = make_router(tags=["exchange"])

half_year_only = Kind(
    "half_year_only",
    id="Matriks hanya memuat semester atau tahun: {allowed}.",
    en="The matrix has only half-years or the year: {allowed}.",
)


_MATRIX = Upload(
    "The matrix: .xlsx or .csv, 18 or 21 columns, at most 20 MB.",
    {
        "resolutions": (
            "JSON list of resolutions: codes for names that fit nothing or several.",
            "[]",
        ),
        "columns": COLUMNS_PART,
    },
)


@router.post("/plans/{plan}/imports", response_model=ImportReport, openapi_extra=_MATRIX.declared)
def import_plan_matrix(call: Caller, plan: PlanKey, query: FromQuery[ImportQuery]) -> Response:
    """Import the matrix that offices keep: match its lines with those of the plan, and create the others.

    The import looks up everything by code, then by name, and never guesses. It reports each unknown, ambiguous or
    unreadable cell with its value, the allowed values and the nearest candidates (422), and writes nothing; settle
    such cells with `resolutions`, or accept sub-activities as free text. Names that a line of the plan already has
    need no resolution. A heading that the import does not know, or doubts, gets its field in `columns`; a refusal
    proposes them. Columns of realisation, half-years or quarters, become reports, cumulative for every `basis`.
    A second import of a file changes nothing. Lines that the file lacks stay (`absent`); a column changes only the
    fields that it shows, and only if its cell differs.

    While a plan in force has an open amendment, the lines go into the amendment, with `category` and `reason` for
    each changed line; spending goes into reports on the lines in force.

    A figure of a closed quarter must equal the stored one: each changed cell is 409 `quarter_closed` with the stored
    figure in `allowed`. In a file with realisation a row that equals the line of a reported quarter changes nothing,
    although the plan or its amendment is newer (`of_quarters`). So the export of any period changes nothing.
    """
    reading = call.unit.reading
    row = find_plan(reading, call.actor, plan)
    call.actor.require("import_matrix", row.region_code)
    sent = _MATRIX.read(call.request)
    choices = parse_columns(sent.texts["columns"])
    read = read_file(reading, sent.data, sent.filename, query, choices)
    resolutions = parse_resolutions(RESOLUTIONS, sent.texts["resolutions"])
    write = call.write.drop_precondition()
    report = import_matrix(write, plan, read, query, resolutions, choose_language(call.request))
    return answer(call.request, report.model_dump_json(exclude_none=True).encode())


@router.get(
    "/plans/{plan}/matrix.xlsx",
    response_class=Response,
    responses={200: {"content": {XLSX: {"schema": {}}}}},
    openapi_extra={"x-problems": [501]},
)
def read_matrix_xlsx(call: Caller, plan: PlanKey, query: FromQuery[MatrixQuery]) -> Response:
    """Return the plan as the matrix of the offices: 18 columns, or 21 with a period. Importing it changes nothing.

    A period shows the lines of the revision that its last quarter has, with the figures of that quarter and, for the
    first half-year, of Q2; without one, the plan in force.
    """
    return _answer_matrix(call, plan, query, XLSX)


@router.get(
    "/plans/{plan}/matrix.csv",
    response_class=Response,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
def read_matrix_csv(call: Caller, plan: PlanKey, query: FromQuery[MatrixCsvQuery]) -> Response:
    """Return the matrix as CSV: for spreadsheets, with a byte order mark and without formulas, or for programs."""
    return _answer_matrix(call, plan, query, "text/csv", query.choose_signs())


def _answer_matrix(
    call: RequestContext, code: str, query: MatrixQuery, media_type: str, signs: Dialect = SPREADSHEET
) -> Response:
    plan = find_plan(call.session, call.actor, code)
    period = _parse_period(query.period)
    if period is not None:
        check_period(plan.year, period.last_quarter)
    tag = make_etag(
        call.request.url.path,
        call.request.url.query,
        state_hash(call.session, format_plan_chain(code), f"region:{plan.region_code}", REFERENCE),
    )
    if is_unchanged(call.request, tag):
        return answer_unchanged(tag)
    if media_type == XLSX:
        require_extra("xlsx")
    lines = read_matrix_lines(call.session, plan, period, query.basis)
    make, ending = (
        (make_matrix_xlsx, "xlsx") if media_type == XLSX else (partial(make_matrix_csv, signs=signs), "csv")
    )
    region = format_region(plan.region_code, region_name(call.session, plan.region_code))
    titles = _make_titles(region, plan.year, period, query.basis)
    response = answer(
        call.request,
        make(lines, titles, realisation=period is not None),
        tag=tag,
        media_type=media_type,
    )
    name = f"RAT-{code}{f'-{period}' if period else ''}.{ending}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _parse_period(text: str | None) -> Period | None:
    if text is None:
        return None
    period = parse_period(text)
    if period.part in ("", "S1", "S2"):
        return period
    allowed = [f"{period.year}-S1", f"{period.year}-S2", str(period.year)]
    raise BadRequest(errors=[FieldError(half_year_only, parameter="period", value=text, allowed=allowed)])


def _make_titles(region: str, year: int, period: Period | None, basis: str) -> list[str]:
    """Return the two title rows: the document, and region and year; a report also says what its half-years hold."""
    if period is None:
        return [PLAN_TITLE, f"{region} TAHUN {year}".upper()]
    span = {"S1": "SEMESTER I", "S2": "SEMESTER I DAN II", "": "SEMESTER I DAN II"}[period.part]
    held = "PER SEMESTER" if basis == "period" else "KUMULATIF"
    return [REPORT_TITLE, f"{region} {span} TAHUN {year} ({held})".upper()]
