"""Writes a pull as NDJSON, CSV, XLSX or Parquet, or its digests.

Each writer takes the lines in chunks and keeps none. The bytes hold no time stamp, so equal lines give equal bytes.
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
from app.changes.rules import encode_cursor
from app.exchange.pulls.models import Format, PullLine
from app.exchange.pulls.queries import Source, count_lines, find_last_position, list_sources, read_lines
from app.exchange.pulls.rules import BYTES_VERSION, COLUMNS, MACHINE_CSV, format_cells, make_cache_key
from app.kit.database.engine import Database
from app.kit.database.json_sql import dump_json
from app.kit.database.snapshots import start_streaming
from app.kit.exports.cache import ExportMetadata, ExportWriter, PendingExport
from app.kit.files.delimited import escape_formula
from app.kit.files.new_workbooks import MOST_ROWS, SheetFull, create_workbook, write_cells
from app.kit.http.etags import make_etag
from app.kit.openapi.schemas import sort_fields_by_age
from app.kit.problems import require_found

if TYPE_CHECKING:
    import pyarrow as pa

# Parquet: columns typed by the lines' shape, texts in dictionaries, the summary in the footer


_GROUP_LINES = 10_000
"""Lines of a row group, all in memory at once."""

#: The only field without declared names (texts of the matrix by column). A column holds its JSON.
_MATRIX_TEXTS = re.compile(rb'"matrix_texts":\s*(\{(?:[^"{}]|"(?:[^"\\]|\\.)*")*\})')


def write_parquet(export: PendingExport, chunks: Iterator[list[str]], facts: dict[str, object]) -> None:
    """Write the lines; `facts` go into the footer, each value as JSON under `rata.` and its name."""
    # Imported on first use: pyarrow takes half as much memory as the remainder of a worker.
    import pyarrow as pa
    import pyarrow.json
    import pyarrow.parquet

    schema = make_arrow_schema(PullLine)
    reading = pa.json.ParseOptions(
        explicit_schema=_make_json_schema(schema), unexpected_field_behavior="error"
    )
    with pa.parquet.ParquetWriter(
        pa.PythonFile(ExportWriter(export), "w"),
        schema,
        compression="zstd",
        use_dictionary=True,
        store_schema=True,
    ) as writer:
        for group in _group_lines(chunks):
            data = _MATRIX_TEXTS.sub(_quote_matrix_texts, "\n".join(group).encode())
            options = pa.json.ReadOptions(use_threads=False, block_size=len(data) + 1)
            table = pa.json.read_json(io.BytesIO(data), read_options=options, parse_options=reading)
            writer.write_table(table.cast(schema))
        writer.add_key_value_metadata({f"rata.{name}": dump_json(value) for name, value in facts.items()})


def _group_lines(chunks: Iterator[list[str]]) -> Iterator[list[str]]:
    group: list[str] = []
    for chunk in chunks:
        group += chunk
        if len(group) >= _GROUP_LINES:
            yield group
            group = []
    if group:
        yield group


def _quote_matrix_texts(match: re.Match[bytes]) -> bytes:
    return b'"matrix_texts":' + dump_json(dump_json(json.loads(match[1]))).encode()


def make_arrow_schema(shape: type[BaseModel]) -> "pa.Schema":
    """Return the Arrow schema of a shape: lists as lists, objects as structs, money and counts as 64-bit integers."""
    import pyarrow as pa

    return pa.schema(
        [(name, _make_arrow_type(field.annotation)) for name, field in sort_fields_by_age(shape).items()]
    )


def _make_arrow_type(kind: Any) -> "pa.DataType":
    import pyarrow as pa

    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _make_arrow_type(inner[0])
    if origin in (Union, UnionType):
        (only,) = (member for member in inner if member is not NoneType)
        return _make_arrow_type(only)
    if origin is list:
        return pa.list_(_make_arrow_type(inner[0]))
    if origin is dict:
        return pa.string()
    if issubclass(kind, BaseModel):
        return pa.struct(
            [(name, _make_arrow_type(field.annotation)) for name, field in sort_fields_by_age(kind).items()]
        )
    plain = {
        bool: pa.bool_(),
        int: pa.int64(),
        float: pa.float64(),
        datetime: pa.timestamp("us", "UTC"),
        date: pa.date32(),
    }
    return plain.get(kind, pa.string())


def _make_json_schema(schema: "pa.Schema") -> "pa.Schema":
    """Return the schema with dates and times as strings, as JSON has them."""
    import pyarrow as pa

    return pa.schema([(field.name, _make_json_type(field.type)) for field in schema])


def _make_json_type(kind: "pa.DataType") -> "pa.DataType":
    import pyarrow as pa

    if pa.types.is_list(kind):
        return pa.list_(_make_json_type(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _make_json_type(field.type)) for field in kind])
    return pa.string() if pa.types.is_temporal(kind) else kind


STREAMED_ROWS = 2000
"""Above this number of lines, the export streams: it sends the first lines before it has read the last."""
_AGENCY = re.compile(r'"lead_agency":"([^"]*)"')


@dataclass(frozen=True)
class PullFacts:
    """Facts of a pull that are known before the first line."""

    period: str
    region: str | None
    rows: int
    cursor: str
    plan_sources: list[Source]

    def summarise(self, **more: object) -> dict[str, object]:
        """Return the fields of `PullContent` known so far, with `more`."""
        plain = {"period": self.period, "region": self.region, "rows": self.rows, "cursor": self.cursor}
        return {**plain, **more}

    def plans(self) -> list[dict[str, str | int | None]]:
        return [source.shown.model_dump() for source in self.plan_sources]


class Sink(Protocol):
    """Target of an export's bytes."""

    def write(self, data: bytes) -> int: ...


