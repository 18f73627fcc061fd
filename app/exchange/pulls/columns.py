"""The columns of a pull as a table, named after the Fiscal Data Package where it has a name.

A field of the lines is a column, a report's under `report_`; what is a list or an object stands as its JSON.
They follow from the declared shape. A field that is younger than the first release is a column at the end, empty
where a line was frozen before.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from app.exchange.pulls.models import PullLine
from app.kit.database.json_sql import to_json
from app.kit.openapi.schemas import release_of
from app.tracking.quarters.snapshots.models import SnapshotReport

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
