"""A pull on its way from the database into a file: NDJSON, CSV, a workbook, Parquet, hashes to compare by.

Each takes the lines a few at a time and forgets them. Nothing in the bytes tells when they were made, so that the
same lines give the same bytes.
"""

import csv
import hashlib
import io
import json
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from importlib.metadata import version
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Protocol, Union, get_args, get_origin

from pydantic import BaseModel
from sqlmodel import Session

from app.access.rules import Actor
from app.changes.rules import cursor_of
from app.exchange.pulls.models import Format, PullLine, SheetFull
from app.exchange.pulls.queries import Source, counts, last_place, lines, sources
from app.exchange.pulls.rules import COLUMNS, cells, name_in_spool, pull_tag
from app.kit.database.engine import Database
from app.kit.database.json_sql import to_json
from app.kit.database.snapshots import may_leave
from app.kit.exports.cache import About, Making, Written
from app.kit.files.books import LARGEST_ROW, LONGEST_CELL, MADE
from app.kit.files.delimited import escaped
from app.kit.openapi.schemas import fields_by_age
from app.kit.problems import require_found

if TYPE_CHECKING:
    import pyarrow as pa

# Parquet: typed as the lines' shape declares, texts in dictionaries, what is said of it in the footer


_GROUP = 10_000
"""Lines of a row group: what is in memory at a time."""

#: The one field whose names are not declared: words of the matrix by column. Kept as its JSON text.
_OPEN = re.compile(rb'"matrix_texts":\s*(\{(?:[^"{}]|"(?:[^"\\]|\\.)*")*\})')


def write_parquet(making: Making, lines: Iterator[list[str]], told: dict[str, object]) -> None:
    """Write the lines; `told` goes into the footer, each value as JSON under `rata.` and its name."""
    # Half as large as all else of a worker together: loaded by the first who asks for it.
    import pyarrow as pa
    import pyarrow.json
    import pyarrow.parquet

    schema = schema_of(PullLine)
    reading = pa.json.ParseOptions(explicit_schema=_read_as(schema), unexpected_field_behavior="error")
    with pa.parquet.ParquetWriter(
        pa.PythonFile(Written(making), "w"),
        schema,
        compression="zstd",
        use_dictionary=True,
        store_schema=True,
    ) as writer:
        for group in _groups(lines):
            data = _OPEN.sub(_as_text, "\n".join(group).encode())
            options = pa.json.ReadOptions(use_threads=False, block_size=len(data) + 1)
            table = pa.json.read_json(io.BytesIO(data), read_options=options, parse_options=reading)
            writer.write_table(table.cast(schema))
        writer.add_key_value_metadata({f"rata.{name}": to_json(value) for name, value in told.items()})


def _groups(lines: Iterator[list[str]]) -> Iterator[list[str]]:
    group: list[str] = []
    for part in lines:
        group += part
        if len(group) >= _GROUP:
            yield group
            group = []
    if group:
        yield group


def _as_text(found: re.Match[bytes]) -> bytes:
    return b'"matrix_texts":' + to_json(to_json(json.loads(found[1]))).encode()


def schema_of(shape: type[BaseModel]) -> "pa.Schema":
    """The columns of a shape: a list is a list, an object a struct, money and counts 64-bit integers."""
    import pyarrow as pa

    return pa.schema([(name, _type_of(of.annotation)) for name, of in fields_by_age(shape).items()])


def _type_of(kind: Any) -> "pa.DataType":
    import pyarrow as pa

    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _type_of(inner[0])
    if origin in (Union, UnionType):
        (only,) = (one for one in inner if one is not NoneType)
        return _type_of(only)
    if origin is list:
        return pa.list_(_type_of(inner[0]))
    if origin is dict:
        return pa.string()
    if issubclass(kind, BaseModel):
        return pa.struct([(name, _type_of(of.annotation)) for name, of in fields_by_age(kind).items()])
    plain = {
        bool: pa.bool_(),
        int: pa.int64(),
        float: pa.float64(),
        datetime: pa.timestamp("us", "UTC"),
        date: pa.date32(),
    }
    return plain.get(kind, pa.string())


def _read_as(schema: "pa.Schema") -> "pa.Schema":
    """The same with days and instants as the texts that JSON has for them."""
    import pyarrow as pa

    return pa.schema([(field.name, _read_type(field.type)) for field in schema])


