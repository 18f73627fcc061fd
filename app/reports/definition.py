"""Declaration of a report. It yields a paged list, files of all rows and an entry of the catalogue."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

import sqlalchemy as sa
from pydantic import BaseModel, create_model
from sqlalchemy.sql import ColumnElement
from sqlmodel import Session
from starlette.requests import Request

from app.access.rules import Actor
from app.kit.database.json_sql import dump_json, select_fields
from app.kit.http.pagination import Listing, PageQuery, read_page
from app.kit.tables.columns import read_columns
from app.kit.tables.options import CsvOptions
from app.kit.wording import Text

Row = dict[str, Any]


@dataclass(frozen=True)
class ReportDefinition:
    name: str
    """Last segment of its address."""
    title: Text
    description: Text
    row: type[BaseModel]
    """Flat shape of a row: numbers, texts and lists of them. Declare each field by `column`."""
    asked: type[BaseModel]
    """Query parameters, with `region` and `sort`."""
    rows: Callable[[Session, Actor, Any, datetime], Listing]
    """Return the rows that the actor sees, for a query and an instant."""
    complete: Callable[[Row], Row | None] | None = None
    """Turn a row of the SELECT into a row of the report if SQL cannot; None drops the row."""

    def __post_init__(self) -> None:
        silent = self.row.model_fields.keys() - read_columns(self.row).keys()
        assert not silent, f"{self.name}: declare {silent} in both languages (`column`)"

    @property
    def path(self) -> str:
        return f"/v1/reports/{self.name}"

    @property
    def id(self) -> str:
        return self.name.replace("-", "_")

    @property
    def sorts(self) -> list[str]:
        return list(get_args(self.asked.model_fields["sort"].annotation))

    def make_page_query(self) -> type[BaseModel]:
        """Return `asked` with limit and cursor."""
        return create_model(f"{self.row.__name__}PageQuery", __base__=(self.asked, PageQuery))

    def make_csv_query(self) -> type[BaseModel]:
        """Return `asked` with the signs of a CSV."""
        return create_model(f"{self.row.__name__}CsvQuery", __base__=(self.asked, CsvOptions))


def build_listing(
    shape: type[BaseModel] | None, rows: sa.SelectBase, *, sorts: Sequence[str], key: Sequence[str]
) -> Listing:
    """Return the rows of a SELECT as a list; name its columns as the fields of the shape.

    Without a shape, return all columns: for a report with `complete`.
    """
    source = rows.subquery("row_of_report")
    columns = {name: source.c[name] for name in (*sorts, *key)}
    return Listing(
        sa.select(*(select_fields(shape, source) if shape else source.c)),
        {name: columns[name] for name in sorts},
        {name: columns[name] for name in key},
    )


def compute_percent(
    part: sa.SQLColumnExpression[object], total: sa.SQLColumnExpression[object]
) -> ColumnElement[Any]:
    """Return part/total × 100 to two decimals; null if the total is 0."""
    # PostgreSQL rounds numerics to decimals, not floats.
    share = sa.cast(part * 100.0 / sa.func.nullif(total, 0), sa.Numeric)
    return sa.case((total > 0, sa.func.round(share, 2)))


def read_report_page(
    session: Session, request: Request, report: ReportDefinition, actor: Actor, query: Any, now: datetime
) -> bytes:
    """Return a page of a report as JSON."""
    rows = report.rows(session, actor, query, now)
    page = read_page(session, request, rows, query, sort=query.sort)
    if report.complete is None:
        return page
    body = json.loads(page)
    body["items"] = [row for row in map(report.complete, body["items"]) if row is not None]
    return dump_json(body).encode()