def write_ndjson(sink: Sink, chunks: Iterator[list[str]], pull: PullFacts) -> None:
    """Write one line each, then the end line, which shows that the transfer is complete."""
    digest = hashlib.sha256()
    for chunk in chunks:
        data = ("\n".join(chunk) + "\n").encode()
        digest.update(data)
        sink.write(data)
    end = pull.summarise(sha256=digest.hexdigest(), plans=pull.plans())
    sink.write(dump_json({"end": end}).encode() + b"\n")


def write_digests(sink: Sink, chunks: Iterator[list[str]], pull: PullFacts) -> None:
    """Write number and SHA-256 of all lines, by plan, and by lead agency within each plan."""
    whole = hashlib.sha256()
    by_region = {source.region_code: _Digest() for source in pull.plan_sources}
    for chunk in chunks:
        for text in chunk:
            data = f"{text}\n".encode()
            whole.update(data)
            match = _AGENCY.search(text)
            assert match is not None
            # The line begins {"region_code":"…
            by_region[text[16 : text.index('"', 16)]].add(data, match[1])
    plans = [{**plan, **by_region[str(plan["region_code"])].summarise()} for plan in pull.plans()]
    sink.write(dump_json(pull.summarise(sha256=whole.hexdigest(), plans=plans)).encode())


class _Digest:
    """Row count and hash of a plan's lines, in all and by lead agency."""

    def __init__(self, *, agencies: bool = True) -> None:
        self.rows, self.digest = 0, hashlib.sha256()
        self.agencies: dict[str, _Digest] | None = {} if agencies else None

    def add(self, data: bytes, agency: str) -> None:
        self.rows += 1
        self.digest.update(data)
        if self.agencies is not None:
            if agency not in self.agencies:
                self.agencies[agency] = _Digest(agencies=False)
            self.agencies[agency].add(data, agency)

    def summarise(self) -> dict[str, object]:
        result: dict[str, object] = {"rows": self.rows, "sha256": self.digest.hexdigest()}
        if self.agencies is not None:
            result["agencies"] = [
                {"lead_agency": code, **self.agencies[code].summarise()} for code in sorted(self.agencies)
            ]
        return result


