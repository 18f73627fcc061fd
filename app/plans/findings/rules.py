"""Rules of findings: what is to be said of a line by itself, in its plan, and of the plan. Pure.

A line is what its JSON says (`ActionIn`), so a stored line, an imported one and one of an amendment are held to
the same functions.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from statistics import median
from typing import Literal, NamedTuple

from app.kit.periods import Period
from app.kit.problems import ErrorShape, FieldError, Kind, Language
from app.plans.actions.rules import ActionContent, CostContent, RecipientContent
from app.plans.core.models import PriorityContent
from app.plans.core.rules import government_level, is_inside
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
    Finding,
)


class Placed(NamedTuple):
    """A finding, and the line that it is about (None: the plan), and the quarter of the report, if any."""

    action: str | None
    finding: Finding
    period: str | None = None


class Spread(NamedTuple):
    """How the cost per recipient lies among lines of one sub-activity and kind of recipient."""

    lines: int
    median: float
    deviation: float
    """Median absolute deviation."""


@dataclass(frozen=True)
class Facts:
    """What rules know beside the line itself."""

    region_code: str
    year: int
    successors: Mapping[tuple[str, str], Sequence[str]] = field(default_factory=dict)
    """(edition, code) of codes that are not in force → those that follow, as a person reads them."""
    eligible: Mapping[str, int] = field(default_factory=dict)
    """Priority location → its target families, where the plan says how many."""
    spreads: Mapping[tuple[str, str], Spread] = field(default_factory=dict)
    """(sub-activity code, kind of recipient) → what such lines cost."""


blocking_finding = Kind(
    "blocking_finding", id="{value}: {finding} {message}. {hint}", en="{value}: {finding} {message}. {hint}"
)


@dataclass(frozen=True)
class BlockingFinding(FieldError):
    """A finding that keeps a plan from being submitted; speaks as the finding does."""

    finding: Finding | None = None

    def shown(self, language: Language) -> ErrorShape:
        assert self.finding is not None
        said = {"finding": self.finding.code, **self.finding.shown(language)}
        return FieldError(self.kind, pointer=self.pointer, value=self.value, values=said).shown(language)


def blocking(placed: Placed) -> BlockingFinding:
    line, finding = placed.action, placed.finding
    pointer = (f"/actions/{line}" if line else "") + finding.pointer
    return BlockingFinding(blocking_finding, pointer=pointer, value=line, finding=finding)


# One line


_AMOUNTS: tuple[Literal["components", "budget_lines"], ...] = ("components", "budget_lines")


def _sums(line: ActionContent, facts: Facts) -> Iterator[Finding]:
    for part in _AMOUNTS:
        amounts = [item["amount"] for item in line[part]]
        if not amounts or (part == "components" and None in amounts):
            continue  # The matrix gives components as words; without amounts there is nothing to compare.
        total = sum(amount or 0 for amount in amounts)
        if total != line["allocation"]:
            yield E01.at(f"/{part}", part=part, sum=total, allocation=line["allocation"])


def _code_in_force(line: ActionContent, facts: Facts) -> Iterator[Finding]:
    code, edition = line["subactivity_code"], line["nomenclature_edition"]
    if code is None:
        yield E02.at("/subactivity_code", subactivity=line["subactivity"] or line["title"])
    elif (
        edition is not None
        and (edition, code) in facts.successors
        and _level_of(code)
        in (
            None,
            government_level(facts.region_code),
        )
    ):
        successors = ", ".join(facts.successors[edition, code]) or "–"
        yield E02.at("/subactivity_code", about="retired", code=code, edition=edition, successors=successors)


def _level_of(code: str) -> str | None:
    """Whose a code is by its fourth group; other digits than 1 and 2 are of special-autonomy variants of either."""
    return {"1": "province", "2": "regency"}.get(code.split(".")[3])


def _level(line: ActionContent, facts: Facts) -> Iterator[Finding]:
    code, level = line["subactivity_code"], government_level(facts.region_code)
    if code is not None and _level_of(code) not in (None, level):
        yield E03.at("/subactivity_code", code=code, found=_level_of(code), level=level)


def _places_inside(line: ActionContent, facts: Facts) -> Iterator[Finding]:
    for n, location in enumerate(line["locations"]):
        if not is_inside(location["region_code"], facts.region_code):
            yield E04.at(
                f"/locations/{n}/region_code", place=location["region_code"], region=facts.region_code
            )


def _deciles(line: ActionContent, facts: Facts) -> Iterator[Finding]:
    for n, recipient in enumerate(line["recipients"]):
        first, last = recipient.get("decile_from"), recipient.get("decile_to")
        if first is last is None or (first is not None and last is not None and 1 <= first <= last <= 10):
            continue
        first_shown, last_shown = ("–" if decile is None else decile for decile in (first, last))
        at, code = f"/recipients/{n}/decile_from", recipient["code"]
        yield E05.at(at, recipient=code, first=first_shown, last=last_shown)


def _whole(line: ActionContent, facts: Facts) -> Iterator[Finding]:
    for name, value in (("lead_agency", line["lead_agency"]), ("strategy", line["strategy"])):
        if not value:
            yield E09.at(f"/{name}", about=name)
    if not line["budget_lines"] or line["allocation"] == 0:
        yield E09.at("/budget_lines")


def _without_village(line: ActionContent, facts: Facts) -> Iterator[Finding]:
    if not any(location["region_code"].count(".") == 3 for location in line["locations"]):
        yield W01.at("/locations")


def _nothing_direct(line: ActionContent, facts: Facts) -> Iterator[Finding]:
    classes = {component["component_class"] for component in line["components"]}
    if classes and "direct" not in classes:
        yield W02.at("/components")


def _beyond_eligible(line: ActionContent, facts: Facts) -> Iterator[Finding]:
    """Families alone are compared: a priority location counts families, and a family has several persons."""
    if {recipient["kind"] for recipient in line["recipients"]} != {"families"}:
        return
    places = [location["region_code"] for location in line["locations"]]
    for n, location in enumerate(line["locations"]):
        place, planned = location["region_code"], location.get("recipients")
        if planned is not None and planned > facts.eligible.get(place, planned):
            yield W05.at(
                f"/locations/{n}/recipients", planned=planned, eligible=facts.eligible[place], place=place
            )
    if not places or not facts.eligible.keys() >= set(places):
        return  # Beyond the priority locations nobody knows how many are eligible.
    eligible = sum(facts.eligible[place] for place in places)
    for n, recipient in enumerate(line["recipients"]):
        planned = recipient.get("count")
        if planned is not None and planned > eligible:
            yield W05.at(
                f"/recipients/{n}/count", planned=planned, eligible=eligible, place=", ".join(places[:5])
            )


FEWEST_ALIKE = 5
"""Lines of a sub-activity below which no cost is called an outlier."""
FURTHEST = 3.5
"""Modified z-score from which a value is one (Iglewicz and Hoaglin, 1993)."""
_NARROWEST = 0.05
"""Share of the median that a deviation has at least: where most cost the same, a little more is no outlier."""


def cost_of(line: CostContent) -> tuple[tuple[str, str], float] | None:
    """((sub-activity code, kind), rupiah per recipient); None where a line counts several kinds or not all."""
    kinds = {recipient["kind"] for recipient in line["recipients"]}
    counts = [recipient["count"] for recipient in line["recipients"]]
    total = sum(count or 0 for count in counts)
    if line["subactivity_code"] is None or len(kinds) != 1 or None in counts or not total:
        return None
    return (line["subactivity_code"], kinds.pop()), line["allocation"] / total


def spreads_of(lines: Iterable[CostContent]) -> dict[tuple[str, str], Spread]:
    """What lines of the same sub-activity and kind of recipient cost, where there are enough of them."""
    costs: dict[tuple[str, str], list[float]] = {}
    for line in lines:
        if found := cost_of(line):
            costs.setdefault(found[0], []).append(found[1])
    result = {}
    for key, values in costs.items():
        if len(values) >= FEWEST_ALIKE:
            middle = median(values)
            deviation = median(abs(value - middle) for value in values)
            result[key] = Spread(len(values), middle, max(deviation, _NARROWEST * middle))
    return result


def _outlying_cost(line: ActionContent, facts: Facts) -> Iterator[Finding]:
    found = cost_of(line)
    spread = facts.spreads.get(found[0]) if found else None
    if found is None or spread is None:
        return
    (code, kind), cost = found
    if 0.6745 * abs(cost - spread.median) > FURTHEST * spread.deviation:
        yield W06.at(
            "/allocation",
            cost=round(cost),
            median=round(spread.median),
            lines=spread.lines,
            code=code,
            kind=kind,
        )


def _direct_travel(line: ActionContent, facts: Facts) -> Iterator[Finding]:
    for n, component in enumerate(line["components"]):
        if component["is_travel"] and component["component_class"] == "direct":
            yield W08.at(f"/components/{n}/component_class")


def _old_data(line: ActionContent, facts: Facts) -> Iterator[Finding]:
    yield from _older("recipients", line["recipients"], facts.year)


def _older(name: str, items: Sequence[RecipientContent | PriorityContent], year: int) -> Iterator[Finding]:
    """Against the first quarter of the plan's year, so that a plan does not age by being read later."""
    for n, item in enumerate(items):
        period = item.get("source_period")
        if period is not None and _quarters(Period(year, "Q1")) - _quarters(Period.parse(period)) > 4:
            yield W09.at(f"/{name}/{n}/source_period", period=period, start=f"{year}-Q1")


