"""The rules at their limits: the first case with a finding and the last without."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.plans.actions.rules import ActionContent
from app.plans.findings import thresholds
from app.plans.findings.kinds import FindingKind, list_kinds
from app.plans.findings.rules import LineFacts, check_line, check_plan_lines, compute_spreads
from app.plans.findings.thresholds import EDITIONS, Thresholds, choose_thresholds
from tests.findings.world import (
    CODE,
    DISTRICT,
    FACTS,
    NEXT_VILLAGE,
    VILLAGE,
    make_line,
    make_locations,
    make_recipients,
)

THRESHOLDS = choose_thresholds(2026)


def list_findings(content: ActionContent, facts: LineFacts = FACTS) -> list[tuple[str, str]]:
    return [(finding.code, finding.pointer) for finding in check_line(content, facts)]


@contextmanager
def change_thresholds(**change: int) -> Iterator[None]:
    """Replace thresholds of the newest edition."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(thresholds, "EDITIONS", (EDITIONS[-1].model_copy(update=change),))
        yield


def make_facts(**eligible: int) -> LineFacts:
    return LineFacts(
        "63.02", 2026, eligible={"63.02.01." + name[1:]: number for name, number in eligible.items()}
    )


def test_a_clean_line_has_no_findings() -> None:
    assert list_findings(make_line()) == []


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
def test_a_code_of_another_level_is_an_error(region: str, code: str, expected: list[tuple[str, str]]) -> None:
    assert list_findings(make_line(subactivity_code=code), LineFacts(region, 2026)) == expected


def test_a_code_of_another_level_is_not_reported_as_retired() -> None:
    gone = {("2027", code): ["x"] for code in ("1.06.04.1.01.0001", CODE)}
    facts = LineFacts("63.02", 2026, successors=gone)
    assert list_findings(make_line(subactivity_code="1.06.04.1.01.0001"), facts) == [
        ("E03", "/subactivity_code")
    ]
    assert list_findings(make_line(), facts) == [("E02", "/subactivity_code")]


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("63.02.01.2001", []),
        ("63.03.01.2001", [("E04", "/locations/1/region_code")]),
        ("63.020", [("E04", "/locations/1/region_code")]),
        ("63", [("E04", "/locations/1/region_code")]),
    ],
)
def test_places_outside_the_region_are_errors(place: str, expected: list[tuple[str, str]]) -> None:
    """The service refuses to write such places; redrawing a region can still leave them."""
    content = make_line()
    content["locations"] = [{"region_code": NEXT_VILLAGE}, {"region_code": place}]
    assert list_findings(content) == expected


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
def test_an_invalid_range_of_deciles_is_an_error(first: int | None, last: int | None, is_right: bool) -> None:
    content = make_line()
    content["recipients"][0] |= {"decile_from": first, "decile_to": last}
    assert list_findings(content) == ([] if is_right else [("E05", "/recipients/0/decile_from")])


def test_a_line_needs_agency_strategy_and_budget() -> None:
    content = make_line(budget_lines=[], components=[]) | {"lead_agency": None, "strategy": None}
    assert list_findings(content) == [("E09", "/lead_agency"), ("E09", "/strategy"), ("E09", "/budget_lines")]


@pytest.mark.parametrize("allocation", [0, 250_000_000])
def test_a_line_that_ended_needs_no_budget(allocation: int) -> None:
    content = make_line(budget_lines=[], components=[], allocation=allocation) | {"lead_agency": None}
    assert [code for code, _ in list_findings(content)] == ["E09", "E09"]
    assert list_findings(content | {"ends_after": "2026-Q2"}) == []


QUARTERS = [f"2026-Q{n}" for n in range(1, 5)]
MONTHS = st.integers(1, 12) | st.none()


