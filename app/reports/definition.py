"""Declaration of a report. It yields a paged list, a CSV of all rows and an entry of the catalogue.

The server writes a CSV whole before it sends the first byte, beyond a megabyte into a temporary file. So the ETag
covers the exact bytes, a failure is a problem and not half a table, and a slow client holds no connection.
"""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any, get_args

import sqlalchemy as sa
from pydantic import BaseModel, create_model
from sqlalchemy.sql import ColumnElement
from sqlmodel import Session
from starlette.requests import Request

from app.access.rules import Actor
from app.kit.database.engine import Database
from app.kit.database.json_sql import dump_json, select_fields
from app.kit.files.delimited import Cell, stream_delimited
from app.kit.http.pagination import Listing, PageQuery, read_page, select_all
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
        silent = [
            name for name, field in self.row.model_fields.items() if not (field.title and field.description)
        ]
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


_IN_MEMORY = 1 << 20
_PIECE = 1 << 16
_ROWS = 500
"""Rows that the cursor fetches at a time."""


@dataclass(frozen=True)
class CsvFile:
    """A complete CSV in a temporary file."""

    file: IO[bytes]
    sha256: str
    size: int

    def pieces(self) -> Iterator[bytes]:
        """Yield its bytes once, then remove the file."""
        with self.file:
            self.file.seek(0)
            while piece := self.file.read(_PIECE):
                yield piece


def write_csv(
    database: Database, session: Session, report: ReportDefinition, actor: Actor, query: Any, now: datetime
) -> CsvFile:
    """Write all rows of a report as CSV by one statement, in memory that does not grow with the rows."""
    statement = select_all(report.rows(session, actor, query, now), sort=query.sort)
    file: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by its sender

    def write(state: Session) -> str:
        """Write the file from its start, since a retry follows a lost connection even after the last row."""
        file.seek(0)
        file.truncate()
        digest = hashlib.sha256()
        with state.connection().execute(statement, execution_options={"yield_per": _ROWS}) as texts:
            for line in stream_delimited(_make_lines(report, (row[0] for row in texts))):
                digest.update(line)
                file.write(line)
        return digest.hexdigest()

    try:
        return CsvFile(file, database.run_in_snapshot(write), file.tell())
    except BaseException:
        file.close()
        raise


def _make_lines(report: ReportDefinition, texts: Iterable[str]) -> Iterator[list[Cell]]:
    names = list(report.row.model_fields)
    yield [*names]
    for text in texts:
        row = json.loads(text)
        record = report.complete(row) if report.complete else row
        if record is not None:
            yield [_make_cell(record[name]) for name in names]


def _make_cell(value: Any) -> Cell:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "; ".join(map(str, value))
    cell: Cell = value
    return cell
