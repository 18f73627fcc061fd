"""An export as IATI 2.03. Pure.

Elements stand in the order that the published schema demands. What a plan does not say is left out, never made up;
codes are those of IATI's code lists, named beside each.
"""

from calendar import monthrange
from collections.abc import Iterable
from datetime import date
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from app.exchange.iati.models import Export, Report
from app.kit.periods import Period

LOCAL_GOVERNMENT = "11"
FUNDING, ACCOUNTABLE, IMPLEMENTING = "1", "2", "4"
IMPLEMENTATION, CLOSED = "2", "4"
PLANNED_START, PLANNED_END = "1", "3"
OWN, OWN_2 = "99", "98"
"""Vocabularies of the reporting organisation itself."""
INDICATIVE, COMMITTED = "1", "2"
EXPENDITURE = "4"
UNITS, PERCENTAGE = "1", "2"
WGS84 = "http://www.opengis.net/def/crs/EPSG/0/4326"

_FIXED = ("apbd", "apbd_p")
"""Stages at which an amount is law; before them it is a plan."""
_PERCENT = ("%", "persen", "percent")
_KINDS = {
    "families": "keluarga",
    "persons": "orang",
    "groups": "kelompok",
    "villages": "desa",
    "units": "unit",
}
_NOT_XML = dict.fromkeys([0xFFFE, 0xFFFF])
"""The only characters that texts of the service may have and XML may not."""


def xml_of(export: Export) -> bytes:
    """The export as a document in UTF-8, the same bytes for the same content."""
    root = Element("iati-activities", version="2.03")
    for line in export.in_force.actions:
        _activity(root, export, line)
    document: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _activity(root: Element, export: Export, line: dict[str, Any]) -> None:
    found, names = export.in_force, export.names
    reports = export.reports.get(line["code"], [])
    activity = SubElement(
        root,
        "iati-activity",
        {
            "last-updated-datetime": max(
                [found.adopted_at, *(one.reported_at for one in reports)]
            ).isoformat(),
            "xml:lang": "id",
            "default-currency": "IDR",
        },
    )
    team = f"{export.prefix}-{found.region_code}"
    SubElement(activity, "iati-identifier").text = f"{export.prefix}-{found.plan}-{line['code']}"
    _told(activity, "reporting-org", f"TKPK {names.region}", ref=team, type=LOCAL_GOVERNMENT)
    _told(activity, "title", line["title"])
    for kind, text in _descriptions(line):
        _told(activity, "description", text, type=kind)
    _organisations(activity, export, line, team)
    SubElement(activity, "activity-status", code=CLOSED if found.is_closed else IMPLEMENTATION)
    first, last = line["first_month"] or 1, line["last_month"] or 12
    _date(activity, "activity-date", date(found.year, first, 1), type=PLANNED_START)
    _date(
        activity, "activity-date", date(found.year, last, monthrange(found.year, last)[1]), type=PLANNED_END
    )
    SubElement(activity, "recipient-country", code="ID")
    for place in line["locations"]:
        _location(activity, export, place["region_code"])
    _sectors(activity, export, line)
    for tag in line["tags"]:
        _told(activity, "tag", tag, vocabulary=OWN, code=tag)
    _budgets(activity, export, line)
    _transactions(activity, reports)
    for output in line["outputs"]:
        _result(activity, found.year, output, reports)


def _descriptions(line: dict[str, Any]) -> list[tuple[str, str]]:
    """(type, text): what is done, and for whom."""
    done = [
        line[name] for name in ("program", "activity", "subactivity", "benefit_description") if line[name]
    ]
    said = [("1", " – ".join(done) or line["title"])]
    groups = [_recipients(one) for one in line["recipients"]]
    return [*said, ("3", "; ".join(groups))] if groups else said


def _recipients(one: dict[str, Any]) -> str:
    words = [str(one["count"])] if one["count"] is not None else []
    words.append(one["unit"] or _KINDS[one["kind"]])
    if one["decile_from"] is not None and one["decile_to"] is not None:
        words.append(f"(desil {one['decile_from']}–{one['decile_to']})")
    return " ".join([*words, *one["vulnerable_groups"]])


