"""The columns of a pull as a table, named after the Fiscal Data Package where it has a name.

A field of the lines is a column, a report's under `report_`; what is a list or an object stands as its JSON.
They follow from the declared shape, so a new field of an action is a new column at the end of its like.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from app.exchange.pulls.models import PullLine
from app.kit.database.json_sql import to_json
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
    """A column, and what a line has in it."""

    name: str
    value: Callable[[dict[str, Any]], Any]


def _of_line(field: str) -> Column:
    return Column(FISCAL.get(field, field), lambda line: line[field])


def _of_report(field: str) -> Column:
    return Column(f"report_{field}", lambda line: line["report"] and line["report"][field])


COLUMNS = (
    Column("budget-line-id", lambda line: f"{line['plan']}/{line['action']}"),
    Column("date:fiscal-year", lambda line: int(line["plan"].rpartition("-")[2])),
    *[_of_line(field) for field in PullLine.model_fields if field != "report"],
    *[_of_report(field) for field in SnapshotReport.model_fields],
)


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
