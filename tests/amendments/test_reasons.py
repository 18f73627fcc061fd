"""The changes that need a reason, field by field, and the reasons that cover them."""

from typing import Any

import pytest

from app.plans.actions.models import ActionIn
from app.plans.amendments.rules import (
    JOURNAL_REASON,
    NEEDS_REASON,
    is_covered,
    lacking,
    needs_reason,
    shorten_reasons,
)
from app.plans.core.models import PlanIn
from app.plans.revisions.differences.rules import ChangedField, compare_contents, select_relevant_reasons
from tests.plans.world import ACTION

pytestmark = pytest.mark.one_engine

LINE = ActionIn.model_validate(ACTION).model_dump(mode="json")


def compare(**changes: Any) -> list[ChangedField]:
    return compare_contents(LINE, ActionIn.model_validate({**ACTION, **changes}).model_dump(mode="json"))


def list_unexplained(**changes: Any) -> list[str]:
    return lacking(compare(**changes), [])


def change_item(name: str, place: int, **changes: Any) -> dict[str, Any]:
    """Return the list with one item changed."""
    return {name: [{**item, **(changes if n == place else {})} for n, item in enumerate(ACTION[name])]}


def drop_item(name: str, place: int) -> dict[str, Any]:
    return {name: [item for n, item in enumerate(ACTION[name]) if n != place]}


def because(field: str) -> dict[str, Any]:
    return {"field": field, "category": "revised_budget", "text": "Pagu APBD-P"}


@pytest.mark.parametrize(
    ("changes", "needs"),
    [
        ({"title": "Lain", "note": "Catatan", "strategy": "raise_income"}, []),
        ({"tags": ["lansia"], "supporting_agencies": ["BAZNAS"], "first_month": 2}, []),
        ({"allocation": 1}, ["/allocation"]),
        (change_item("budget_lines", 0, amount=1), ["/budget_lines/APBD/amount"]),
        (change_item("budget_lines", 0, stage="apbd_p"), []),
        (drop_item("budget_lines", 0), ["/budget_lines/APBD"]),
        (change_item("components", 1, amount=5), ["/components/C2/amount"]),
        (change_item("components", 1, description="Lain", is_travel=True), []),
        (drop_item("components", 0), ["/components/C1"]),
        (
            {"components": [*ACTION["components"], {"code": "C3", "component_class": "direct"}]},
            [],
        ),
        (
            change_item("outputs", 0, target=50, quarterly_targets=[10, 20, 30, 50], baseline=3),
            ["/outputs/O1/baseline", "/outputs/O1/target", "/outputs/O1/quarterly_targets"],
        ),
        (change_item("outputs", 0, indicator="Lain", unit="KK"), []),
        (drop_item("outputs", 0), ["/outputs/O1"]),
        (change_item("recipients", 0, count=50), []),
        (drop_item("locations", 0), ["/locations/63.02.01.2001"]),
        (
            {"locations": [{"region_code": "63.02.01.2002"}]},
            ["/locations/63.02.01.2001", "/locations/63.02.01.2002"],
        ),
        (change_item("milestones", 0, due="2026-04-30"), ["/milestones/M1/due"]),
        (change_item("milestones", 0, title="Lain"), []),
        (
            {
                "milestones": [
                    *(dict(m, weight=None) for m in ACTION["milestones"]),
                    {"code": "M3", "title": "X"},
                ]
            },
            [],
        ),
        (
            {
                "milestones": [
                    *(dict(m, weight=None) for m in ACTION["milestones"]),
                    {"code": "M3", "title": "X", "due": "2026-06-30"},
                ]
            },
            ["/milestones/M3"],
        ),
    ],
)
def test_targets_budget_locations_and_due_dates_need_a_reason(
    changes: dict[str, Any], needs: list[str]
) -> None:
    assert list_unexplained(**changes) == needs


def test_a_new_or_removed_line_needs_a_reason_for_the_whole_line() -> None:
    for change in (ChangedField("", None, LINE), ChangedField("", LINE, None)):
        assert needs_reason(change)
        assert lacking([change], [because("/allocation")]) == [""]
        assert lacking([change], [because("")]) == []


def test_a_priority_location_of_the_plan_needs_a_reason() -> None:
    before = PlanIn(title="RAT").model_dump(mode="json")
    after = {**before, "title": "Lain", "priority_locations": [{"region_code": "63.02.01.2001"}]}
    assert lacking(compare_contents(before, after), []) == ["/priority_locations/63.02.01.2001"]


@pytest.mark.parametrize(
    ("reason", "field", "covers"),
    [
        ("", "/allocation", True),
        ("/outputs", "/outputs/O1/target", True),
        ("/outputs/O1", "/outputs/O1/target", True),
        ("/outputs/O1/target", "/outputs/O1/target", True),
        ("/outputs/O1/target", "/outputs/O1/baseline", False),
        ("/outputs/O", "/outputs/O1/target", False),
        ("/outputs/O1", "/outputs/O10/target", False),
        ("/budget_lines", "/allocation", False),
        ("/outputs/O1/target", "/outputs/O1", False),
    ],
)
def test_a_reason_covers_its_field_and_the_fields_below(reason: str, field: str, covers: bool) -> None:
    assert is_covered(field, [because(reason)]) is covers


def test_reasons_without_a_change_are_dropped() -> None:
    changes = compare(allocation=1)
    relevant = select_relevant_reasons(changes, [because("/allocation"), because("/outputs"), because("")])
    assert [reason["field"] for reason in relevant] == ["/allocation", ""]
    # A reason may name a part of a new line.
    assert select_relevant_reasons([ChangedField("", None, LINE)], [because("/budget_lines/APBD")])


def test_the_table_of_rules_names_existing_fields() -> None:
    fields = {**LINE, **PlanIn(title="x").model_dump(mode="json")}
    assert [path for path in NEEDS_REASON if path.split("/")[1] not in fields] == []
    for pattern in NEEDS_REASON:
        _, name, *rest = pattern.split("/")
        if len(rest) == 2:
            assert rest[1] in LINE[name][0], pattern


def test_the_journal_shortens_reasons() -> None:
    assert shorten_reasons([]) is None
    twice = [because("/allocation"), because("/budget_lines/APBD/amount")]
    assert shorten_reasons(twice) == "revised_budget: Pagu APBD-P"
    long = shorten_reasons([{**because(""), "text": "x" * 1000}, {**because("/a"), "text": "y" * 1000}])
    assert long is not None
    assert len(long) == JOURNAL_REASON
