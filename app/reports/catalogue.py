"""The list of reports. To add one, add a file to this folder and its name to `REPORTS`."""

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any

from app.kit.server.documentation import Both
from app.kit.tables.columns import read_columns
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
        xlsx_address=f"{report.path}.xlsx",
        csv_address=f"{report.path}.csv",
        title=Both(**report.title._asdict()),
        description=Both(**report.description._asdict()),
        parameters=[
            ReportParameter(name=name, required=field.is_required())
            for name, field in report.asked.model_fields.items()
        ],
        sorts=report.sorts,
        columns=[*describe_report_columns(report)],
    )


@cache
def describe_report_columns(report: ReportDefinition) -> Sequence[ReportColumn]:
    """Return the columns of a report, in the order of its files."""
    schema = report.row.model_json_schema(mode="serialization")
    definitions = schema.get("$defs", {})
    return [
        ReportColumn(
            name=name,
            **_describe_kind(schema["properties"][name], definitions),
            heading=Both(**words.heading._asdict()),
            description=Both(**words.description._asdict()),
        )
        for name, words in read_columns(report.row).items()
    ]


def _describe_kind(field: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return `kind`, `nullable` and `has_codes` of a field by its JSON schema."""

    def resolve(schema: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = definitions[schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema
        return found

    choices = field.get("anyOf", [field])
    (schema,) = [resolve(choice) for choice in choices if choice.get("type") != "null"]
    kind = _KINDS.get(schema.get("format", ""), _KINDS[schema["type"]])
    has_codes = "enum" in resolve(schema.get("items", schema))
    return {"kind": kind, "nullable": len(choices) > 1, "has_codes": has_codes}
