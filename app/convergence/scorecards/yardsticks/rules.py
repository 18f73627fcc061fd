"""Choice of the yardstick among the plans of a group. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from app.convergence.scorecards.yardsticks.models import CountedPlan, LeftOut, LeftOutPlan, Yardstick

CHAIN = "yardstick:"
"""Prefix of the journal chain of a province's yardsticks."""

DAYS = 120
"""Days from the due day of a quarter without a closing day to the settlement."""


class SpendingPlan(NamedTuple):
    """A plan in force with its spending figure."""

    region_code: str
    spending_percent: float | None
    uncapped_percent: float | None
    """Figure of all spending; None in rows of versions that counted all."""
    fair_method: str | None
    """Edition of its method if that counts spending up to the allocation."""
    open_errors: bool | None
    """True if a report of the quarter falls (E06)."""
    is_missing: bool = False
    """True if its quarter is not frozen, though the yardstick settles."""

    def explain_absence(self, edition: str | None) -> LeftOut | None:
        """Return the reason why the plan does not count in the yardstick of an edition. Returns None if it counts."""
        if self.is_missing:
            return LeftOut.not_frozen
        if self.fair_method != edition:
            return LeftOut.other_method
        return LeftOut.open_errors if self.open_errors else None


def choose_yardstick(plans: Iterable[SpendingPlan], preferred: str | None) -> Yardstick:
    """Choose the yardstick of a province: the highest figure of the plans that the preferred edition measures.

    If it measures none of them, the last edition that counts spending up to the allocation takes its place.
    """
    known = [plan for plan in plans if plan.spending_percent is not None or plan.is_missing]
    editions = {plan.fair_method for plan in known if plan.fair_method}
    edition = preferred if preferred in editions or not editions else max(editions)
    absences = {plan.region_code: plan.explain_absence(edition) for plan in known}
    counted = [
        CountedPlan(region_code=plan.region_code, spending_percent=plan.spending_percent)
        for plan in known
        if absences[plan.region_code] is None and plan.spending_percent is not None
    ]
    uncapped = [
        plan.spending_percent if plan.uncapped_percent is None else plan.uncapped_percent
        for plan in known
        if not plan.is_missing
    ]
    return Yardstick(
        method=edition,
        highest_percent=max((plan.spending_percent for plan in counted), default=None),
        highest_uncapped_percent=max((share for share in uncapped if share is not None), default=None),
        counted=counted,
        left_out=[LeftOutPlan(region_code=code, reason=why) for code, why in absences.items() if why],
        settled_at=None,
    )


def narrow_yardstick(yardstick: Yardstick, own: str | None) -> Yardstick:
    """Return the yardstick with the plan of one regency alone; without a regency, unchanged."""
    if own is None:
        return yardstick
    return yardstick.model_copy(
        update={
            "counted": [plan for plan in yardstick.counted if plan.region_code == own],
            "left_out": [plan for plan in yardstick.left_out if plan.region_code == own],
        }
    )


def format_yardstick_subject(province: str, period: str) -> str:
    """Return the address below /v1/ of a province's yardstick."""
    return f"regions/{province}/yardsticks/{period}"
