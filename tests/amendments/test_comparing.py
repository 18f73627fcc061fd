"""The pure comparison of contents, checked on random contents by applying the differences."""

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.plans.actions.models import ActionIn
from app.plans.core.models import PlanIn
from app.plans.revisions.differences.rules import (
    KEYS,
    NOTHING,
    PlanEdition,
    compare_contents,
    compare_editions,
    compare_sums,
    fill_defaults,
)
from tests.plans.world import ACTION, HEALTH, LEAN, SOCIAL

LINE = ActionIn.model_validate(ACTION).model_dump(mode="json")
SHORT = ActionIn.model_validate(LEAN).model_dump(mode="json")
PLAN = PlanIn(title="RAT").model_dump(mode="json")

codes = st.sampled_from(["A", "B", "C", "D"])
milestones = st.lists(
    st.fixed_dictionaries(
        {
            "code": codes,
            "title": st.sampled_from(["x", "y"]),
            "due": st.sampled_from([None, "2026-03-31"]),
            "weight": st.none(),
            "evidence_required": st.booleans(),
        }
    ),
    unique_by=lambda item: item["code"],
)
contents = st.builds(
    lambda **changes: {**LINE, **changes},
    title=st.sampled_from(["x", "y"]),
    tags=st.lists(codes, unique=True),
    matrix_texts=st.dictionaries(codes, st.sampled_from(["x", "y"])),
    benefit_forms=st.lists(st.sampled_from(["cash", "goods"]), unique=True),
    milestones=milestones,
)


def apply_changes(before: dict[str, Any], changes: list[Any]) -> dict[str, Any]:
    """Return the content with the changes applied, the inverse of comparing."""
    after = copy.deepcopy(before)
    for field, _, new in changes:
        name, *path = field.split("/")[1:]
        if not path:
            if name in KEYS:  # only the order
                key = KEYS[name]
                after[name].sort(key=lambda item: new.index(item if key is None else item[key]))
            else:
                after[name] = new
        elif isinstance(after[name], dict):
            after[name] = {k: v for k, v in after[name].items() if k != path[0]} | (
                {path[0]: new} if new is not None else {}
            )
        else:
            key = KEYS[name]
            positions = [
                n for n, item in enumerate(after[name]) if (item if key is None else item[key]) == path[0]
            ]
            if len(path) == 2:
                after[name][positions[0]][path[1]] = new
            elif positions:
                del after[name][positions[0]]
            else:
                after[name].append(new)
    return after


def index_by_key(name: str, items: list[Any]) -> dict[str, Any]:
    key = KEYS[name]
    return {item if key is None else item[key]: item for item in items}


@settings(max_examples=300)
@given(contents, contents)
def test_the_differences_rebuild_the_content(before: dict[str, Any], after: dict[str, Any]) -> None:
    changes = compare_contents(before, after)
    rebuilt = apply_changes(before, changes)
    for name in after:
        if name in ("tags", "milestones"):  # rebuilding appends new items
            assert index_by_key(name, rebuilt[name]) == index_by_key(name, after[name])
            remaining = [i for i in rebuilt[name] if i in before[name] and i in after[name]]
            assert remaining == [i for i in after[name] if i in remaining]
        else:
            assert rebuilt[name] == after[name]
    assert (changes == []) == (before == after)
    assert len({change.field for change in changes}) == len(changes)


def test_a_postponed_milestone_is_one_change_and_reordering_another() -> None:
    first, second = LINE["milestones"]
    later = {**first, "due": "2026-05-31"}
    after = {**LINE, "milestones": [later, second]}
    assert [tuple(change) for change in compare_contents(LINE, after)] == [
        ("/milestones/M1/due", "2026-03-31", "2026-05-31")
    ]
    swapped = {**LINE, "milestones": [second, first]}
    assert [tuple(change) for change in compare_contents(LINE, swapped)] == [
        ("/milestones", ["M1", "M2"], ["M2", "M1"])
    ]


def test_lines_are_created_removed_and_changed() -> None:
    before = PlanEdition(PLAN, {"A-1": LINE, "A-2": SHORT, "A-3": SHORT})
    after = PlanEdition(PLAN, {"A-1": {**LINE, "allocation": 7}, "A-3": SHORT, "A-4": SHORT})
    lines = {entry.code: entry for entry in compare_editions(before, after)}
    assert {code: entry.change for code, entry in lines.items()} == {
        "A-1": "changed",
        "A-2": "removed",
        "A-4": "created",
    }
    assert [tuple(change) for change in lines["A-4"].changes] == [("", None, SHORT)]
    assert lines["A-2"].content == SHORT
    assert len(compare_editions(NOTHING, after)) == 3


def test_sums_before_and_after() -> None:
    before = PlanEdition(PLAN, {"A-1": LINE, "A-2": SHORT})
    after = PlanEdition(
        PLAN,
        {
            "A-1": {**LINE, "allocation": 7, "recipients": []},
            "A-3": {**SHORT, "lead_agency": SOCIAL, "locations": LINE["locations"]},
        },
    )
    sums = compare_sums(before, after)
    assert sums["actions"] == {"before": 2, "after": 2, "difference": 0}
    assert sums["allocation"] == {"before": 250_000_100, "after": 107, "difference": -249_999_993}
    assert sums["locations"] == {"before": 1, "after": 1, "difference": 0}
    assert sums["recipients"] == [{"kind": "persons", "before": 40, "after": 0, "difference": -40}]
    assert sums["agencies"] == [
        {"agency": HEALTH, "before": 100, "after": 0, "difference": -100},
        {"agency": SOCIAL, "before": 250_000_000, "after": 107, "difference": -249_999_893},
    ]
    for group in ("strategies", "agencies"):
        assert sum(row["difference"] for row in sums[group]) == sums["allocation"]["difference"]


def test_a_field_newer_than_the_frozen_content_gets_its_default() -> None:
    old = {name: value for name, value in LINE.items() if name not in ("tags", "note")}
    assert fill_defaults("action", {**old, "code": "A-1", "gone": 1}) == LINE
