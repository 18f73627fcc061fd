"""Rules of findings on a line by itself, on a line in its plan, and on the plan. Pure.

A rule reads the JSON of a line (`ActionIn`), so stored, imported and drafted lines pass the same functions.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from statistics import median
from typing import Literal, NamedTuple

from app.kit.periods import Period
from app.kit.problems import ErrorShape, FieldError, Kind
from app.kit.wording import Language
from app.plans.actions.rules import ActionContent, CostContent, RecipientContent, is_expected
from app.plans.core.models import PriorityContent
from app.plans.core.rules import find_government_level, is_inside
from app.plans.findings.kinds import (
    E01,
    E02,
    E03,
    E04,
    E05,
    E09,
    W01,
    W02,
    W03,
    W04,
    W05,
    W06,
    W08,
    W09,
    W10,
    W13,
    Finding,
)
from app.plans.findings.spending.rules import SpentContent, check_budget
from app.plans.findings.thresholds import Thresholds, choose_thresholds


class PlacedFinding(NamedTuple):
    """A finding with its line (None: the plan) and the quarter of its report, if any."""

    action: str | None
    finding: Finding
    period: str | None = None


class Spread(NamedTuple):
    """The spread of the cost per recipient among lines of one sub-activity and kind of recipient."""

    lines: int
    median: float
    deviation: float
    """Median absolute deviation."""


@dataclass(frozen=True)
class LineFacts:
    """The facts that rules need besides the line."""

    region_code: str
    year: int
    successors: Mapping[tuple[str, str], Sequence[str]] = field(default_factory=dict)
    """(edition, code) of a retired code → “code name” of its successors."""
    eligible: Mapping[str, int] = field(default_factory=dict)
    """Priority location → its target families, if the plan gives their number."""
    spreads: Mapping[tuple[str, str], Spread] = field(default_factory=dict)
    """(sub-activity code, kind of recipient) → spread of the cost per recipient."""

    @property
    def thresholds(self) -> Thresholds:
        return choose_thresholds(self.year)


blocking_finding = Kind(
    "blocking_finding", id="“{value}”: {message}. {hint}", en="“{value}”: {message}. {hint}"
)


@dataclass(frozen=True)
class BlockingFinding(FieldError):
    """A finding that blocks a submission; its message is the finding's."""

    finding: Finding | None = None

    def render(self, language: Language) -> ErrorShape:
        assert self.finding is not None
        values = self.finding.render(language)
        return FieldError(self.kind, pointer=self.pointer, value=self.value, values=values).render(language)


def build_blocking(placed: PlacedFinding) -> BlockingFinding:
    line, finding = placed.action, placed.finding
    pointer = (f"/actions/{line}" if line else "") + finding.pointer
    return BlockingFinding(blocking_finding, pointer=pointer, value=line, finding=finding)


# One line


_AMOUNTS: tuple[Literal["components", "budget_lines"], ...] = ("components", "budget_lines")


def _check_sums(line: ActionContent, facts: LineFacts) -> Iterator[Finding]:
    for part in _AMOUNTS:
        amounts = [item["amount"] for item in line[part]]
        if not amounts or (part == "components" and None in amounts):
            continue  # The matrix has components without amounts: no sum to compare.
        total = sum(amount or 0 for amount in amounts)
        if total != line["allocation"]:
            yield E01.find_at(f"/{part}", part=part, sum=total, allocation=line["allocation"])


def _check_code_in_force(line: ActionContent, facts: LineFacts) -> Iterator[Finding]:
    code, edition = line["subactivity_code"], line["nomenclature_edition"]
    if code is None:
        yield E02.find_at("/subactivity_code", subactivity=line["subactivity"] or line["title"])
    elif (
        edition is not None
        and (edition, code) in facts.successors
        and _read_level(code) in (None, find_government_level(facts.region_code))
    ):
        successors = ", ".join(facts.successors[edition, code]) or "–"
        yield E02.find_at(
            "/subactivity_code", about="retired", code=code, edition=edition, successors=successors
        )


def _read_level(code: str) -> str | None:
    """Return a code's level of government by its fourth group; None for variants of special autonomy."""
    return {"1": "province", "2": "regency"}.get(code.split(".")[3])


def _check_level(line: ActionContent, facts: LineFacts) -> Iterator[Finding]:
    code, level = line["subactivity_code"], find_government_level(facts.region_code)
    if code is not None and _read_level(code) not in (None, level):
        yield E03.find_at("/subactivity_code", code=code, found=_read_level(code), level=level)


def _check_places(line: ActionContent, facts: LineFacts) -> Iterator[Finding]:
    for n, location in enumerate(line["locations"]):
        if not is_inside(location["region_code"], facts.region_code):
            yield E04.find_at(
                f"/locations/{n}/region_code", place=location["region_code"], region=facts.region_code
            )


