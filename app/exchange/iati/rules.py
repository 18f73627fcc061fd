"""IATI 2.03 document of an export. Pure.

The published schema prescribes the order of the elements. An element without a value in the plan is missing; codes
are those of IATI's code lists, with their names here.
"""

from calendar import monthrange
from collections.abc import Iterable
from datetime import date
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from app.exchange.iati.models import Export, QuarterReport
from app.kit.periods import Period, get_local_date

LOCAL_GOVERNMENT = "11"
FUNDING, ACCOUNTABLE, IMPLEMENTING = "1", "2", "4"
IMPLEMENTATION, CLOSED = "2", "4"
PLANNED_START, PLANNED_END, ACTUAL_END = "1", "3", "4"
OWN, OWN_2 = "99", "98"
"""Vocabularies of the reporting organisation."""
INDICATIVE, COMMITTED = "1", "2"
EXPENDITURE = "4"
UNITS, PERCENTAGE = "1", "2"
WGS84 = "http://www.opengis.net/def/crs/EPSG/0/4326"

_FIXED = ("apbd", "apbd_p")
"""Stages at which an amount is law; at earlier ones it is a plan."""
_PERCENT = ("%", "persen", "percent")
_KINDS = {
    "families": "keluarga",
    "persons": "orang",
    "groups": "kelompok",
    "villages": "desa",
    "units": "unit",
}
_NOT_XML = dict.fromkeys([0xFFFE, 0xFFFF])
"""The only characters that XML forbids and the service's texts may have."""


def make_xml(export: Export) -> bytes:
    """Return the export as an XML document in UTF-8; equal exports give equal bytes."""
    root = Element("iati-activities", version="2.03")
    for line in export.in_force.actions:
        _add_activity(root, export, line)
    document: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _add_activity(root: Element, export: Export, line: dict[str, Any]) -> None:
    plan, names = export.in_force, export.names
    reports = export.reports.get(line["code"], [])
    activity = SubElement(
        root,
        "iati-activity",
        {
            "last-updated-datetime": max(
                [plan.adopted_at, *(report.reported_at for report in reports)]
            ).isoformat(),
            "xml:lang": "id",
            "default-currency": "IDR",
        },
    )
    team = f"{export.prefix}-{plan.region_code}"
    SubElement(activity, "iati-identifier").text = f"{export.prefix}-{plan.plan}-{line['code']}"
    _add_text(activity, "reporting-org", f"TKPK {names.region}", ref=team, type=LOCAL_GOVERNMENT)
    _add_text(activity, "title", line["title"])
    for kind, text in _describe(line):
        _add_text(activity, "description", text, type=kind)
    _add_organisations(activity, export, line, team)
    ends_on = Period.parse(line["ends_after"]).last_day if line["ends_after"] else None
    has_ended = ends_on is not None and ends_on < export.today
    SubElement(activity, "activity-status", code=CLOSED if plan.is_closed or has_ended else IMPLEMENTATION)
    first, last = line["first_month"] or 1, line["last_month"] or 12
    _add_date(activity, "activity-date", date(plan.year, first, 1), type=PLANNED_START)
    _add_date(
        activity, "activity-date", date(plan.year, last, monthrange(plan.year, last)[1]), type=PLANNED_END
    )
    if ends_on is not None and has_ended:
        _add_date(activity, "activity-date", ends_on, type=ACTUAL_END)
    SubElement(activity, "recipient-country", code="ID")
    for place in line["locations"]:
        _add_location(activity, export, place["region_code"])
    _add_sectors(activity, export, line)
    for tag in line["tags"]:
        _add_text(activity, "tag", tag, vocabulary=OWN, code=tag)
    _add_budgets(activity, export, line)
    _add_transactions(activity, reports, names.zone)
    for output in line["outputs"]:
        key = (line["code"], output["code"])
        targets = {quarter: export.targets.get((*key, quarter)) for quarter in Period(plan.year, "").quarters}
        _add_result(activity, plan.year, output, targets, reports)