def _read_type(kind: "pa.DataType") -> "pa.DataType":
    import pyarrow as pa

    if pa.types.is_list(kind):
        return pa.list_(_read_type(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _read_type(field.type)) for field in kind])
    return pa.string() if pa.types.is_temporal(kind) else kind


LONG = 2000
"""Lines beyond which the first are sent before the last are read."""
_AGENCY = re.compile(r'"lead_agency":"([^"]*)"')


@dataclass(frozen=True)
class Pull:
    """What a pull says of itself before its lines are read."""

    period: str
    region: str | None
    rows: int
    cursor: str
    sources: list[Source]

    def told(self, **found: object) -> dict[str, object]:
        """`PullContent`, with what was found out on the way."""
        plain = {"period": self.period, "region": self.region, "rows": self.rows, "cursor": self.cursor}
        return {**plain, **found}

    def plans(self) -> list[dict[str, str | int | None]]:
        return [one.shown.model_dump() for one in self.sources]


class Sink(Protocol):
    """Where the bytes of a content go."""

    def write(self, data: bytes) -> int: ...


def write_ndjson(sink: Sink, lines: Iterator[list[str]], pull: Pull) -> None:
    """A line each, then the end: without it, a transfer was cut."""
    digest = hashlib.sha256()
    for part in lines:
        data = ("\n".join(part) + "\n").encode()
        digest.update(data)
        sink.write(data)
    end = pull.told(sha256=digest.hexdigest(), plans=pull.plans())
    sink.write(to_json({"end": end}).encode() + b"\n")


def write_digests(sink: Sink, lines: Iterator[list[str]], pull: Pull) -> None:
    """Rows and SHA-256 of all lines, of each plan's, and of those that each of its agencies leads."""
    whole = hashlib.sha256()
    by_region = {one.region_code: _Hashed() for one in pull.sources}
    for part in lines:
        for text in part:
            data = f"{text}\n".encode()
            whole.update(data)
            found = _AGENCY.search(text)
            assert found is not None
            # the line begins {"region_code":"…
            by_region[text[16 : text.index('"', 16)]].add(data, found[1])
    plans = [{**told, **by_region[str(told["region_code"])].told()} for told in pull.plans()]
    sink.write(to_json(pull.told(sha256=whole.hexdigest(), plans=plans)).encode())


class _Hashed:
    """The lines of a plan, counted and hashed, and by agency."""

    def __init__(self, *, agencies: bool = True) -> None:
        self.rows, self.digest = 0, hashlib.sha256()
        self.agencies: dict[str, _Hashed] | None = {} if agencies else None

    def add(self, data: bytes, agency: str) -> None:
        self.rows += 1
        self.digest.update(data)
        if self.agencies is not None:
            if agency not in self.agencies:
                self.agencies[agency] = _Hashed(agencies=False)
            self.agencies[agency].add(data, agency)

    def told(self) -> dict[str, object]:
        told: dict[str, object] = {"rows": self.rows, "sha256": self.digest.hexdigest()}
        if self.agencies is not None:
            told["agencies"] = [
                {"lead_agency": code, **self.agencies[code].told()} for code in sorted(self.agencies)
            ]
        return told