def _check_deciles(line: ActionContent, facts: LineFacts) -> Iterator[Finding]:
    for n, recipient in enumerate(line["recipients"]):
        first, last = recipient.get("decile_from"), recipient.get("decile_to")
        if first is last is None or (first is not None and last is not None and 1 <= first <= last <= 10):
            continue
        first_shown, last_shown = ("–" if decile is None else decile for decile in (first, last))
        pointer, code = f"/recipients/{n}/decile_from", recipient["code"]
        yield E05.find_at(pointer, recipient=code, first=first_shown, last=last_shown)


def _check_completeness(line: ActionContent, facts: LineFacts) -> Iterator[Finding]:
    """Require agency, strategy and budget, except of a line that ended."""
    if line["ends_after"] is not None:
        return
    for name, value in (("lead_agency", line["lead_agency"]), ("strategy", line["strategy"])):
        if not value:
            yield E09.find_at(f"/{name}", about=name)
    if not line["budget_lines"] or line["allocation"] == 0:
        yield E09.find_at("/budget_lines")


def _check_villages(line: ActionContent, facts: LineFacts) -> Iterator[Finding]:
    if not any(location["region_code"].count(".") == 3 for location in line["locations"]):
        yield W01.find_at("/locations")


def _check_direct_spending(line: ActionContent, facts: LineFacts) -> Iterator[Finding]:
    classes = {component["component_class"] for component in line["components"]}
    if classes and "direct" not in classes:
        yield W02.find_at("/components")


def _check_eligible(line: ActionContent, facts: LineFacts) -> Iterator[Finding]:
    """Compare families only: a priority location counts families, and a family has several persons."""
    if {recipient["kind"] for recipient in line["recipients"]} != {"families"}:
        return
    places = [location["region_code"] for location in line["locations"]]
    for n, location in enumerate(line["locations"]):
        place, planned = location["region_code"], location.get("recipients")
        if planned is not None and planned > facts.eligible.get(place, planned):
            yield W05.find_at(
                f"/locations/{n}/recipients", planned=planned, eligible=facts.eligible[place], place=place
            )
    if not places or not facts.eligible.keys() >= set(places):
        return  # Only priority locations have a number of eligible families.
    eligible = sum(facts.eligible[place] for place in places)
    for n, recipient in enumerate(line["recipients"]):
        planned = recipient.get("count")
        if planned is not None and planned > eligible:
            yield W05.find_at(
                f"/recipients/{n}/count", planned=planned, eligible=eligible, place=", ".join(places[:5])
            )


def compute_cost(line: CostContent) -> tuple[tuple[str, str], float] | None:
    """Return ((sub-activity code, kind), rupiah per recipient); None if kinds differ or a count is missing."""
    kinds = {recipient["kind"] for recipient in line["recipients"]}
    counts = [recipient["count"] for recipient in line["recipients"]]
    total = sum(count or 0 for count in counts)
    if line["subactivity_code"] is None or len(kinds) != 1 or None in counts or not total:
        return None
    return (line["subactivity_code"], kinds.pop()), line["allocation"] / total


def compute_spreads(lines: Iterable[CostContent], thresholds: Thresholds) -> dict[tuple[str, str], Spread]:
    """Return the spread of costs by (sub-activity code, kind), of groups with `similar_lines` lines or more."""
    costs: dict[tuple[str, str], list[float]] = {}
    for line in lines:
        if cost := compute_cost(line):
            costs.setdefault(cost[0], []).append(cost[1])
    result = {}
    for key, values in costs.items():
        if len(values) >= thresholds.similar_lines:
            middle = median(values)
            deviation = median(abs(value - middle) for value in values)
            narrowest = thresholds.narrowest_percent / 100 * middle
            result[key] = Spread(len(values), middle, max(deviation, narrowest))
    return result


def _check_cost(line: ActionContent, facts: LineFacts) -> Iterator[Finding]:
    cost = compute_cost(line)
    spread = facts.spreads.get(cost[0]) if cost else None
    if cost is None or spread is None:
        return
    (code, kind), rupiah = cost
    if 0.6745 * abs(rupiah - spread.median) > facts.thresholds.z_score * spread.deviation:
        yield W06.find_at(
            "/allocation",
            cost=round(rupiah),
            median=round(spread.median),
            lines=spread.lines,
            code=code,
            kind=kind,
        )


def _check_travel(line: ActionContent, facts: LineFacts) -> Iterator[Finding]:
    for n, component in enumerate(line["components"]):
        if component["is_travel"] and component["component_class"] == "direct":
            yield W08.find_at(f"/components/{n}/component_class")


