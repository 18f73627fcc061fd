"""Routes of the templates."""

import io

from fastapi import Response

from app.access.actor import Caller, RequestContext
from app.exchange.matrix.writing import (
    FIRST_DATA_ROW,
    PLAN_TITLE,
    REPORT_TITLE,
    make_matrix_csv,
    make_matrix_xlsx,
)
from app.exchange.templates.models import (
    TemplateCsvQuery,
    TemplateList,
    TemplateName,
    TemplateOut,
    TemplateQuery,
)
from app.exchange.templates.queries import TemplateTable, read_region_title, read_template_table
from app.exchange.templates.rules import BY_NAME, TEMPLATES, list_matrix_columns
from app.kit.files.books import XLSX
from app.kit.files.delimited import Dialect, write_delimited
from app.kit.http.replies import answer, choose_language
from app.kit.http.routing import FromQuery, make_router
from app.kit.http.validation import unknown_value
from app.kit.problems import FieldError, NotFound, require_extra
from app.kit.server.documentation import Both
from app.kit.tables.templates import add_choices, write_guide, write_template
from app.kit.wording import Language

router = make_router(prefix="/templates", tags=["exchange"])


@router.get("", response_model=TemplateList)
def read_templates(call: Caller) -> Response:
    """List the empty tables that offices fill in, with the addresses of their imports."""
    templates = [
        TemplateOut(
            template=template.name,
            title=Both(**template.title._asdict()),
            description=Both(**template.description._asdict()),
            xlsx_address=f"/v1/templates/{template.name}.xlsx",
            csv_address=f"/v1/templates/{template.name}.csv",
            import_address=template.import_address,
        )
        for template in TEMPLATES
    ]
    return answer(call.request, TemplateList(templates=templates).model_dump_json().encode())


@router.get(
    "/{template}.xlsx",
    response_class=Response,
    responses={200: {"content": {XLSX: {"schema": {}}}}},
    openapi_extra={"x-problems": [406, 409, 501]},
)
def read_template_xlsx(call: Caller, template: TemplateName, query: FromQuery[TemplateQuery]) -> Response:
    """Return an empty table with official headings, choices where a column has few values, and a guide to its columns.

    The import of the table reads it back. With a region the rows of coverage, coordinates and observations have its
    codes and names already. Headings are Indonesian; the guide follows `Accept-Language`.
    """
    _check_name(template)
    require_extra("xlsx")
    make = _make_matrix_xlsx if template.startswith("matrix") else _make_table_xlsx
    return _answer(call, template, "xlsx", make(call, template, query, choose_language(call.request)))


@router.get(
    "/{template}.csv",
    response_class=Response,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
    openapi_extra={"x-problems": [409]},
)
def read_template_csv(call: Caller, template: TemplateName, query: FromQuery[TemplateCsvQuery]) -> Response:
    """Return an empty table with official headings as CSV."""
    _check_name(template)
    make = _make_matrix_csv if template.startswith("matrix") else _make_table_csv
    return _answer(call, template, "csv", make(call, template, query, query.choose_signs()))


def _check_name(template: str) -> None:
    if template not in BY_NAME:
        error = FieldError(unknown_value, parameter="template", value=template, allowed=list(BY_NAME))
        raise NotFound(errors=[error])


def _answer(call: RequestContext, template: str, ending: str, content: bytes) -> Response:
    media_type = XLSX if ending == "xlsx" else "text/csv"
    response = answer(call.request, content, media_type=media_type)
    response.headers["Content-Disposition"] = f'attachment; filename="template-{template}.{ending}"'
    return response


def _make_matrix_titles(call: RequestContext, template: str, query: TemplateQuery) -> list[str]:
    region = read_region_title(call.session, query.region) if query.region else "KABUPATEN/KOTA …"
    document = REPORT_TITLE if template == "matrix_realisation" else PLAN_TITLE
    return [document, f"{region} TAHUN {query.year or '…'}".upper()]


def _make_matrix_xlsx(call: RequestContext, template: str, query: TemplateQuery, language: Language) -> bytes:
    realisation = template == "matrix_realisation"
    columns = list_matrix_columns(realisation=realisation)

    def add_more(book: object, sheet: object) -> None:
        add_choices(sheet, FIRST_DATA_ROW, columns)
        write_guide(book, columns, language)

    titles = _make_matrix_titles(call, template, query)
    return make_matrix_xlsx([], titles, realisation=realisation, add_more=add_more)


def _make_matrix_csv(call: RequestContext, template: str, query: TemplateQuery, signs: Dialect) -> bytes:
    titles = _make_matrix_titles(call, template, query)
    return make_matrix_csv([], titles, realisation=template == "matrix_realisation", signs=signs)


def _read_table(call: RequestContext, template: str, query: TemplateQuery) -> TemplateTable:
    year = query.year or call.now.year
    return read_template_table(call.session, call.actor, template, query.region, year)


def _make_table_xlsx(call: RequestContext, template: str, query: TemplateQuery, language: Language) -> bytes:
    table = _read_table(call, template, query)
    file = io.BytesIO()
    write_template(file, BY_NAME[template].title.render(language, {}), table.columns, table.rows, language)
    return file.getvalue()


def _make_table_csv(call: RequestContext, template: str, query: TemplateQuery, signs: Dialect) -> bytes:
    table = _read_table(call, template, query)
    blank: list[None] = [None] * len(table.columns)
    rows = [[*row, *blank[len(row) :]] for row in table.rows]
    return write_delimited([[column.heading for column in table.columns], *rows], signs)
