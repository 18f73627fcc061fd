"""Reports over HTTP: three operations for each report, pages of JSON, a workbook and a CSV."""

from functools import cache
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import StreamingResponse

from app.access.actor import Caller, RequestContext
from app.kit.files.books import XLSX
from app.kit.files.delimited import SPREADSHEET, Dialect
from app.kit.http.etags import VARY, answer_unchanged, is_unchanged, make_etag
from app.kit.http.pagination import Page, PageQuery
from app.kit.http.preferences import read_weights
from app.kit.http.replies import answer, answer_page, choose_language
from app.kit.http.routing import make_router
from app.kit.http.validation import unknown_parameter
from app.kit.problems import FieldError, UnknownParameter, require_extra
from app.reports.catalogue import REPORTS, describe_reports
from app.reports.definition import ReportDefinition, read_report_page
from app.reports.models import Catalogue
from app.reports.writing import RequestedFile

CSV = "text/csv"
_CSV_CONTENT: dict[str, object] = {CSV: {"schema": {"type": "string"}}}
_XLSX_CONTENT: dict[str, object] = {XLSX: {"schema": {}}}
_XLSX_PROBLEMS: dict[str, object] = {"x-problems": [406, 501]}

router = make_router(prefix="/reports", tags=["reports"])


@router.get("", response_model=Catalogue)
def read_reports(call: Caller) -> Response:
    """List the reports with their addresses, parameters and columns, in Indonesian and English.

    Every caller gets the whole list; a report itself contains only rows that its caller sees.
    """
    return answer(call.request, _catalogue())


@cache
def _catalogue() -> bytes:
    return describe_reports().model_dump_json().encode()


def add_report(router: APIRouter, report: ReportDefinition) -> None:
    def read_page(call: Caller, query: object) -> Response:
        media_type = choose_file(call.request)
        if media_type is not None:
            _refuse_pages(call, report)
            return _add_vary(_answer_file(call, report, query, media_type, SPREADSHEET))
        page = read_report_page(call.session, call.request, report, call.actor, query, call.now)
        return _add_vary(answer_page(call.request, page))

    def read_xlsx(call: Caller, query: object) -> Response:
        return _answer_file(call, report, query, XLSX, SPREADSHEET)

    def read_csv(call: Caller, query: Any) -> Response:
        return _answer_file(call, report, query, CSV, query.choose_signs())

    read_page.__annotations__["query"] = Annotated[report.make_page_query(), Query()]
    read_xlsx.__annotations__["query"] = Annotated[report.asked, Query()]
    read_csv.__annotations__["query"] = Annotated[report.make_csv_query(), Query()]
    intro = f"{report.title.en}. {report.description.en}"
    router.add_api_route(
        f"/{report.name}",
        read_page,
        name=f"list_{report.id}",
        description=f"{intro}\n\n`Accept` selects JSON, or without pages the workbook of `{report.path}.xlsx` or "
        f"the CSV of `{report.path}.csv`.",
        response_model=Page[report.row],  # type: ignore[name-defined]  # the shape is known when it runs
        responses={200: {"content": {**_XLSX_CONTENT, **_CSV_CONTENT}}},
        openapi_extra=_XLSX_PROBLEMS,
    )
    router.add_api_route(
        f"/{report.name}.xlsx",
        read_xlsx,
        name=f"read_{report.id}_xlsx",
        description=f"{intro}\n\nAll rows as a workbook: titles, headings, words for codes, numbers, days, a filter. "
        "Headings and words are Indonesian, or English with `Accept-Language: en`.",
        response_class=Response,
        responses={200: {"content": _XLSX_CONTENT}},
        openapi_extra=_XLSX_PROBLEMS,
    )
    router.add_api_route(
        f"/{report.name}.csv",
        read_csv,
        name=f"read_{report.id}_csv",
        description=f"{intro}\n\nAll rows as CSV. For spreadsheets it has the headings and words of the workbook, "
        "UTF-8 with a byte order mark, and an apostrophe before what could begin a formula. `dialect=machine` has "
        "field names, codes and plain RFC 4180.",
        response_class=Response,
        responses={200: {"content": _CSV_CONTENT}},
    )


for report in REPORTS:
    add_report(router, report)


def choose_file(request: Request) -> str | None:
    """Return the media type of the file that `Accept` prefers to JSON, None if it prefers JSON."""
    weights = dict(read_weights(request.headers.get("accept", "")))
    best = max((XLSX, CSV), key=lambda media_type: weights.get(media_type, 0.0))
    return best if weights.get(best, 0.0) > weights.get("application/json", 0.0) else None


def _refuse_pages(call: RequestContext, report: ReportDefinition) -> None:
    """Raise UnknownParameter if the query of a file, at the address of the pages, names a page."""
    allowed = sorted(report.asked.model_fields)
    sent = [name for name in PageQuery.model_fields if name in call.request.query_params]
    if sent:
        errors = [
            FieldError(unknown_parameter, parameter=name, allowed=allowed, values={"parameter": name})
            for name in sent
        ]
        raise UnknownParameter(names=", ".join(sent), errors=errors)


def _add_vary(response: Response) -> Response:
    response.headers["Vary"] = f"{VARY}, Accept"
    return response


def _answer_file(
    call: RequestContext, report: ReportDefinition, query: Any, media_type: str, signs: Dialect
) -> Response:
    requested = RequestedFile(report, call.actor, query, call.now, choose_language(call.request))
    if media_type == XLSX:
        require_extra("xlsx")
        written = requested.write_xlsx(call.unit.database, call.session)
    else:
        written = requested.write_csv(call.unit.database, call.session, signs)
    tag = make_etag(written.sha256)
    if is_unchanged(call.request, tag):
        written.file.close()
        return answer_unchanged(tag)
    period = getattr(query, "period", None) or getattr(query, "year", None)
    name = "-".join([report.name, query.region, *([str(period)] if period is not None else [])])
    headers = {
        "ETag": tag,
        "Cache-Control": "private, no-cache",
        "Vary": VARY,
        "Content-Length": str(written.size),
        "Content-Disposition": f'attachment; filename="{name}.{"xlsx" if media_type == XLSX else "csv"}"',
    }
    return StreamingResponse(written.pieces(), headers=headers, media_type=media_type)
