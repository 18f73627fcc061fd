"""Rules of amendments: which changes need a reason, and which changes a reason covers. Pure."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from app.plans.actions.rules import ActionContent, ActionRecord, format_no_quarter
from app.plans.amendments.models import AmendmentChange
from app.plans.revisions.differences.rules import (
    ChangedField,
    PlanEdition,
    Reasons,
    compare_contents,
    compare_editions,
    compare_lines,
    covers,
    describe_change,
)

NEEDS_REASON = (
    # targets
    "/outputs/*/target",
    "/outputs/*/quarterly_targets",
    "/outputs/*/baseline",
    # budget
    "/allocation",
    "/budget_lines/*/amount",
    "/components/*/amount",
    # locations
    "/locations/*",
    "/priority_locations/*",
    # dates
    "/milestones/*/due",
    # quarters
    "/starts_in",
    "/ends_after",
)
"""Fields that need a reason for a change (domain, section 5); `*` is an item's key. A line that the amendment adds
needs one reason for the whole."""

_NEEDS = tuple(tuple(pattern.split("/")[1:]) for pattern in NEEDS_REASON)


def needs_reason(change: ChangedField) -> bool:
    """Return whether a change needs a reason; a new or removed item does if it has a value in such a field."""
    parts = change.field.split("/")[1:]
    if not parts:
        return True
    for pattern in _NEEDS:
        if len(parts) > len(pattern) or any(
            name not in ("*", part) for name, part in zip(pattern, parts, strict=False)
        ):
            continue
        if len(parts) == len(pattern):
            return True
        item = change.after if change.before is None else change.before
        if len(parts) == 2 and isinstance(item, dict) and item.get(pattern[2]) not in (None, []):
            return True
    return False


def is_covered(field: str, reasons: Reasons) -> bool:
    """Return whether a reason covers the field or a field above it."""
    return any(covers(reason["field"], field) for reason in reasons)


def lacking(changes: Iterable[ChangedField], reasons: Reasons) -> list[str]:
    """Return the changed fields that need a reason and have none."""
    return [
        change.field for change in changes if needs_reason(change) and not is_covered(change.field, reasons)
    ]


def end_line(content: ActionContent, progress_period: str | None, year: int) -> ActionContent:
    """Return the content of a line that ends after its last reported quarter."""
    return {**content, "ends_after": progress_period or format_no_quarter(year)}


class AmendedRecord(ActionRecord):
    """A line of an amendment (`AmendedAction`)."""

    change: AmendmentChange
    reasons: Reasons
    lacking: list[str]


class AmendedLine(NamedTuple):
    """A drafted line, with the line in force."""

    before: ActionContent | None
    """None for a new line."""
    after: ActionContent
    reasons: Reasons

    @property
    def change(self) -> AmendmentChange:
        return "unchanged" if self.before == self.after else describe_change(self.before, self.after)

    @property
    def changes(self) -> list[ChangedField]:
        return compare_lines(self.before, self.after)

    @property
    def lacking(self) -> list[str]:
        return lacking(self.changes, self.reasons) if self.change != "unchanged" else []


class MissingReasons(NamedTuple):
    """Changed fields without a reason, of a line or (None) of the plan itself."""

    action: str | None
    fields: list[str]


def find_missing_reasons(
    before: PlanEdition, after: PlanEdition, plan_reasons: Reasons, reasons: dict[str, Reasons]
) -> list[MissingReasons]:
    """Return the changed fields without a reason, of the plan and of each line."""
    missing = [MissingReasons(None, lacking(compare_contents(before.plan, after.plan), plan_reasons))]
    missing += [
        MissingReasons(line.code, lacking(line.changes, reasons.get(line.code, ())))
        for line in compare_editions(before, after)
    ]
    return [item for item in missing if item.fields]


def shorten_reasons(reasons: Reasons) -> str | None:
    """Return the reasons of a line, cut to `JOURNAL_REASON` characters, for the journal; the revision keeps all."""
    texts = "; ".join(dict.fromkeys(f"{reason['category']}: {reason['text']}" for reason in reasons))
    return (texts if len(texts) <= JOURNAL_REASON else f"{texts[: JOURNAL_REASON - 1]}…") or None


JOURNAL_REASON = 1000

Verb = Literal["edit", "write_actions", "import_matrix", "discard"]
RIGHT_OF: dict[Verb, str] = {
    "edit": "write_plan",
    "write_actions": "write_actions",
    "import_matrix": "import_matrix",
    "discard": "amend",
}
"""Verb on an amendment in draft → the right that it needs."""