def _check_source_period(line: ActionContent, facts: LineFacts) -> Iterator[Finding]:
    yield from _find_old_data("recipients", line["recipients"], facts.year)


def _find_old_data(
    name: str, items: Sequence[RecipientContent | PriorityContent], year: int
) -> Iterator[Finding]:
    """Compare with the first quarter of the plan's year, so that a plan does not age with time."""
    start, limit = Period(year, "Q1"), choose_thresholds(year).data_quarters
    for n, item in enumerate(items):
        period = item.get("source_period")
        if period is not None and _count_quarters(start) - _count_quarters(Period.parse(period)) > limit:
            yield W09.find_at(f"/{name}/{n}/source_period", period=period, start=str(start), limit=limit)


def _count_quarters(period: Period) -> int:
    return period.year * 4 + int(period.last_quarter[-1])


def _check_milestones(line: ActionContent, facts: LineFacts) -> Iterator[Finding]:
    for n, milestone in enumerate(line["milestones"]):
        due = milestone["due"]
        if due is None or date.fromisoformat(due).year > facts.year:
            yield W10.find_at(f"/milestones/{n}/due", milestone=milestone["code"], year=facts.year)


def _check_schedule(line: ActionContent, facts: LineFacts) -> Iterator[Finding]:
    """Compare the months with the quarters of the line, which alone decide when a report is due."""
    due = [quarter for quarter in Period(facts.year, "").quarters if is_expected(line, quarter)]
    about = {"about": "", "start": due[0], "end": due[-1]} if due else {"about": "never_due"}
    for name, month in (("first_month", line["first_month"]), ("last_month", line["last_month"])):
        if month is not None and f"{facts.year}-Q{(month + 2) // 3}" not in due:
            yield W13.find_at(f"/{name}", month=month, **about)


LINE_RULES: tuple[Callable[[ActionContent, LineFacts], Iterator[Finding]], ...] = (
    _check_sums,
    _check_code_in_force,
    _check_level,
    _check_places,
    _check_deciles,
    _check_completeness,
    _check_villages,
    _check_direct_spending,
    _check_eligible,
    _check_cost,
    _check_travel,
    _check_source_period,
    _check_milestones,
    _check_schedule,
)


def check_line(line: ActionContent, facts: LineFacts, spent: SpentContent | None = None) -> list[Finding]:
    """Return the findings of one line by code, errors first.

    `spent` is the money of the latest report on a line of an amendment; other lines are not compared with reports.
    """
    findings = [finding for rule in LINE_RULES for finding in rule(line, facts)]
    if spent is not None:
        findings += check_budget(line, spent)
    return sorted(findings, key=lambda finding: finding.code)


# The plan

_STRATEGIES = ("reduce_spending_burden", "raise_income", "reduce_poverty_pockets")


def _check_supporting_share(lines: Collection[ActionContent], limit: int) -> Iterator[Finding]:
    allocation = sum(line["allocation"] for line in lines)
    supporting = sum(_sum_supporting(line) for line in lines)
    if supporting * 100 > limit * allocation:
        percent = round(supporting * 100 / allocation, 2) if allocation else 100
        yield W03.find_at("", supporting=supporting, allocation=allocation, percent=percent, limit=limit)


def _sum_supporting(line: ActionContent) -> int:
    """Return the amounts of supporting components; the allocation if all are supporting without amounts."""
    parts = line["components"]
    own = [part["amount"] for part in parts if part["component_class"] == "supporting"]
    if parts and len(own) == len(parts) and set(own) == {None}:
        return line["allocation"]
    return sum(amount or 0 for amount in own)


def _check_reach(
    lines: Collection[ActionContent], priorities: Sequence[PriorityContent]
) -> Iterator[Finding]:
    """Report priority locations without lines of all strategies.

    A line reaches a location if it names it or a place inside it: “all districts” reaches no village.
    """
    reached: dict[str, set[str]] = {}
    for line in lines:
        for location in line["locations"]:
            parts = location["region_code"].split(".")
            for depth in range(1, len(parts) + 1):
                reached.setdefault(".".join(parts[:depth]), set()).add(line["strategy"])
    for n, priority in enumerate(priorities):
        place = priority["region_code"]
        missing = [name for name in _STRATEGIES if name not in reached.get(place, ())]
        if missing:
            yield W04.find_at(f"/priority_locations/{n}", place=place, missing=missing)


def check_plan_lines(
    lines: Collection[ActionContent], priorities: Sequence[PriorityContent], year: int
) -> list[Finding]:
    """Return the findings of a plan as a whole; pointers are into the plan."""
    return [
        *_check_supporting_share(lines, choose_thresholds(year).supporting_percent),
        *_check_reach(lines, priorities),
        *_find_old_data("priority_locations", priorities, year),
    ]