def _describe(line: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (type, text) of the general description and of the target groups."""
    done = [
        line[name] for name in ("program", "activity", "subactivity", "benefit_description") if line[name]
    ]
    descriptions = [("1", " – ".join(done) or line["title"])]
    groups = [_format_recipients(group) for group in line["recipients"]]
    return [*descriptions, ("3", "; ".join(groups))] if groups else descriptions


def _format_recipients(group: dict[str, Any]) -> str:
    words = [str(group["count"])] if group["count"] is not None else []
    words.append(group["unit"] or _KINDS[group["kind"]])
    if group["decile_from"] is not None and group["decile_to"] is not None:
        words.append(f"(desil {group['decile_from']}–{group['decile_to']})")
    return " ".join([*words, *group["vulnerable_groups"]])


def _add_organisations(activity: Element, export: Export, line: dict[str, Any], team: str) -> None:
    agencies, sources = export.names.agencies, export.names.sources
    for source in dict.fromkeys(item["funding_source"] for item in line["budget_lines"]):
        ref = f"{export.prefix}-{source}"
        _add_text(activity, "participating-org", sources.get(source, source), role=FUNDING, ref=ref)
    lead = line["lead_agency"]
    for role, agency in (
        (ACCOUNTABLE, lead),
        (IMPLEMENTING, lead),
        *((IMPLEMENTING, item) for item in line["supporting_agencies"]),
    ):
        ref = f"{team}-{agency}"
        _add_text(activity, "participating-org", agencies.get(agency, agency), role=role, ref=ref)


def _add_location(activity: Element, export: Export, code: str) -> None:
    location = SubElement(activity, "location", ref=code)
    SubElement(location, "location-reach", code="1")
    _add_text(location, "name", export.names.places.get(code, code))
    if code in export.names.points:
        latitude, longitude = export.names.points[code]
        point = SubElement(location, "point", srsName=WGS84)
        SubElement(point, "pos").text = f"{latitude} {longitude}"
        SubElement(location, "exactness", code="2")


def _add_sectors(activity: Element, export: Export, line: dict[str, Any]) -> None:
    """Add the sectors: one for each vocabulary, so none needs a percentage."""
    if line["subactivity_code"] is not None:
        name = line["subactivity"] or line["title"]
        _add_text(activity, "sector", name, vocabulary=OWN, code=line["subactivity_code"])
    strategy = line["strategy"]
    name = export.names.strategies.get(strategy, strategy)
    _add_text(activity, "sector", name, vocabulary=OWN_2, code=strategy)


def _add_budgets(activity: Element, export: Export, line: dict[str, Any]) -> None:
    """Add the year's allocation: the amount that is law, and the remainder."""
    plan = export.in_force
    fixed = sum(item["amount"] or 0 for item in line["budget_lines"] if item["stage"] in _FIXED)
    fixed = min(fixed, line["allocation"])
    kind = "2" if plan.number else "1"  # revised, original
    for status, amount in ((COMMITTED, fixed), (INDICATIVE, line["allocation"] - fixed)):
        if amount:
            budget = SubElement(activity, "budget", type=kind, status=status)
            _add_date(budget, "period-start", date(plan.year, 1, 1))
            _add_date(budget, "period-end", date(plan.year, 12, 31))
            _add_value(budget, amount, plan.instrument_date)


def _add_transactions(activity: Element, reports: Iterable[QuarterReport], zone: str) -> None:
    """Add the increase of spending since the previous report; a correction downwards is negative.

    A report may come before its quarter ends: money is dated the earlier of the quarter's end and the report's day.
    """
    before = 0
    for report in reports:
        if report.spent != before:
            day = min(Period.parse(report.period).last_day, get_local_date(report.reported_at, zone))
            transaction = SubElement(activity, "transaction", ref=report.period)
            SubElement(transaction, "transaction-type", code=EXPENDITURE)
            _add_date(transaction, "transaction-date", day)
            _add_value(transaction, report.spent - before, day)
        before = report.spent


def _add_result(
    activity: Element,
    year: int,
    output: dict[str, Any],
    targets: dict[str, float | None],
    reports: Iterable[QuarterReport],
) -> None:
    result = SubElement(activity, "result", type="1")
    _add_text(result, "title", output["indicator"])
    is_percentage = output["unit"].casefold() in _PERCENT
    indicator = SubElement(result, "indicator", measure=PERCENTAGE if is_percentage else UNITS)
    _add_text(indicator, "title", output["indicator"])
    _add_text(indicator, "description", f"Satuan: {output['unit']}; kumulatif sejak Januari")
    if output["baseline"] is not None:
        attributes = {
            "year": str(year),
            "iso-date": f"{year}-01-01",
            "value": _format_number(output["baseline"]),
        }
        SubElement(indicator, "baseline", attributes)
    achieved = {report.period: report.achieved.get(output["code"]) for report in reports}
    for quarter, target in targets.items():
        actual = achieved.get(quarter)
        if target is None and actual is None:
            continue
        period = SubElement(indicator, "period")
        _add_date(period, "period-start", date(year, 1, 1))
        _add_date(period, "period-end", Period.parse(quarter).last_day)
        for name, value in (("target", target), ("actual", actual)):
            if value is not None:
                SubElement(period, name, value=_format_number(value))


def _add_text(parent: Element, name: str, text: str, **attributes: str) -> None:
    element = SubElement(parent, name, {key: _strip_forbidden(value) for key, value in attributes.items()})
    SubElement(element, "narrative").text = _strip_forbidden(text)


def _add_date(parent: Element, name: str, day: date, **attributes: str) -> None:
    SubElement(parent, name, {**attributes, "iso-date": day.isoformat()})


def _add_value(parent: Element, amount: int, day: date) -> None:
    SubElement(parent, "value", {"value-date": day.isoformat()}).text = str(amount)


def _format_number(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


def _strip_forbidden(text: str) -> str:
    return text.translate(_NOT_XML)
