"""Query, lines and summary of a pull."""

import json
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, JsonValue
from pydantic import Field as ShapeField
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from app.kit.fields import AgencyCode, RegionCode, describe_key, show_example
from app.kit.tables.options import CsvDialect
from app.tracking.quarters.models import REVISION
from app.tracking.quarters.snapshots.models import SnapshotLine

PullPeriod = Annotated[str, describe_key("Quarter to pull.", "2026-Q2")]


class Format(StrEnum):
    """Formats of a pull."""

    ndjson = "ndjson"
    csv = "csv"
    parquet = "parquet"
    xlsx = "xlsx"


PullFormat = Annotated[str, describe_key("`ndjson`, `csv`, `parquet` or `xlsx`.", "ndjson")]


class PullQuery(BaseModel):
    """Filter of the regions in a pull."""

    region: RegionCode | None = ShapeField(
        default=None, description="This region and everything below it; without it all that the token sees."
    )


class PullFileQuery(PullQuery):
    """Filter of a pull, and the dialect of its CSV."""

    dialect: CsvDialect = ShapeField(
        default="spreadsheet",
        description="Of CSV. `spreadsheet`: an apostrophe before a text that would be a formula; `machine`: none.",
    )


_extra: Any = SnapshotLine.model_config.get("json_schema_extra")
LINE_EXAMPLE: dict[str, JsonValue] = {
    "region_code": "63.02",
    "plan": "63.02-2026",
    **_extra["examples"][0],
}


class _PlanFields(BaseModel):
    region_code: RegionCode
    plan: str = ShapeField(description="Key of the plan.")


class PullLine(SnapshotLine, _PlanFields):
    """A line of a plan with its report of the quarter or null: that of the latest snapshot, else of the quarter's
    revision."""

    model_config = show_example(LINE_EXAMPLE)


class PulledPlan(BaseModel):
    """A plan in a pull, with the revision and the snapshot of its lines."""

    region_code: RegionCode
    plan: str
    revision: int | None = ShapeField(description=REVISION)
    amendment: int | None = ShapeField(
        description="Amendment of the snapshot that has its lines: 0 is the first snapshot; null: no snapshot "
        "yet."
    )


_PLAN: dict[str, object] = {"region_code": "63.02", "plan": "63.02-2026", "revision": 0, "amendment": None}
_SHA = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_CURSOR = "WyI2NTVmYzUyNjYzZWYiLCJwbGFuOjYzLjAyLTIwMjYiLDE3LCI5ZmYwYjU3ZSJd"


class PullContent(BaseModel):
    """Facts that a pull and its digests share."""

    period: str
    region: RegionCode | None = ShapeField(description="Region of the request; null: none.")
    rows: int = ShapeField(description="Number of lines.")
    sha256: str = ShapeField(description="SHA-256 (hex) of the bytes of all lines, each with its line feed.")
    cursor: str = ShapeField(
        description="Position in the feed: send it as `after` to `/v1/changes`, with this `region`."
    )


class PullSummary(PullContent):
    """Summary at the end of a pull."""

    plans: list[PulledPlan] = ShapeField(
        description="Plans in the order of their lines, also those without lines."
    )


_SUMMARY: dict[str, object] = {
    "period": "2026-Q2",
    "region": "63",
    "rows": 156,
    "sha256": _SHA,
    "cursor": _CURSOR,
    "plans": [_PLAN],
}


class PullEnd(BaseModel):
    """The last line of NDJSON; a transfer without it is incomplete."""

    end: PullSummary

    model_config = show_example(end=_SUMMARY)


def make_client_schema() -> bytes:
    """Return the JSON Schema from which the client creates its tables, without examples; the repository has a copy."""
    shapes: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (PullLine, "serialization"),
        (PullSummary, "serialization"),
    ]
    _, schema = models_json_schema(shapes)
    for shape in schema["$defs"].values():
        shape.pop("examples", None)
    return (json.dumps(schema, indent=1, ensure_ascii=False) + "\n").encode()


class AgencyDigest(BaseModel):
    """Digest of the lines that one agency leads."""

    lead_agency: AgencyCode
    rows: int
    sha256: str = ShapeField(description="SHA-256 (hex) of its lines, in their order.")


class PlanDigest(PulledPlan):
    """Digest of the lines of one plan."""

    rows: int
    sha256: str = ShapeField(description="SHA-256 (hex) of its lines, in their order.")
    agencies: list[AgencyDigest]


class Digests(PullContent):
    """Counts and hashes of a quarter's lines, plan by plan and agency by agency."""

    plans: list[PlanDigest]

    model_config = show_example(
        _SUMMARY,
        plans=[
            {
                **_PLAN,
                "rows": 156,
                "sha256": _SHA,
                "agencies": [{"lead_agency": "1.06.0.00.0.00.08.0000", "rows": 12, "sha256": _SHA}],
            }
        ],
    )
