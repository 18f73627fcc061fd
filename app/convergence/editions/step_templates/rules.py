"""What the service can measure of a step, and on which days a step is open. Pure."""

from calendar import monthrange
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import NamedTuple

STEPS_CHAIN = "steps:"
"""With a region's code behind it: the journal's chain of its steps: templates, evidence, grades."""


class MeasureName(StrEnum):
    """A figure that the service computes from its own data; a template says which grade it gives."""

    evidence_given = "evidence_given"
    loci_with_evidence = "loci_with_evidence"
    loci_with_fresh_data = "loci_with_fresh_data"
    loci_by_all_strategies = "loci_by_all_strategies"
    complete_lines = "complete_lines"
    lines_with_usable_places = "lines_with_usable_places"
    data_age = "data_age"
    meetings_held = "meetings_held"
    agencies_attending = "agencies_attending"
    commitments_closed = "commitments_closed"
    days_before_year = "days_before_year"
    quarters_on_time = "quarters_on_time"
    open_overlaps = "open_overlaps"
    service_coverage = "service_coverage"
    coverage_reach = "coverage_reach"
    target_achievement = "target_achievement"
    absorption = "absorption"
    poverty_change = "poverty_change"


class Unit(StrEnum):
    """What a figure counts."""

    percent = "percent"
    number = "number"
    days = "days"
    quarters = "quarters"
    per_hundred_lines = "per_hundred_lines"
    points = "points"


class Measure(NamedTuple):
    """The unit of a figure, and whether less of it is better."""

    unit: Unit
    less_is_better: bool = False


MEASURES: Mapping[MeasureName, Measure] = {
    **{name: Measure(Unit.percent) for name in MeasureName},
    MeasureName.data_age: Measure(Unit.quarters, less_is_better=True),
    MeasureName.meetings_held: Measure(Unit.number),
    MeasureName.days_before_year: Measure(Unit.days),
    MeasureName.open_overlaps: Measure(Unit.per_hundred_lines, less_is_better=True),
    MeasureName.poverty_change: Measure(Unit.points, less_is_better=True),
}


class Window(NamedTuple):
    """First and last day of a step, in the zone of the region."""

    opens_on: date
    due_on: date


def window_of(year: int, opens_month: int, due_month: int) -> Window:
    """The days of a step of a plan year, from months counted from its January: -12 is January of the year before,
    12 that of the year after. The last month counts whole."""
    first_year, first = divmod(year * 12 + opens_month, 12)
    last_year, last = divmod(year * 12 + due_month, 12)
    return Window(
        date(first_year, first + 1, 1),
        date(last_year, last + 1, monthrange(last_year, last + 1)[1]),
    )
