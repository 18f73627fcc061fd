"""Reports over HTTP: two operations for each report, pages of JSON and one CSV."""

from functools import cache
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import StreamingResponse

from app.access.actor import Caller, RequestContext
from app.kit.http.etags import VARY, answer_unchanged, is_unchanged, make_etag
from app.kit.http.pagination import Page, PageQuery
from app.kit.http.preferences import read_weights
from app.kit.http.replies import answer, answer_page
from app.kit.http.routing import make_router
from app.kit.http.validation import unknown_parameter
from app.kit.problems import FieldError, UnknownParameter
from app.reports.catalogue import REPORTS, describe_reports
from app.reports.definition import ReportDefinition, read_report_page, write_csv
from app.reports.models import Catalogue

CSV = "text/csv"
_CSV_SCHEMA: dict[str, object] = {CSV: {"schema": {"type": "string"}}}

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
        if prefers_csv(call.request):
            return _answer_whole_csv(call, report, query)
        page = read_report_page(call.session, call.request, report, call.actor, query, call.now)
        return _add_vary(answer_page(call.request, page))

    def read_csv(call: Caller, query: object) -> Response:
        return _answer_csv(call, report, query)

    read_page.__annotations__["query"] = Annotated[report.make_page_query(), Query()]
    read_csv.__annotations__["query"] = Annotated[report.asked, Query()]
    intro = f"{report.title.en}. {report.description.en}"
    router.add_api_route(
        f"/{report.name}",
        read_page,
        name=f"list_{report.id}",
        description=f"{intro}\n\n`Accept: text/csv` returns the CSV of `{report.path}.csv`, without pages.",
        response_model=Page[report.row],  # type: ignore[name-defined]  # the shape is known when it runs
        responses={200: {"content": _CSV_SCHEMA}},
    )
    router.add_api_route(
        f"/{report.name}.csv",
        read_csv,
        name=f"read_{report.id}_csv",
        description=f"{intro}\n\nAll rows as CSV (RFC 4180): UTF-8 with a byte order mark, commas, decimal points, "
        "field names in the first row. An apostrophe precedes a text that a spreadsheet would run as a formula.",
        response_class=Response,
        responses={200: {"content": _CSV_SCHEMA}},
    )


for report in REPORTS:
    add_report(router, report)


def prefers_csv(request: Request) -> bool:
    """Return whether `Accept` prefers CSV to JSON."""
    weights = dict(read_weights(request.headers.get("accept", "")))
    return weights.get(CSV, 0.0) > weights.get("application/json", 0.0)


def _answer_whole_csv(call: RequestContext, report: ReportDefinition, query: object) -> Response:
    """Answer with the CSV at the address of the pages. Raises UnknownParameter if the query names a page."""
    allowed = sorted(report.asked.model_fields)
    sent = [name for name in PageQuery.model_fields if name in call.request.query_params]
    if sent:
        errors = [
            FieldError(unknown_parameter, parameter=name, allowed=allowed, values={"parameter": name})
            for name in sent
        ]
        raise UnknownParameter(names=", ".join(sent), errors=errors)
    return _add_vary(_answer_csv(call, report, query))


def _add_vary(response: Response) -> Response:
    response.headers["Vary"] = f"{VARY}, Accept"
    return response


def _answer_csv(call: RequestContext, report: ReportDefinition, query: Any) -> Response:
    csv = write_csv(call.unit.database, call.session, report, call.actor, query, call.now)
    tag = make_etag(csv.sha256)
    if is_unchanged(call.request, tag):
        csv.file.close()
        return answer_unchanged(tag)
    period = getattr(query, "period", None) or getattr(query, "year", None)
    name = "-".join([report.name, query.region, *([str(period)] if period is not None else [])])
    headers = {
        "ETag": tag,
        "Cache-Control": "private, no-cache",
        "Vary": VARY,
        "Content-Length": str(csv.size),
        "Content-Disposition": f'attachment; filename="{name}.csv"',
    }
    return StreamingResponse(csv.pieces(), headers=headers, media_type=CSV)