@given(
    starts_in=st.sampled_from([None, *QUARTERS]),
    ends_after=st.sampled_from([None, "2025-Q4", *QUARTERS]),
    first=MONTHS,
    last=MONTHS,
)
def test_months_outside_the_quarters_of_a_line_are_a_warning(
    starts_in: str | None, ends_after: str | None, first: int | None, last: int | None
) -> None:
    content = make_line() | {
        "starts_in": starts_in,
        "ends_after": ends_after,
        "first_month": first,
        "last_month": last,
    }
    earliest = 1 if starts_in is None else int(starts_in[-1]) * 3 - 2
    latest = 12 if ends_after is None else 0 if ends_after < "2026" else int(ends_after[-1]) * 3
    months = {"/first_month": first, "/last_month": last}
    outside = [p for p, month in months.items() if month is not None and not earliest <= month <= latest]
    assert list_findings(content) == [("W13", pointer) for pointer in outside]


@pytest.mark.parametrize(
    ("content", "facts", "expected"),
    [
        (make_line(**make_recipients(count=140)), make_facts(v2001=140), []),
        (make_line(**make_recipients(count=141)), make_facts(v2001=140), ["/recipients/0/count"]),
        (
            make_line(**make_locations(VILLAGE, recipients=141)),
            make_facts(v2001=140),
            ["/locations/0/recipients"],
        ),
        (make_line(**make_locations(VILLAGE, recipients=140)), make_facts(v2001=140), []),
        # the sum over both places counts
        (
            make_line(**make_recipients(count=150), **make_locations(VILLAGE, NEXT_VILLAGE)),
            make_facts(v2001=100, v2002=50),
            [],
        ),
        (
            make_line(**make_recipients(count=151), **make_locations(VILLAGE, NEXT_VILLAGE)),
            make_facts(v2001=100, v2002=50),
            ["/recipients/0/count"],
        ),
        # the number of eligible families of the other places is unknown
        (
            make_line(**make_recipients(count=999), **make_locations(VILLAGE, NEXT_VILLAGE)),
            make_facts(v2001=1),
            [],
        ),
        (make_line(**make_recipients(count=999), **make_locations(DISTRICT)), make_facts(v2001=1), []),
        # a family has several members
        (make_line(**make_recipients(kind="persons", count=999)), make_facts(v2001=140), []),
        (make_line(**make_recipients(count=None)), make_facts(v2001=140), []),
    ],
)
def test_more_families_than_the_eligible_are_a_warning(
    content: ActionContent, facts: LineFacts, expected: list[str]
) -> None:
    assert [pointer for code, pointer in list_findings(content, facts) if code == "W05"] == expected


def make_priced_line(cost: int, code: str = CODE, kind: str = "families") -> ActionContent:
    return make_line(**make_recipients(count=10, kind=kind), subactivity_code=code, allocation=cost * 10) | {
        "components": [],
        "budget_lines": [{"amount": cost * 10}],
    }


@pytest.mark.parametrize(
    ("costs", "cost", "expected"),
    [
        ([100, 110, 120, 130], 1000, ["W06"]),
        ([100, 110, 120, 130], 140, []),
        ([100, 110, 120], 1000, []),  # four lines are too few
        # the modified z-score reaches 3.5 at 5.189 deviations from the median;
        # here the deviation is 10 and the median 120
        ([100, 110, 120, 130], 171, []),
        ([100, 110, 120, 120, 130, 130], 172, ["W06"]),
        # if all costs are equal, the deviation is 5 % of the cost
        ([100, 100, 100, 100], 125, []),
        ([100, 100, 100, 100], 126, ["W06"]),
        ([100, 100, 100, 100], 74, ["W06"]),
        ([100, 100, 100, 100], 75, []),
    ],
)
def test_an_outlying_cost_is_a_warning(costs: list[int], cost: int, expected: list[str]) -> None:
    lines = [make_priced_line(each) for each in (*costs, cost)]
    facts = LineFacts("63.02", 2026, spreads=compute_spreads(lines, THRESHOLDS))
    assert [code for code, _ in list_findings(lines[-1], facts)] == expected
    assert all(list_findings(other, facts) == [] for other in lines[:-1])


