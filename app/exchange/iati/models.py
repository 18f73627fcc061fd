"""What an export is made of, before it is XML; nothing of it has a table of its own."""

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
"""Cut short: the least that the published schema takes."""


class InForce(NamedTuple):
    """A plan's revision in force."""

    plan: str
    region_code: str
    year: int
    number: int
    instrument_date: date
    adopted_at: datetime
    is_closed: bool
    actions: list[dict[str, Any]]
    """As `RevisionAction`, by code."""


class Report(NamedTuple):
    """What was reported of a line at the end of a quarter; every figure cumulative from January."""

    period: str
    spent: int
    achieved: dict[str, float]
    """By code of the output."""
    reported_at: datetime


class Names(NamedTuple):
    """The names and points of what lines refer to by code."""

    region: str
    agencies: dict[str, str]
    sources: dict[str, str]
    strategies: dict[str, str]
    places: dict[str, str]
    points: dict[str, tuple[float, float]]
    """Region → latitude, longitude; where nobody says, missing."""


class Export(NamedTuple):
    """All that an export says."""

    prefix: str
    """What every identifier begins with: of the register in which the publisher stands."""
    in_force: InForce
    names: Names
    reports: dict[str, list[Report]]
    """Line → its reports, in the order of the quarters."""
