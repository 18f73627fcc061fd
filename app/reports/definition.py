"""The frame of a report: declared once, it is a list in pages, a CSV of all its rows, and an entry of the catalogue.

A CSV is written whole before its first byte leaves, beyond a megabyte into a file: its entity tag covers the very
bytes, what fails is a problem and not half a table, and a reader with a slow line holds no connection.
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
from app.kit.database.json_sql import fields_of, to_json
from app.kit.files.delimited import Cell, delimited
from app.kit.http.pagination import Listing, PageQuery, read_page, whole_list
from app.kit.problems import Text

Row = dict[str, Any]


@dataclass(frozen=True)
class Report:
    """A report: everything about it that differs from the others."""

    name: str
    """The last part of its address."""
    title: Text
    description: Text
    row: type[BaseModel]
    """Shape of a row, flat: numbers, texts, lists of them; each field a `column`."""
    asked: type[BaseModel]
    """What may be asked, `region` and `sort` among it."""
    rows: Callable[[Session, Actor, Any, datetime], Listing]
    """The rows that the actor sees, given what is asked and the instant."""
    complete: Callable[[Row], Row | None] | None = None
    """Makes a row of what the SELECT gives, where the SELECT cannot; None leaves it out."""

    def __post_init__(self) -> None:
        silent = [name for name, of in self.row.model_fields.items() if not (of.title and of.description)]
        assert not silent, f"{self.name}: {silent} are not said in both languages (`column`)"

    @property
    def path(self) -> str:
        return f"/v1/reports/{self.name}"

    @property
    def id(self) -> str:
        return self.name.replace("-", "_")

    @property
    def sorts(self) -> list[str]:
        return list(get_args(self.asked.model_fields["sort"].annotation))

    def paged(self) -> type[BaseModel]:
        """What may be asked of its pages."""
        return create_model(f"{self.row.__name__}PageQuery", __base__=(self.asked, PageQuery))


def listing(
    shape: type[BaseModel] | None, rows: sa.SelectBase, *, sorts: Sequence[str], key: Sequence[str]
) -> Listing:
    """The rows of a SELECT whose columns are named as the shape's fields, grouped or not; sorted by its names.

    Without a shape all its columns: of a report whose rows are completed.
    """
    found = rows.subquery("row_of_report")
    columns = {name: found.c[name] for name in (*sorts, *key)}
    return Listing(
        sa.select(*(fields_of(shape, found) if shape else found.c)),
        {name: columns[name] for name in sorts},
        {name: columns[name] for name in key},
    )


def percent(
    part: sa.SQLColumnExpression[object], total: sa.SQLColumnExpression[object]
) -> ColumnElement[Any]:
    """part/total × 100 at two decimals; null where there is no total."""
    # PostgreSQL rounds numerics to decimals, not floats.
    share = sa.cast(part * 100.0 / sa.func.nullif(total, 0), sa.Numeric)
    return sa.case((total > 0, sa.func.round(share, 2)))


# Pages


def page_of(
    session: Session, request: Request, report: Report, actor: Actor, asked: Any, now: datetime
) -> bytes:
    """A page of a report as JSON."""
    found = report.rows(session, actor, asked, now)
    page = read_page(session, request, found, asked, sort=asked.sort)
    if report.complete is None:
        return page
    body = json.loads(page)
    body["items"] = [row for row in map(report.complete, body["items"]) if row is not None]
    return to_json(body).encode()


# CSV

_IN_MEMORY = 1 << 20
_PIECE = 1 << 16
_ROWS = 500
"""Fetched at a time."""


@dataclass(frozen=True)
class CsvFile:
    """A CSV as it was written."""

    file: IO[bytes]
    sha256: str
    size: int

    def pieces(self) -> Iterator[bytes]:
        """Its bytes, once; the file is gone afterwards."""
        with self.file:
            self.file.seek(0)
            while piece := self.file.read(_PIECE):
                yield piece


def csv_of(
    database: Database, session: Session, report: Report, actor: Actor, asked: Any, now: datetime
) -> CsvFile:
    """All rows of a report as CSV, by one statement and in memory that does not grow with them."""
    statement = whole_list(report.rows(session, actor, asked, now), sort=asked.sort)

    file: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by its sender

    def write(state: Session) -> str:
        """Write the file from its beginning: an attempt may lose its database after the last row."""
        file.seek(0)
        file.truncate()
        digest = hashlib.sha256()
        with state.connection().execute(statement, execution_options={"yield_per": _ROWS}) as texts:
            for line in delimited(_cells(report, (row[0] for row in texts))):
                digest.update(line)
                file.write(line)
        return digest.hexdigest()

    try:
        return CsvFile(file, database.in_one_state(write), file.tell())
    except BaseException:
        file.close()
        raise


def _cells(report: Report, texts: Iterable[str]) -> Iterator[list[Cell]]:
    """The header, then the rows."""
    names = list(report.row.model_fields)
    yield [*names]
    for text in texts:
        row = json.loads(text)
        completed = report.complete(row) if report.complete else row
        if completed is not None:
            yield [_cell(completed[name]) for name in names]


def _cell(value: Any) -> Cell:
    """What JSON says, as a cell."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "; ".join(map(str, value))
    cell: Cell = value
    return cell