def _quarters(period: Period) -> int:
    """Quarters up to the end of a period."""
    return period.year * 4 + int(period.last_quarter[-1])


def _milestone_dates(line: ActionContent, facts: Facts) -> Iterator[Finding]:
    for n, milestone in enumerate(line["milestones"]):
        due = milestone["due"]
        if due is None or date.fromisoformat(due).year > facts.year:
            yield W10.at(f"/milestones/{n}/due", milestone=milestone["code"], year=facts.year)


LINE_RULES: tuple[Callable[[ActionContent, Facts], Iterator[Finding]], ...] = (
    _sums,
    _code_in_force,
    _level,
    _places_inside,
    _deciles,
    _whole,
    _without_village,
    _nothing_direct,
    _beyond_eligible,
    _outlying_cost,
    _direct_travel,
    _old_data,
    _milestone_dates,
)


def findings_of(line: ActionContent, facts: Facts) -> list[Finding]:
    """What is to be said of one line, errors first, in the order of the codes."""
    found = [finding for rule in LINE_RULES for finding in rule(line, facts)]
    return sorted(found, key=lambda finding: finding.code)


# The plan

SUPPORTING_PERCENT = 30
"""Share of the plan's allocation that supporting spending may have."""
_STRATEGIES = ("reduce_spending_burden", "raise_income", "reduce_poverty_pockets")