def _organisations(activity: Element, export: Export, line: dict[str, Any], team: str) -> None:
    agencies, sources = export.names.agencies, export.names.sources
    for source in dict.fromkeys(one["funding_source"] for one in line["budget_lines"]):
        ref = f"{export.prefix}-{source}"
        _told(activity, "participating-org", sources.get(source, source), role=FUNDING, ref=ref)
    lead = line["lead_agency"]
    for role, agency in (
        (ACCOUNTABLE, lead),
        (IMPLEMENTING, lead),
        *((IMPLEMENTING, one) for one in line["supporting_agencies"]),
    ):
        ref = f"{team}-{agency}"
        _told(activity, "participating-org", agencies.get(agency, agency), role=role, ref=ref)


def _location(activity: Element, export: Export, code: str) -> None:
    location = SubElement(activity, "location", ref=code)
    SubElement(location, "location-reach", code="1")
    _told(location, "name", export.names.places.get(code, code))
    if code in export.names.points:
        latitude, longitude = export.names.points[code]
        point = SubElement(location, "point", srsName=WGS84)
        SubElement(point, "pos").text = f"{latitude} {longitude}"
        SubElement(location, "exactness", code="2")


def _sectors(activity: Element, export: Export, line: dict[str, Any]) -> None:
    """Each vocabulary sums to the whole by itself, so neither needs a percentage."""
    if line["subactivity_code"] is not None:
        name = line["subactivity"] or line["title"]
        _told(activity, "sector", name, vocabulary=OWN, code=line["subactivity_code"])
    strategy = line["strategy"]
    name = export.names.strategies.get(strategy, strategy)
    _told(activity, "sector", name, vocabulary=OWN_2, code=strategy)


def _budgets(activity: Element, export: Export, line: dict[str, Any]) -> None:
    """The allocation of the year: what is law, and the rest."""
    found = export.in_force
    fixed = sum(one["amount"] or 0 for one in line["budget_lines"] if one["stage"] in _FIXED)
    fixed = min(fixed, line["allocation"])
    kind = "2" if found.number else "1"  # revised, original
    for status, amount in ((COMMITTED, fixed), (INDICATIVE, line["allocation"] - fixed)):
        if amount:
            budget = SubElement(activity, "budget", type=kind, status=status)
            _date(budget, "period-start", date(found.year, 1, 1))
            _date(budget, "period-end", date(found.year, 12, 31))
            _value(budget, amount, found.instrument_date)


def _transactions(activity: Element, reports: Iterable[Report]) -> None:
    """What was spent more than by the report before; less where that was corrected downwards."""
    before = 0
    for report in reports:
        if report.spent != before:
            day = Period.parse(report.period).last_day
            transaction = SubElement(activity, "transaction", ref=report.period)
            SubElement(transaction, "transaction-type", code=EXPENDITURE)
            _date(transaction, "transaction-date", day)
            _value(transaction, report.spent - before, day)
        before = report.spent


def _result(activity: Element, year: int, output: dict[str, Any], reports: Iterable[Report]) -> None:
    result = SubElement(activity, "result", type="1")
    _told(result, "title", output["indicator"])
    is_percentage = output["unit"].casefold() in _PERCENT
    indicator = SubElement(result, "indicator", measure=PERCENTAGE if is_percentage else UNITS)
    _told(indicator, "title", output["indicator"])
    _told(indicator, "description", f"Satuan: {output['unit']}; kumulatif sejak Januari")
    if output["baseline"] is not None:
        told = {"year": str(year), "iso-date": f"{year}-01-01", "value": _number(output["baseline"])}
        SubElement(indicator, "baseline", told)
    achieved = {one.period: one.achieved.get(output["code"]) for one in reports}
    targets = output["quarterly_targets"] or [None, None, None, output["target"]]
    for quarter, target in zip(Period(year, "").quarters, targets, strict=True):
        actual = achieved.get(quarter)
        if target is None and actual is None:
            continue
        period = SubElement(indicator, "period")
        _date(period, "period-start", date(year, 1, 1))
        _date(period, "period-end", Period.parse(quarter).last_day)
        for name, value in (("target", target), ("actual", actual)):
            if value is not None:
                SubElement(period, name, value=_number(value))


def _told(parent: Element, name: str, text: str, **attributes: str) -> None:
    element = SubElement(parent, name, {key: _plain(value) for key, value in attributes.items()})
    SubElement(element, "narrative").text = _plain(text)


def _date(parent: Element, name: str, day: date, **attributes: str) -> None:
    SubElement(parent, name, {**attributes, "iso-date": day.isoformat()})


def _value(parent: Element, amount: int, day: date) -> None:
    SubElement(parent, "value", {"value-date": day.isoformat()}).text = str(amount)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


def _plain(text: str) -> str:
    return text.translate(_NOT_XML)