def write_csv(sink: Sink, lines: Iterator[list[str]], pull: Pull) -> None:
    """RFC 4180 in UTF-8; a text that a spreadsheet would run has an apostrophe in front."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([column.name for column in COLUMNS])
    for part in lines:
        for text in part:
            writer.writerow([escaped(cell) if isinstance(cell, str) else cell for cell in cells(text)])
        sink.write(out.getvalue().encode())
        out.seek(0)
        out.truncate()
    sink.write(out.getvalue().encode())


def write_xlsx(sink: Making, lines: Iterator[list[str]], pull: Pull) -> None:
    """A sheet with a row for each line, and one that says where they are from. SheetFull: there are too many."""
    if pull.rows >= LARGEST_ROW:
        others = ", ".join(one for one in Format if one != Format.xlsx)
        raise SheetFull(rows=pull.rows, most=LARGEST_ROW - 1, allowed=others)
    import xlsxwriter

    # Texts are written with write_string alone, so none becomes a formula, a link or a number.
    with xlsxwriter.Workbook(Written(sink), {"constant_memory": True}) as book:
        book.set_properties({"title": f"Rata {pull.period}", "created": MADE})
        bold = book.add_format({"bold": True})
        sheet = book.add_worksheet(pull.period)
        sheet.freeze_panes(1, 0)
        for place, column in enumerate(COLUMNS):
            sheet.write_string(0, place, column.name, bold)
        row = 0
        for part in lines:
            for text in part:
                row += 1
                _write_row(sheet, row, cells(text))
        told = pull.told()
        plans = pull.plans()
        about = book.add_worksheet("rata")
        for row, (name, value) in enumerate(told.items()):
            _write_row(about, row, [name, value])
        _write_row(about, len(told) + 1, list(plans[0]))
        for row, plan in enumerate(plans, len(told) + 2):
            _write_row(about, row, list(plan.values()))


def _write_row(sheet: Any, row: int, values: Sequence[object]) -> None:
    for place, value in enumerate(values):
        if isinstance(value, str):
            if len(value) > LONGEST_CELL:
                value = f"… ({len(value)} > {LONGEST_CELL}: NDJSON, CSV, Parquet)"
            sheet.write_string(row, place, value)
        elif value is not None:
            sheet.write_number(row, place, value)


# Codings


class _Coder(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class Coded:
    """A sink that compresses what goes through it."""

    def __init__(self, sink: Making, coding: str) -> None:
        self._sink = sink
        self._coder = _make_coder(coding)

    def write(self, data: bytes) -> int:
        self._sink.write(self._coder.compress(data))
        return len(data)

    def close(self) -> None:
        self._sink.write(self._coder.flush())


def _make_coder(coding: str) -> _Coder:
    if coding == "gzip":
        # 31: with the header of a gzip file, in which no clock stands
        return zlib.compressobj(5, zlib.DEFLATED, 31)
    import zstandard

    return zstandard.ZstdCompressor(level=3).compressobj()


# Making one


@dataclass(frozen=True)
class Asked:
    """A pull as somebody asks for it."""

    actor: Actor
    kind: str
    """A `Format`, or `digests`."""
    period: str
    region: str | None
    coding: str | None

    def tag(self, found: Sequence[Source]) -> str:
        """Its tag where its lines are from these."""
        rights = self.actor.fingerprint
        made_by = version(LIBRARIES[self.kind]) if self.kind in LIBRARIES else ""
        return pull_tag(self.kind, self.period, self.region, rights, found, made_by)

    def name(self, tag: str) -> str:
        """Under which the spool keeps it in the state of that tag."""
        return name_in_spool(
            tag, self.actor.fingerprint, self.kind, self.period, self.region or "", self.coding or ""
        )

    def make(self, database: Database, making: Making) -> str:
        """Write it as the database is now; its name in the spool. NotFound: there is nothing to be seen (any more)."""
        return database.in_one_state(partial(self._write, database, making))

    def _write(self, database: Database, making: Making, session: Session) -> str:
        found = require_found(sources(session, self.actor, self.period, self.region) or None)
        counted = counts(session, found, self.period)
        # The feed is nobody's who only reads what is opened: there it begins at the beginning.
        followed = [one for one in found if self.actor.sees(one.region_code)]
        cursor = cursor_of(last_place(session, followed, self.period), [self.region, []])
        pull = Pull(self.period, self.region, sum(counted.values()), cursor, found)
        tag = self.tag(found)
        is_long = self.kind == Format.ndjson and pull.rows > LONG and may_leave(session)
        making.begin(About(tag, {"Rata-Rows": str(pull.rows), "Rata-Cursor": cursor}, is_long))
        with (
            database.shared_state(session) if pull.rows > LONG else nullcontext([session]) as sessions,
            closing(lines(sessions, found, counted, self.period)) as texts,
        ):
            if self.coding is None:
                _WRITERS[self.kind](making, texts, pull)
            else:
                coded = Coded(making, self.coding)
                _WRITERS[self.kind](coded, texts, pull)
                coded.close()
        return self.name(tag)


_WRITERS: dict[str, Callable[[Any, Iterator[list[str]], Pull], None]] = {
    Format.ndjson: write_ndjson,
    Format.csv: write_csv,
    Format.parquet: lambda sink, texts, pull: write_parquet(sink, texts, pull.told(plans=pull.plans())),
    Format.xlsx: write_xlsx,
    "digests": write_digests,
}
LIBRARIES: dict[str, str] = {Format.parquet: "pyarrow", Format.xlsx: "xlsxwriter"}
"""Formats that an extra of the same name writes, with the package whose next version may write other bytes."""
