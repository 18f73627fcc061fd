"""The thresholds of findings: data of an edition, not constants of the rules."""

import csv
from pathlib import Path
from typing import Literal

from pydantic import BaseModel
from pydantic import Field as ShapeField

from app.kit.fields import show_example


class Thresholds(BaseModel):
    """An edition of the thresholds. A plan follows the newest edition whose first year is not after the plan's."""

    edition: str
    first_year: int
    status: Literal["proposal", "official"]
    source: str
    supporting_percent: int = ShapeField(description="Largest share of supporting spending in the plan.")
    similar_lines: int = ShapeField(
        description="Smallest number of lines of a sub-activity in which a cost can be an outlier."
    )
    z_score: float = ShapeField(description="Modified z-score above which a cost is an outlier.")
    narrowest_percent: int = ShapeField(
        description="Smallest deviation in percent of the median: among nearly equal costs a little more is no outlier."
    )
    data_quarters: int = ShapeField(description="Maximum age of data on recipients, in quarters.")
    target_percent: int = ShapeField(description="Largest achievement in percent of the target.")
    ahead_percent: int = ShapeField(
        description="Percentage of the money or the work from which the other should be at `behind_percent`."
    )
    behind_percent: int = ShapeField(description="Percentage below which the other is far behind.")

    model_config = show_example(
        edition="1",
        first_year=2015,
        status="proposal",
        source="This project's own",
        supporting_percent=30,
        similar_lines=5,
        z_score=3.5,
        narrowest_percent=5,
        data_quarters=4,
        target_percent=110,
        ahead_percent=90,
        behind_percent=60,
    )


def _read_editions() -> tuple[Thresholds, ...]:
    file = Path(__file__).with_name("data") / "editions.csv"
    with file.open(encoding="utf-8", newline="") as lines:
        return tuple(Thresholds.model_validate(line) for line in csv.DictReader(lines))


EDITIONS = _read_editions()
"""All editions of this release."""


def choose_thresholds(year: int) -> Thresholds:
    """Return the thresholds of a plan's year."""
    fitting = [edition for edition in EDITIONS if edition.first_year <= year]
    return max(fitting, key=lambda edition: edition.first_year)