def test_costs_are_compared_with_the_same_code_and_kind_only() -> None:
    alike = [make_priced_line(100)] * 5
    facts = LineFacts("63.02", 2026, spreads=compute_spreads(alike, THRESHOLDS))
    assert list_findings(make_priced_line(1000), facts) == [("W06", "/allocation")]
    assert list_findings(make_priced_line(1000, kind="persons"), facts) == []
    assert list_findings(make_priced_line(1000, code="1.06.04.2.01.0002"), facts) == []
    several = make_priced_line(1000)
    several["recipients"].append({**several["recipients"][0], "code": "R2", "kind": "groups"})
    assert list_findings(several, facts) == []
    without_code = make_priced_line(100) | {"subactivity_code": None}
    assert compute_spreads([without_code] * 5, THRESHOLDS) == {}


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
def test_old_recipient_data_are_a_warning(period: str | None, is_old: bool) -> None:
    expected = [("W09", "/recipients/0/source_period")] if is_old else []
    assert list_findings(make_line(**make_recipients(source_period=period))) == expected
    findings = check_plan_lines([], [{"region_code": VILLAGE, "source_period": period}], 2026)
    assert [f.pointer for f in findings if f.code == "W09"] == (
        ["/priority_locations/0/source_period"] if is_old else []
    )


# The plan


def make_supporting_line(amount: int | None, allocation: int = 100) -> ActionContent:
    parts = [
        {"component_class": "supporting", "amount": amount},
        {"component_class": "direct", "amount": None},
    ]
    return make_line() | {"components": parts, "allocation": allocation}


@pytest.mark.parametrize(
    ("lines", "percent"),
    [
        ([make_supporting_line(30)], None),
        ([make_supporting_line(31)], 31),
        ([make_supporting_line(60), make_supporting_line(0)], None),
        ([make_supporting_line(61), make_supporting_line(0)], 30.5),
        ([make_supporting_line(None)], None),
        (
            [
                make_line()
                | {"components": [{"component_class": "supporting", "amount": None}], "allocation": 5}
            ],
            100,
        ),
        ([], None),
        ([make_supporting_line(5, allocation=0)], 100),
    ],
)
def test_much_supporting_spending_is_a_warning(lines: list[ActionContent], percent: float | None) -> None:
    findings = [finding for finding in check_plan_lines(lines, [], 2026) if finding.code == "W03"]
    assert [(f.pointer, f.values["percent"]) for f in findings] == ([("", percent)] if percent else [])


def make_lines_of_all_strategies(*places: str) -> list[ActionContent]:
    return [
        make_line(**make_locations(place), strategy=strategy)
        for place in places
        for strategy in ("reduce_spending_burden", "raise_income", "reduce_poverty_pockets")
    ]


@pytest.mark.parametrize(
    ("lines", "missing"),
    [
        (make_lines_of_all_strategies(VILLAGE), None),
        (make_lines_of_all_strategies(VILLAGE)[1:], ["reduce_spending_burden"]),
        (
            make_lines_of_all_strategies(NEXT_VILLAGE),
            ["reduce_spending_burden", "raise_income", "reduce_poverty_pockets"],
        ),
        # a line of the district does not reach its villages
        (
            [*make_lines_of_all_strategies(VILLAGE)[:2], *make_lines_of_all_strategies(DISTRICT)],
            ["reduce_poverty_pockets"],
        ),
    ],
)
def test_priority_locations_need_three_strategies(
    lines: list[ActionContent], missing: list[str] | None
) -> None:
    places = [{"region_code": DISTRICT}, {"region_code": VILLAGE}]
    findings = [finding for finding in check_plan_lines(lines, places, 2026) if finding.code == "W04"]
    village = [finding for finding in findings if finding.values["place"] == VILLAGE]
    assert [f.values["missing"] for f in village] == ([missing] if missing else [])
    assert all(finding.pointer == "/priority_locations/1" for finding in village)
    # a line of a village counts for its district
    assert len(findings) - len(village) == (1 if lines == make_lines_of_all_strategies(VILLAGE)[1:] else 0)


