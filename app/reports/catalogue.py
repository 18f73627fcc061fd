"""All reports: a new one is a file in this folder, and a line in `REPORTS`."""

from importlib import import_module
from typing import Any

from app.kit.server.documentation import Both
from app.reports.definition import Report
from app.reports.models import Catalogue, ColumnKind, ReportColumn, ReportOut, ReportParameter

REPORTS: tuple[Report, ...] = tuple(
    import_module(f"app.reports.{name}").REPORT
    for name in (
        "absorption",
        "overdue_milestones",
        "priority_locations",
        "overlap_register",
        "unreported_lines",
        "strategy_balance",
    )
)
"""In the order of the catalogue."""

_KINDS = {
    "string": ColumnKind.text,
    "integer": ColumnKind.integer,
    "number": ColumnKind.number,
    "boolean": ColumnKind.boolean,
    "array": ColumnKind.list,
    "date": ColumnKind.date,
    "date-time": ColumnKind.instant,
}


def catalogue() -> Catalogue:
    """Every report with its columns, from what the reports declare."""
    return Catalogue(reports=[_told(report) for report in REPORTS])


def _told(report: Report) -> ReportOut:
    return ReportOut(
        report=report.name,
        json_address=report.path,
        csv_address=f"{report.path}.csv",
        title=Both(**report.title._asdict()),
        description=Both(**report.description._asdict()),
        parameters=[
            ReportParameter(name=name, required=field.is_required())
            for name, field in report.asked.model_fields.items()
        ],
        sorts=report.sorts,
        columns=_columns(report),
    )


def _columns(report: Report) -> list[ReportColumn]:
    schema = report.row.model_json_schema(mode="serialization")
    named = schema.get("$defs", {})
    return [
        ReportColumn(
            name=name,
            **_kind(schema["properties"][name], named),
            description=Both(id=str(field.title), en=str(field.description)),
        )
        for name, field in report.row.model_fields.items()
    ]


def _kind(declared: dict[str, Any], named: dict[str, object]) -> dict[str, Any]:
    """Kind of what a field's schema declares, and whether it may be null."""
    choices = declared.get("anyOf", [declared])
    (one,) = [choice for choice in choices if choice.get("type") != "null"]
    if "$ref" in one:
        one = named[one["$ref"].rsplit("/", 1)[1]]
    kind = _KINDS.get(one.get("format", ""), _KINDS[one["type"]])
    return {"kind": kind, "nullable": len(choices) > 1}