def write_csv(
    sink: Sink, chunks: Iterator[list[str]], pull: PullFacts, *, escape: Callable[[str], str] = escape_formula
) -> None:
    """Write RFC 4180 in UTF-8; a text that a spreadsheet would run as a formula gets an apostrophe in front."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([column.name for column in COLUMNS])
    for chunk in chunks:
        for text in chunk:
            writer.writerow([escape(cell) if isinstance(cell, str) else cell for cell in format_cells(text)])
        sink.write(out.getvalue().encode())
        out.seek(0)
        out.truncate()
    sink.write(out.getvalue().encode())


def write_xlsx(sink: PendingExport, chunks: Iterator[list[str]], pull: PullFacts) -> None:
    """Write a sheet with a row for each line, and a sheet about the pull. Raises SheetFull if there are too many."""
    if pull.rows >= MOST_ROWS:
        raise SheetFull(most=MOST_ROWS - 1)
    with create_workbook(ExportWriter(sink), f"Rata {pull.period}") as book:
        bold = book.add_format({"bold": True})
        sheet = book.add_worksheet(pull.period)
        sheet.freeze_panes(1, 0)
        write_cells(sheet, 0, [column.name for column in COLUMNS], [bold] * len(COLUMNS))
        for row, text in enumerate((text for chunk in chunks for text in chunk), 1):
            write_cells(sheet, row, format_cells(text))
        facts = pull.summarise()
        plans = pull.plans()
        about = book.add_worksheet("rata")
        for row, (name, value) in enumerate(facts.items()):
            write_cells(about, row, [name, value])
        write_cells(about, len(facts) + 1, list(plans[0]))
        for row, plan in enumerate(plans, len(facts) + 2):
            write_cells(about, row, list(plan.values()))


# Codings


class _Coder(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class CompressedSink:
    """A sink that compresses its bytes with a content coding."""

    def __init__(self, sink: PendingExport, coding: str) -> None:
        self._sink = sink
        self._coder = _make_coder(coding)

    def write(self, data: bytes) -> int:
        self._sink.write(self._coder.compress(data))
        return len(data)

    def close(self) -> None:
        self._sink.write(self._coder.flush())


def _make_coder(coding: str) -> _Coder:
    if coding == "gzip":
        # 31: with a gzip header, which zlib writes without a time
        return zlib.compressobj(5, zlib.DEFLATED, 31)
    import zstandard

    return zstandard.ZstdCompressor(level=3).compressobj()


# Writing an export


@dataclass(frozen=True)
class RequestedPull:
    """A requested pull: format, period, filter and coding, with the actor's rights."""

    actor: Actor
    kind: str
    """A `Format`, `MACHINE_CSV` or `digests`."""
    period: str
    region: str | None
    coding: str | None

    def tag(self, plan_sources: Sequence[Source]) -> str:
        """Return the ETag for the current states of these plans, made of all that decides the bytes."""
        library = version(LIBRARIES[self.kind]) if self.kind in LIBRARIES else ""
        states = [repr(tuple(source)) for source in plan_sources]
        rights = self.actor.fingerprint
        return make_etag(BYTES_VERSION, self.kind, library, self.period, self.region, rights, *states)

    def name(self, tag: str) -> str:
        """Return the cache key for the state of that tag."""
        return make_cache_key(
            tag, self.actor.fingerprint, self.kind, self.period, self.region or "", self.coding or ""
        )

    def make(self, database: Database, export: PendingExport) -> str:
        """Write the export from one snapshot and return its cache key. Raises NotFound if the actor sees nothing."""
        return database.run_in_snapshot(partial(self._write, database, export))

    def _write(self, database: Database, export: PendingExport, session: Session) -> str:
        plans = require_found(list_sources(session, self.actor, self.period, self.region) or None)
        counted = count_lines(session, plans, self.period)
        # The feed has no public rows: a reader of published regions only gets the cursor of the beginning.
        followed = [plan for plan in plans if self.actor.sees(plan.region_code)]
        cursor = encode_cursor(find_last_position(session, followed, self.period), [self.region, []])
        pull = PullFacts(self.period, self.region, sum(counted.values()), cursor, plans)
        tag = self.tag(plans)
        is_long = self.kind == Format.ndjson and pull.rows > STREAMED_ROWS and start_streaming(session)
        export.begin(ExportMetadata(tag, {"Rata-Rows": str(pull.rows), "Rata-Cursor": cursor}, is_long))
        with (
            database.share_snapshot(session)
            if pull.rows > STREAMED_ROWS
            else nullcontext([session]) as sessions,
            closing(read_lines(sessions, plans, counted, self.period)) as texts,
        ):
            if self.coding is None:
                _WRITERS[self.kind](export, texts, pull)
            else:
                coded = CompressedSink(export, self.coding)
                _WRITERS[self.kind](coded, texts, pull)
                coded.close()
        return self.name(tag)


_WRITERS: dict[str, Callable[[Any, Iterator[list[str]], PullFacts], None]] = {
    Format.ndjson: write_ndjson,
    Format.csv: write_csv,
    MACHINE_CSV: partial(write_csv, escape=str),
    Format.parquet: lambda sink, texts, pull: write_parquet(sink, texts, pull.summarise(plans=pull.plans())),
    Format.xlsx: write_xlsx,
    "digests": write_digests,
}
LIBRARIES: dict[str, str] = {Format.parquet: "pyarrow", Format.xlsx: "xlsxwriter"}
"""Format that needs the extra of its name → the package, whose versions may write different bytes."""