_LINES = [
    make_line(**change)
    for change in (
        {"subactivity_code": None},
        make_locations(DISTRICT),
        {"budget_lines": []},
        make_recipients(count=900, source_period="2020"),
        {"strategy": "raise_income"},
        {},
    )
]


@given(st.permutations(range(len(_LINES))))
def test_findings_do_not_depend_on_the_order_of_lines(order: list[int]) -> None:
    def check_all(lines: list[ActionContent]) -> tuple[Any, ...]:
        facts = LineFacts("63.02", 2026, eligible={VILLAGE: 100}, spreads=compute_spreads(lines, THRESHOLDS))
        of_lines = {_LINES.index(content): list_findings(content, facts) for content in lines}
        plan_findings = check_plan_lines(lines, [{"region_code": VILLAGE}], 2026)
        return of_lines, [finding.render("id") for finding in plan_findings]

    assert check_all([_LINES[n] for n in order]) == check_all(_LINES)


# Thresholds


@given(st.sets(st.integers(2016, 2100), max_size=5), st.integers(2015, 2100))
def test_a_year_follows_the_newest_edition_up_to_it(first_years: set[int], year: int) -> None:
    newer = [EDITIONS[0].model_copy(update={"edition": str(n), "first_year": n}) for n in first_years]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(thresholds, "EDITIONS", (*newer, *EDITIONS))
        assert choose_thresholds(year).first_year == max(n for n in (2015, *first_years) if n <= year)


@given(limit=st.integers(0, 100), supporting=st.integers(0, 100))
def test_the_share_of_supporting_spending_is_a_threshold(limit: int, supporting: int) -> None:
    with change_thresholds(supporting_percent=limit):
        findings = check_plan_lines([make_supporting_line(supporting)], [], 2026)
    shares = [finding.values["limit"] for finding in findings if finding.code == "W03"]
    assert shares == ([limit] if supporting > limit else [])


@given(limit=st.integers(0, 12), age=st.integers(0, 16))
def test_the_age_of_data_is_a_threshold(limit: int, age: int) -> None:
    period = f"{2026 - -(-age // 4)}-Q{1 + -age % 4}"
    with change_thresholds(data_quarters=limit):
        findings = check_line(make_line(**make_recipients(source_period=period)), FACTS)
    assert [finding.code for finding in findings] == (["W09"] if age > limit else [])


@given(number=st.integers(1, 6), lines=st.integers(1, 7))
def test_the_number_of_similar_lines_is_a_threshold(number: int, lines: int) -> None:
    edition = THRESHOLDS.model_copy(update={"similar_lines": number})
    assert bool(compute_spreads([make_priced_line(100)] * lines, edition)) == (lines >= number)


def test_each_threshold_belongs_to_a_kind() -> None:
    about = {"edition", "first_year", "status", "source"}
    assert {name for kind in list_kinds() for name in kind.thresholds} == {*Thresholds.model_fields} - about


# Kinds


@pytest.mark.parametrize("kind", list_kinds(), ids=lambda kind: kind.code)
def test_both_languages_of_a_kind_have_the_same_placeholders(kind: FindingKind) -> None:
    texts = [*kind.sentences.values(), kind.title, kind.hint, kind.source]
    for text in texts:
        assert text.id.strip()
        assert text.en.strip()
        assert set(re.findall(r"\{\w+\}", text.id)) == set(re.findall(r"\{\w+\}", text.en))


def test_codes_are_consecutive_and_include_those_of_the_domain() -> None:
    for letter, severity, of_the_domain in (("E", "error", 9), ("W", "warning", 10)):
        kinds = [kind for kind in list_kinds() if kind.severity == severity]
        assert len(kinds) >= of_the_domain
        assert [kind.code for kind in kinds] == [f"{letter}{n:02}" for n in range(1, len(kinds) + 1)]


def test_declaring_a_code_twice_is_an_error() -> None:
    first = list_kinds()[0]
    with pytest.raises(ValueError, match="E01 is declared twice"):
        FindingKind("E01", title=first.title, says=first.title, hint=first.hint)
