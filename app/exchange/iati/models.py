"""Contents of an IATI export before the XML; none has a table."""

from datetime import date, datetime
from typing import Any, NamedTuple

EXAMPLE = """<?xml version="1.0" encoding="utf-8"?>
<iati-activities version="2.03"><iati-activity default-currency="IDR" xml:lang="id">
<iati-identifier>ID-RATA-63.02-2026-A-001</iati-identifier>
<reporting-org ref="ID-RATA-63.02" type="11"><narrative>TKPK Kabupaten Kotabaru</narrative></reporting-org>
<title><narrative>Bantuan permakanan lanjut usia terlantar</narrative></title>
<description type="1"><narrative>Penyediaan Permakanan</narrative></description>
<participating-org role="4" ref="ID-RATA-63.02-1.06.0.00.0.00.08.0000">
<narrative>Dinas Sosial</narrative></participating-org>
<activity-status code="2"/><activity-date type="1" iso-date="2026-01-01"/>
</iati-activity></iati-activities>
"""
"""Shortest document that is valid against the published schema."""


class RevisionInForce(NamedTuple):
    """A plan's revision in force."""

    plan: str
    region_code: str
    year: int
    number: int
    instrument_date: date
    adopted_at: datetime
    is_closed: bool
    actions: list[dict[str, Any]]
    """With the fields of `RevisionAction`, ordered by code."""


class QuarterReport(NamedTuple):
    """Report on a line at the end of a quarter; every figure is cumulative from January."""

    period: str
    spent: int
    achieved: dict[str, float]
    """Code of the output → figure."""
    reported_at: datetime


class ExportNames(NamedTuple):
    """Names, and points of regions, for the codes in a plan's lines."""

    region: str
    zone: str
    """Time zone of the plan's region."""
    agencies: dict[str, str]
    sources: dict[str, str]
    strategies: dict[str, str]
    places: dict[str, str]
    points: dict[str, tuple[float, float]]
    """Region → (latitude, longitude); regions without a known point are missing."""


class Export(NamedTuple):
    """Everything in an export."""

    prefix: str
    """Prefix of every identifier, from the register of the publisher."""
    today: date
    """Day in the region's zone: a line ends when its last quarter is past."""
    in_force: RevisionInForce
    names: ExportNames
    reports: dict[str, list[QuarterReport]]
    """Line → its reports, ordered by quarter."""
    targets: dict[tuple[str, str, str], float | None]
    """(line, output, quarter) → target in the revision that the quarter has."""
