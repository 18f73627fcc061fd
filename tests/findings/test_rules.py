"""Each rule at its edge: what it says, and the case beside it of which it says nothing."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.plans.actions.rules import ActionContent
from app.plans.findings.kinds import FindingKind, list_kinds
from app.plans.findings.rules import LineFacts, check_line, check_plan_lines, compute_spreads
from tests.findings.world import CODE, DISTRICT, FACTS, NEXT_VILLAGE, VILLAGE, at, line, recipients


def said(line: ActionContent, facts: LineFacts = FACTS) -> list[tuple[str, str]]:
    return [(finding.code, finding.pointer) for finding in check_line(line, facts)]


def with_eligible(**eligible: int) -> LineFacts:
    return LineFacts(
        "63.02", 2026, eligible={"63.02.01." + name[1:]: number for name, number in eligible.items()}
    )


def test_nothing_is_said_of_a_clean_line() -> None:
    assert said(line()) == []


@pytest.mark.parametrize(
    ("region", "code", "expected"),
    [
        ("63.02", "1.06.04.2.01.0001", []),
        ("63.02", "1.06.04.1.01.0001", [("E03", "/subactivity_code")]),
        ("63", "1.06.04.1.01.0001", []),
        ("63", "1.06.04.2.01.0001", [("E03", "/subactivity_code")]),
        ("63.02", "1.06.04.3.01.0001", []),
        ("63", "1.06.04.7.01.0001", []),
        ("63.02", "X.XX.01.2.01.0001", []),
    ],
)
def test_level_of_a_code(region: str, code: str, expected: list[tuple[str, str]]) -> None:
    assert said(line(subactivity_code=code), LineFacts(region, 2026)) == expected


def test_a_code_of_another_level_is_not_called_retired() -> None:
    gone = {("2027", code): ["x"] for code in ("1.06.04.1.01.0001", CODE)}
    facts = LineFacts("63.02", 2026, successors=gone)
    assert said(line(subactivity_code="1.06.04.1.01.0001"), facts) == [("E03", "/subactivity_code")]
    assert said(line(), facts) == [("E02", "/subactivity_code")]


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("63.02.01.2001", []),
        ("63.03.01.2001", [("E04", "/locations/1/region_code")]),
        ("63.020", [("E04", "/locations/1/region_code")]),
        ("63", [("E04", "/locations/1/region_code")]),
    ],
)
def test_places_outside_the_region(place: str, expected: list[tuple[str, str]]) -> None:
    """None is written; a region that is redrawn leaves them behind."""
    content = line()
    content["locations"] = [{"region_code": NEXT_VILLAGE}, {"region_code": place}]
    assert said(content) == expected


@pytest.mark.parametrize(
    ("first", "last", "is_right"),
    [
        (1, 10, True),
        (3, 3, True),
        (None, None, True),
        (4, 3, False),
        (0, 4, False),
        (1, 11, False),
        (1, None, False),
        (None, 4, False),
    ],
)
def test_decile_ranges(first: int | None, last: int | None, is_right: bool) -> None:
    content = line()
    content["recipients"][0] |= {"decile_from": first, "decile_to": last}
    assert said(content) == ([] if is_right else [("E05", "/recipients/0/decile_from")])


def test_a_line_needs_agency_strategy_and_budget() -> None:
    content = line(budget_lines=[], components=[]) | {"lead_agency": None, "strategy": None}
    assert said(content) == [("E09", "/lead_agency"), ("E09", "/strategy"), ("E09", "/budget_lines")]


@pytest.mark.parametrize(
    ("content", "facts", "expected"),
    [
        (line(**recipients(count=140)), with_eligible(v2001=140), []),
        (line(**recipients(count=141)), with_eligible(v2001=140), ["/recipients/0/count"]),
        (line(**at(VILLAGE, recipients=141)), with_eligible(v2001=140), ["/locations/0/recipients"]),
        (line(**at(VILLAGE, recipients=140)), with_eligible(v2001=140), []),
        # of two places the sum counts
        (line(**recipients(count=150), **at(VILLAGE, NEXT_VILLAGE)), with_eligible(v2001=100, v2002=50), []),
        (
            line(**recipients(count=151), **at(VILLAGE, NEXT_VILLAGE)),
            with_eligible(v2001=100, v2002=50),
            ["/recipients/0/count"],
        ),
        # nobody knows how many are eligible elsewhere
        (line(**recipients(count=999), **at(VILLAGE, NEXT_VILLAGE)), with_eligible(v2001=1), []),
        (line(**recipients(count=999), **at(DISTRICT)), with_eligible(v2001=1), []),
        # a family has several persons
        (line(**recipients(kind="persons", count=999)), with_eligible(v2001=140), []),
        (line(**recipients(count=None)), with_eligible(v2001=140), []),
    ],
)
def test_more_families_than_are_eligible(
    content: ActionContent, facts: LineFacts, expected: list[str]
) -> None:
    assert [pointer for code, pointer in said(content, facts) if code == "W05"] == expected


def priced(cost: int, code: str = CODE, kind: str = "families") -> ActionContent:
    return line(**recipients(count=10, kind=kind), subactivity_code=code, allocation=cost * 10) | {
        "components": [],
        "budget_lines": [{"amount": cost * 10}],
    }


@pytest.mark.parametrize(
    ("costs", "mine", "expected"),
    [
        ([100, 110, 120, 130], 1000, ["W06"]),
        ([100, 110, 120, 130], 140, []),
        ([100, 110, 120], 1000, []),  # four lines are too few
        # the modified z-score is 3.5 where the distance is 5.189 deviations; here one is 10 and the median 120
        ([100, 110, 120, 130], 171, []),
        ([100, 110, 120, 120, 130, 130], 172, ["W06"]),
        # where all cost the same, five hundredths of it are a deviation
        ([100, 100, 100, 100], 125, []),
        ([100, 100, 100, 100], 126, ["W06"]),
        ([100, 100, 100, 100], 74, ["W06"]),
        ([100, 100, 100, 100], 75, []),
    ],
)
def test_a_cost_that_is_out_of_line(costs: list[int], mine: int, expected: list[str]) -> None:
    lines = [priced(cost) for cost in (*costs, mine)]
    facts = LineFacts("63.02", 2026, spreads=compute_spreads(lines))
    assert [code for code, _ in said(lines[-1], facts)] == expected
    assert all(said(other, facts) == [] for other in lines[:-1])


def test_costs_are_compared_with_the_same_code_and_kind_only() -> None:
    alike = [priced(100)] * 5
    facts = LineFacts("63.02", 2026, spreads=compute_spreads(alike))
    assert said(priced(1000), facts) == [("W06", "/allocation")]
    assert said(priced(1000, kind="persons"), facts) == []
    assert said(priced(1000, code="1.06.04.2.01.0002"), facts) == []
    several = priced(1000)
    several["recipients"].append({**several["recipients"][0], "code": "R2", "kind": "groups"})
    assert said(several, facts) == []
    assert compute_spreads([priced(100) | {"subactivity_code": None}] * 5) == {}


@pytest.mark.parametrize(
    ("period", "is_old"),
    [
        ("2025-Q1", False),
        ("2024-Q4", True),
        ("2025", False),
        ("2024", True),
        ("2024-S2", True),
        ("2026-Q2", False),
        (None, False),
    ],
)
def test_old_recipient_data(period: str | None, is_old: bool) -> None:
    expected = [("W09", "/recipients/0/source_period")] if is_old else []
    assert said(line(**recipients(source_period=period))) == expected
    whole = check_plan_lines([], [{"region_code": VILLAGE, "source_period": period}], 2026)
    assert [f.pointer for f in whole if f.code == "W09"] == (
        ["/priority_locations/0/source_period"] if is_old else []
    )


# The plan


def supporting(amount: int | None, allocation: int = 100) -> ActionContent:
    parts = [
        {"component_class": "supporting", "amount": amount},
        {"component_class": "direct", "amount": None},
    ]
    return line() | {"components": parts, "allocation": allocation}


@pytest.mark.parametrize(
    ("lines", "percent"),
    [
        ([supporting(30)], None),
        ([supporting(31)], 31),
        ([supporting(60), supporting(0)], None),
        ([supporting(61), supporting(0)], 30.5),
        ([supporting(None)], None),
        (
            [line() | {"components": [{"component_class": "supporting", "amount": None}], "allocation": 5}],
            100,
        ),
        ([], None),
        ([supporting(5, allocation=0)], 100),
    ],
)
def test_supporting_spending(lines: list[ActionContent], percent: float | None) -> None:
    found = [finding for finding in check_plan_lines(lines, [], 2026) if finding.code == "W03"]
    assert [(f.pointer, f.values["percent"]) for f in found] == ([("", percent)] if percent else [])


def in_all(*places: str) -> list[ActionContent]:
    return [
        line(**at(place), strategy=strategy)
        for place in places
        for strategy in ("reduce_spending_burden", "raise_income", "reduce_poverty_pockets")
    ]


@pytest.mark.parametrize(
    ("lines", "missing"),
    [
        (in_all(VILLAGE), None),
        (in_all(VILLAGE)[1:], ["reduce_spending_burden"]),
        (in_all(NEXT_VILLAGE), ["reduce_spending_burden", "raise_income", "reduce_poverty_pockets"]),
        # a district's line reaches no village
        ([*in_all(VILLAGE)[:2], *in_all(DISTRICT)], ["reduce_poverty_pockets"]),
    ],
)
def test_priority_locations_need_three_strategies(
    lines: list[ActionContent], missing: list[str] | None
) -> None:
    places = [{"region_code": DISTRICT}, {"region_code": VILLAGE}]
    found = [finding for finding in check_plan_lines(lines, places, 2026) if finding.code == "W04"]
    village = [finding for finding in found if finding.values["place"] == VILLAGE]
    assert [f.values["missing"] for f in village] == ([missing] if missing else [])
    assert all(finding.pointer == "/priority_locations/1" for finding in village)
    # whoever works in a village works in its district
    assert len(found) - len(village) == (1 if lines == in_all(VILLAGE)[1:] else 0)


_LINES = [
    line(**change)
    for change in (
        {"subactivity_code": None},
        at(DISTRICT),
        {"budget_lines": []},
        recipients(count=900, source_period="2020"),
        {"strategy": "raise_income"},
        {},
    )
]


@given(st.permutations(range(len(_LINES))))
def test_the_order_of_lines_changes_nothing(order: list[int]) -> None:
    def all_said(lines: list[ActionContent]) -> tuple[Any, ...]:
        facts = LineFacts("63.02", 2026, eligible={VILLAGE: 100}, spreads=compute_spreads(lines))
        of_lines = {_LINES.index(one): said(one, facts) for one in lines}
        whole = check_plan_lines(lines, [{"region_code": VILLAGE}], 2026)
        return of_lines, [finding.render("id") for finding in whole]

    assert all_said([_LINES[n] for n in order]) == all_said(_LINES)


# What kinds say


@pytest.mark.parametrize("kind", list_kinds(), ids=lambda kind: kind.code)
def test_every_kind_says_the_same_in_both_languages(kind: FindingKind) -> None:
    texts = [*kind.sentences.values(), kind.title, kind.hint, kind.source]
    for text in texts:
        assert text.id.strip()
        assert text.en.strip()
        assert set(re.findall(r"\{\w+\}", text.id)) == set(re.findall(r"\{\w+\}", text.en))


def test_the_list_of_kinds_is_that_of_the_domain() -> None:
    for letter, severity, of_the_domain in (("E", "error", 9), ("W", "warning", 10)):
        own = [kind for kind in list_kinds() if kind.severity == severity]
        assert len(own) >= of_the_domain
        assert [kind.code for kind in own] == [f"{letter}{n:02}" for n in range(1, len(own) + 1)]


def test_a_code_is_declared_once() -> None:
    first = list_kinds()[0]
    with pytest.raises(ValueError, match="E01 is declared twice"):
        FindingKind("E01", title=first.title, says=first.title, hint=first.hint)
