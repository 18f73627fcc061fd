"""Which changes have to be explained, and by what: the table of rules, field by field."""

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


def changed(**changes: Any) -> list[ChangedField]:
    return compare_contents(LINE, ActionIn.model_validate({**ACTION, **changes}).model_dump(mode="json"))


def needing(**changes: Any) -> list[str]:
    return lacking(changed(**changes), [])


def part(name: str, place: int, **changes: Any) -> dict[str, Any]:
    """The list with one item changed."""
    return {name: [{**item, **(changes if n == place else {})} for n, item in enumerate(ACTION[name])]}


def without(name: str, place: int) -> dict[str, Any]:
    return {name: [item for n, item in enumerate(ACTION[name]) if n != place]}


def because(field: str) -> dict[str, Any]:
    return {"field": field, "category": "revised_budget", "text": "Pagu APBD-P"}


@pytest.mark.parametrize(
    ("changes", "needs"),
    [
        ({"title": "Lain", "note": "Catatan", "strategy": "raise_income"}, []),
        ({"tags": ["lansia"], "supporting_agencies": ["BAZNAS"], "first_month": 2}, []),
        ({"allocation": 1}, ["/allocation"]),
        (part("budget_lines", 0, amount=1), ["/budget_lines/APBD/amount"]),
        (part("budget_lines", 0, stage="apbd_p"), []),
        (without("budget_lines", 0), ["/budget_lines/APBD"]),
        (part("components", 1, amount=5), ["/components/C2/amount"]),
        (part("components", 1, description="Lain", is_travel=True), []),
        (without("components", 0), ["/components/C1"]),
        (
            {"components": [*ACTION["components"], {"code": "C3", "component_class": "direct"}]},
            [],
        ),
        (
            part("outputs", 0, target=50, quarterly_targets=[10, 20, 30, 50], baseline=3),
            ["/outputs/O1/baseline", "/outputs/O1/target", "/outputs/O1/quarterly_targets"],
        ),
        (part("outputs", 0, indicator="Lain", unit="KK"), []),
        (without("outputs", 0), ["/outputs/O1"]),
        (part("recipients", 0, count=50), []),
        (without("locations", 0), ["/locations/63.02.01.2001"]),
        (
            {"locations": [{"region_code": "63.02.01.2002"}]},
            ["/locations/63.02.01.2001", "/locations/63.02.01.2002"],
        ),
        (part("milestones", 0, due="2026-04-30"), ["/milestones/M1/due"]),
        (part("milestones", 0, title="Lain"), []),
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
    assert needing(**changes) == needs


def test_a_line_that_comes_or_goes_needs_one_as_a_whole() -> None:
    for change in (ChangedField("", None, LINE), ChangedField("", LINE, None)):
        assert needs_reason(change)
        assert lacking([change], [because("/allocation")]) == [""]
        assert lacking([change], [because("")]) == []


def test_a_priority_location_of_the_plan_needs_one() -> None:
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
def test_a_reason_covers_its_field_and_what_lies_in_it(reason: str, field: str, covers: bool) -> None:
    assert is_covered(field, [because(reason)]) is covers


def test_only_reasons_that_speak_of_a_change_are_kept() -> None:
    changes = changed(allocation=1)
    kept = select_relevant_reasons(changes, [because("/allocation"), because("/outputs"), because("")])
    assert [reason["field"] for reason in kept] == ["/allocation", ""]
    # Of a line that is new a reason may name a part.
    assert select_relevant_reasons([ChangedField("", None, LINE)], [because("/budget_lines/APBD")])


def test_every_field_of_the_table_is_one_that_exists() -> None:
    fields = {**LINE, **PlanIn(title="x").model_dump(mode="json")}
    assert [one for one in NEEDS_REASON if one.split("/")[1] not in fields] == []
    for pattern in NEEDS_REASON:
        _, name, *rest = pattern.split("/")
        if len(rest) == 2:
            assert rest[1] in LINE[name][0], pattern


def test_the_journal_repeats_reasons_in_short() -> None:
    assert shorten_reasons([]) is None
    twice = [because("/allocation"), because("/budget_lines/APBD/amount")]
    assert shorten_reasons(twice) == "revised_budget: Pagu APBD-P"
    long = shorten_reasons([{**because(""), "text": "x" * 1000}, {**because("/a"), "text": "y" * 1000}])
    assert long is not None
    assert len(long) == JOURNAL_REASON
