"""Measures of steps, and the window of a step. Pure."""

from calendar import monthrange
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import NamedTuple

STEPS_CHAIN = "steps:"
"""Prefix of the journal chain of a region's steps: template, evidence, grades."""


class MeasureName(StrEnum):
    """Name of a figure that the service computes; a template maps its values to grades."""

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
    """Unit of a figure."""

    percent = "percent"
    number = "number"
    days = "days"
    quarters = "quarters"
    per_hundred_lines = "per_hundred_lines"
    points = "points"


class Measure(NamedTuple):
    """Unit and direction of a figure."""

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
    """First and last day of a step, in the region's time zone."""

    opens_on: date
    due_on: date


def compute_window(year: int, opens_month: int, due_month: int) -> Window:
    """Return the window of a step of a plan year, through the end of its last month.

    Months count from January of the plan year: -12 is January of the year before, 12 of the year after.
    """
    first_year, first = divmod(year * 12 + opens_month, 12)
    last_year, last = divmod(year * 12 + due_month, 12)
    return Window(
        date(first_year, first + 1, 1),
        date(last_year, last + 1, monthrange(last_year, last + 1)[1]),
    )
