"""What a pull is, without reading any: its tag, name, format and coding, and its columns as a table. Pure.

Columns are named after the Fiscal Data Package where it has a name. A field of the lines is a column, a report's
under `report_`; what is a list or an object stands as its JSON. They follow from the declared shape. A field that
is younger than the first release is a column at the end, empty where a line was frozen before.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from app.exchange.pulls.models import Format, PullLine
from app.extras import is_installed
from app.kit.database.json_sql import to_json
from app.kit.http.etags import tag_of
from app.kit.http.preferences import read_weights
from app.kit.openapi.schemas import count_younger, release_of
from app.tracking.quarters.snapshots.models import SnapshotReport

FORM = 1 + count_younger(PullLine)
"""Raised when the same lines would be written with other bytes than before: a copy then fetches them again. A field
that is younger than the first release, which is a column more, raises it by itself; any other reason raises the 1."""

MEDIA_TYPES: dict[str, str] = {
    Format.ndjson: "application/x-ndjson",
    Format.csv: "text/csv",
    Format.parquet: "application/vnd.apache.parquet",
    Format.xlsx: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "digests": "application/json",
}
CODED = frozenset({Format.ndjson, Format.csv, "digests"})
"""Formats that are worth compressing; the others are compressed already."""

CODINGS = ("zstd", "gzip") if is_installed("zstd") else ("gzip",)
"""What content is compressed with, the better first."""


def pull_tag(
    kind: str,
    period: str,
    region: str | None,
    rights: str,
    marks: Iterable[Sequence[object]],
    made_by: str = "",
) -> str:
    """The tag of a pull: of everything that decides its bytes, and of nothing else.

    `marks` say where the lines are from, `made_by` which version of a library writes them.
    """
    return tag_of(FORM, kind, made_by, period, region, rights, *[repr(tuple(mark)) for mark in marks])


def name_in_spool(tag: str, *owner: object) -> str:
    """Under which name a content is kept: a tag alone, which anybody can send, opens nothing to other rights."""
    return hashlib.sha256("\0".join([tag, *map(str, owner)]).encode()).hexdigest()[:40]


def format_for(accept: str | None) -> Format | None:
    """The format that `Accept` prefers, NDJSON before others; None: it takes none of them."""
    if accept is None:
        return Format.ndjson
    weights = read_weights(accept)

    def quality(media_type: str) -> float:
        # the most specific range decides
        for wanted in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
            said = [weight for value, weight in weights if value == wanted]
            if said:
                return max(said)
        return 0.0

    # what is plainly named goes before what `*/*` lets through
    best = max(Format, key=lambda one: (quality(MEDIA_TYPES[one]), -list(Format).index(one)))
    return best if quality(MEDIA_TYPES[best]) > 0 else None


def coding_for(accept_encoding: str | None, kind: str) -> str | None:
    """The coding in which content of that kind is sent; None: as it is."""
    if kind not in CODED or accept_encoding is None:
        return None
    weights: Mapping[str, float] = dict(read_weights(accept_encoding))
    offered = [(weights.get(one, 0.0), one) for one in CODINGS]
    best = max(weight for weight, _ in offered)
    plain = weights.get("identity", 0.0)
    if best <= 0 or plain > best:
        return None
    return next(one for weight, one in offered if weight == best)


def file_name(period: str, region: str | None, kind: str) -> str:
    return f"rata-{period}{f'-{region}' if region else ''}.{kind}"


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


class Column(NamedTuple):
    """A column, what a line has in it, and the release that brought it."""

    name: str
    value: Callable[[dict[str, Any]], object]
    release: tuple[int, ...] = ()


def columns_of(line: type[BaseModel], report: type[BaseModel]) -> list[Column]:
    """Return the columns of lines and their reports, those of younger fields last."""
    columns = [
        Column("budget-line-id", lambda line: f"{line['plan']}/{line['action']}"),
        Column("date:fiscal-year", lambda line: int(line["plan"].rpartition("-")[2])),
        *[_of_line(name, field) for name, field in line.model_fields.items() if name != "report"],
        *[_of_report(name, field) for name, field in report.model_fields.items()],
    ]
    return sorted(columns, key=lambda column: column.release)


def _of_line(name: str, field: FieldInfo) -> Column:
    return Column(FISCAL.get(name, name), lambda line: line.get(name), release_of(field))


def _of_report(name: str, field: FieldInfo) -> Column:
    return Column(
        f"report_{name}", lambda line: line["report"] and line["report"].get(name), release_of(field)
    )


COLUMNS = columns_of(PullLine, SnapshotReport)


def cells(text: str) -> list[Cell]:
    """A line of a pull as the cells of its row."""
    line = json.loads(text)
    return [_cell(column.value(line)) for column in COLUMNS]


def _cell(value: Any) -> Cell:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, dict)):
        return to_json(value)
    plain: Cell = value
    return plain