def _supporting_share(lines: Collection[ActionContent]) -> Iterator[Finding]:
    allocation = sum(line["allocation"] for line in lines)
    supporting = sum(_supporting(line) for line in lines)
    if supporting * 100 > SUPPORTING_PERCENT * allocation:
        percent = round(supporting * 100 / allocation, 2) if allocation else 100
        yield W03.at(
            "", supporting=supporting, allocation=allocation, percent=percent, limit=SUPPORTING_PERCENT
        )


def _supporting(line: ActionContent) -> int:
    """Amounts of supporting components; the allocation where all are so and none has an amount."""
    parts = line["components"]
    own = [part["amount"] for part in parts if part["component_class"] == "supporting"]
    if parts and len(own) == len(parts) and set(own) == {None}:
        return line["allocation"]
    return sum(amount or 0 for amount in own)


def _unreached(lines: Collection[ActionContent], priorities: Sequence[PriorityContent]) -> Iterator[Finding]:
    """A line reaches a priority location by naming it, or a place inside it: “all districts” reaches no village."""
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
            yield W04.at(f"/priority_locations/{n}", place=place, missing=missing)


def findings_of_plan(
    lines: Collection[ActionContent], priorities: Sequence[PriorityContent], year: int
) -> list[Finding]:
    """What is to be said of a plan as a whole: pointers are into the plan."""
    return [
        *_supporting_share(lines),
        *_unreached(lines, priorities),
        *_older("priority_locations", priorities, year),
    ]
