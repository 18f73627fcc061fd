"""The list of reports. To add one, add a file to this folder and its name to `REPORTS`."""

from importlib import import_module
from typing import Any

from app.kit.server.documentation import Both
from app.reports.definition import ReportDefinition
from app.reports.models import Catalogue, ColumnKind, ReportColumn, ReportOut, ReportParameter

REPORTS: tuple[ReportDefinition, ...] = tuple(
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


def describe_reports() -> Catalogue:
    """Return every report with its parameters, sorts and columns."""
    return Catalogue(reports=[_describe(report) for report in REPORTS])


def _describe(report: ReportDefinition) -> ReportOut:
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
        columns=_describe_columns(report),
    )


def _describe_columns(report: ReportDefinition) -> list[ReportColumn]:
    schema = report.row.model_json_schema(mode="serialization")
    definitions = schema.get("$defs", {})
    return [
        ReportColumn(
            name=name,
            **_describe_kind(schema["properties"][name], definitions),
            description=Both(id=str(field.title), en=str(field.description)),
        )
        for name, field in report.row.model_fields.items()
    ]


def _describe_kind(field: dict[str, Any], definitions: dict[str, object]) -> dict[str, Any]:
    """Return `kind` and `nullable` of a field by its JSON schema."""
    choices = field.get("anyOf", [field])
    (schema,) = [choice for choice in choices if choice.get("type") != "null"]
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rsplit("/", 1)[1]]
    kind = _KINDS.get(schema.get("format", ""), _KINDS[schema["type"]])
    return {"kind": kind, "nullable": len(choices) > 1}
