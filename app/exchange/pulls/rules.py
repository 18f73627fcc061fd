"""ETag, cache key, format, content coding and table columns of a pull. Pure.

Column names are those of the Fiscal Data Package where it has one. Each field of a line is a column, each field of
its report a column with the prefix `report_`, and of an earlier report that counts one with `carried_`; lists and
objects become JSON. Fields younger than the first release come last, and are empty in lines frozen before them.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from app.exchange.pulls.models import Format, PullLine
from app.extras import is_installed
from app.kit.database.json_sql import dump_json
from app.kit.files.books import XLSX
from app.kit.http.preferences import read_weights
from app.kit.openapi.schemas import count_younger, find_release
from app.tracking.quarters.snapshots.models import CarriedReport, SnapshotReport

BYTES_VERSION = 1 + count_younger(PullLine)
"""Version of the bytes, part of the ETag: raise the 1 when equal lines would give other bytes, so that copies fetch
them again. A field younger than the first release counts by itself, as it adds a column."""

MACHINE_CSV = "machine.csv"
"""CSV for programs, beside the `Format` for spreadsheets."""

MEDIA_TYPES: dict[str, str] = {
    Format.ndjson: "application/x-ndjson",
    Format.csv: "text/csv",
    MACHINE_CSV: "text/csv",
    Format.parquet: "application/vnd.apache.parquet",
    Format.xlsx: XLSX,
    "digests": "application/json",
}
COMPRESSIBLE = frozenset({Format.ndjson, Format.csv, MACHINE_CSV, "digests"})
"""Formats worth compressing; the others are compressed already."""

CODINGS = ("zstd", "gzip") if is_installed("zstd") else ("gzip",)
"""Content codings, best first."""


def make_cache_key(tag: str, *owner: object) -> str:
    """Return the cache key of an export. It includes the owner's rights, since any client can send a tag."""
    return hashlib.sha256("\0".join([tag, *map(str, owner)]).encode()).hexdigest()[:40]


def choose_format(accept: str | None) -> Format | None:
    """Return the format that `Accept` prefers, NDJSON first. Returns None if it accepts none of them."""
    if accept is None:
        return Format.ndjson
    weights = read_weights(accept)

    def quality(media_type: str) -> float:
        # The most specific range decides.
        for media_range in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
            matches = [weight for value, weight in weights if value == media_range]
            if matches:
                return max(matches)
        return 0.0

    # An exact media type wins over `*/*`.
    best = max(Format, key=lambda format: (quality(MEDIA_TYPES[format]), -list(Format).index(format)))
    return best if quality(MEDIA_TYPES[best]) > 0 else None


def choose_coding(accept_encoding: str | None, kind: str) -> str | None:
    """Return the content coding to send, None for uncompressed."""
    if kind not in COMPRESSIBLE or accept_encoding is None:
        return None
    weights: Mapping[str, float] = dict(read_weights(accept_encoding))
    offered = [(weights.get(coding, 0.0), coding) for coding in CODINGS]
    best = max(weight for weight, _ in offered)
    plain = weights.get("identity", 0.0)
    if best <= 0 or plain > best:
        return None
    return next(coding for weight, coding in offered if weight == best)


# Columns of a table


Cell = str | int | float | None

#: Field → column type of the Fiscal Data Package, budget taxonomy 1.0.0rc1.
FISCAL = {
    "region_code": "geo:target:code",
    "lead_agency": "administrative-classification:generic:code",
    "program": "activity:generic:program:label",
    "activity": "activity:generic:subprogram:label",
    "subactivity_code": "activity:generic:project:code",
    "subactivity": "activity:generic:project:label",
    "allocation": "value",
}


class PullColumn(NamedTuple):
    """A column with its name, its value in a line, and the release that introduced it."""

    name: str
    value: Callable[[dict[str, Any]], object]
    release: tuple[int, ...] = ()


def list_columns(line: type[BaseModel], reports: Mapping[str, type[BaseModel]]) -> list[PullColumn]:
    """Return the columns of lines and of the `reports` in their fields, those of younger fields last."""
    fields = line.model_fields
    columns = [
        PullColumn("budget-line-id", lambda line: f"{line['plan']}/{line['action']}"),
        PullColumn("date:fiscal-year", lambda line: int(line["plan"].rpartition("-")[2])),
        *[_make_line_column(name, field) for name, field in fields.items() if name not in reports],
        *[
            _make_report_column(of, name, max(find_release(fields[of]), find_release(field)))
            for of, report in reports.items()
            for name, field in report.model_fields.items()
        ],
    ]
    return sorted(columns, key=lambda column: column.release)


def _make_line_column(name: str, field: FieldInfo) -> PullColumn:
    return PullColumn(FISCAL.get(name, name), lambda line: line.get(name), find_release(field))


def _make_report_column(of: str, name: str, release: tuple[int, ...]) -> PullColumn:
    return PullColumn(f"{of}_{name}", lambda line: (line.get(of) or {}).get(name), release)


COLUMNS = list_columns(PullLine, {"report": SnapshotReport, "carried": CarriedReport})


def format_cells(text: str) -> list[Cell]:
    """Return a line of a pull as the cells of its row."""
    line = json.loads(text)
    return [_format_cell(column.value(line)) for column in COLUMNS]


def _format_cell(value: Any) -> Cell:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, dict)):
        return dump_json(value)
    plain: Cell = value
    return plain
