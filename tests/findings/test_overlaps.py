"""Overlaps of two lines (W07): what coincides, the pairs of a plan, and the cost of finding them."""

import itertools
import random
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.plans.actions.queries import actions
from app.plans.overlaps.queries import select_candidates, select_overlapping
from app.plans.overlaps.rules import find_coincidence, find_common_places, parse_pair
from tests.common import ConnectAs, begin_with
from tests.database import OneTransaction
from tests.findings.world import (
    CLEAN,
    DISTRICT,
    NEXT_VILLAGE,
    OTHER,
    VILLAGE,
    get_findings,
    make_line,
    make_locations,
    make_recipients,
)
from tests.plans.world import AT, HEALTH, LEAN, PARTNER, SOCIAL, WORKS, furnish, put, put_many, put_plan, walk


def write_plan(connect: ConnectAs, database: OneTransaction) -> None:
    """Write the agencies and an empty plan."""
    furnish(database)
    put_plan(connect(("secretariat", "63.02")))


world, database = begin_with(write_plan)


@pytest.fixture
def secretariat(connect: ConnectAs) -> TestClient:
    """The secretariat of Kotabaru, with agencies and an empty plan."""
    return connect(("secretariat", "63.02"))


GROUPS = {"vulnerable_groups": ["lansia"]}


def make_months(first: int | None, last: int | None) -> dict[str, Any]:
    return {"first_month": first, "last_month": last}


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("change", "other_change", "overlaps"),
    [
        ({}, {}, True),
        ({}, {"lead_agency": SOCIAL}, False),
        ({}, {"benefit_forms": ["cash"]}, False),
        ({"benefit_forms": ["cash", "goods"]}, {}, True),
        ({}, {"benefit_forms": []}, False),
        ({}, make_recipients(kind="persons"), False),
        ({}, {"recipients": []}, False),
        ({}, make_recipients(decile_from=3, decile_to=4), False),
        ({}, make_recipients(decile_from=2, decile_to=4), True),
        ({}, make_recipients(decile_from=None, decile_to=None), True),
        ({}, make_recipients(**GROUPS), True),
        (make_recipients(**GROUPS), make_recipients(vulnerable_groups=["nelayan"]), False),
        (make_recipients(**GROUPS), make_recipients(vulnerable_groups=["nelayan", "lansia"]), True),
        ({}, make_locations(NEXT_VILLAGE), False),
        ({}, make_locations(NEXT_VILLAGE, VILLAGE), True),
        ({}, make_locations(DISTRICT), True),
        ({}, make_locations("63.02"), True),
        (make_locations("63.02.01"), make_locations("63.02.02"), False),
        (make_locations("63.02.01"), make_locations("63.02.05.2001"), False),
        ({}, {"locations": []}, False),
        (make_months(1, 6), make_months(7, 12), False),
        (make_months(1, 7), make_months(7, 12), True),
        (make_months(9, None), make_months(None, 8), False),
        (make_months(9, None), make_months(None, None), True),
    ],
)
def test_two_lines_overlap_or_not(
    secretariat: TestClient, change: dict[str, Any], other_change: dict[str, Any], overlaps: bool
) -> None:
    """The rule and the database agree, in both orders of the lines."""
    assert (
        find_coincidence(make_line(**change), make_line(OTHER, **other_change), 2026) is not None
    ) == overlaps
    assert find_coincidence(make_line(**change), make_line(OTHER, **other_change), 2026) == find_coincidence(
        make_line(OTHER, **other_change), make_line(**change), 2026
    )
    for first, second in (("A-1", "A-2"), ("A-2", "A-1")):
        put_many(secretariat, [{"code": first, **CLEAN, **change}, {"code": second, **OTHER, **other_change}])
        pairs = [item["pair"] for item in walk(secretariat, f"{AT}/overlaps?action={first}")]
        assert pairs == (["A-1~A-2"] if overlaps else [])


def test_the_coincidence_names_agencies_forms_recipients_places_and_months() -> None:
    line = make_line(
        **make_locations(DISTRICT, "63.02.05.2001"),
        **make_months(3, None),
        benefit_forms=["goods", "cash", "access"],
        **make_recipients(decile_from=1, decile_to=4, vulnerable_groups=["lansia", "nelayan"]),
    )
    other = make_line(
        OTHER,
        **make_locations(VILLAGE, NEXT_VILLAGE, "63.02.05"),
        **make_months(None, 10),
        benefit_forms=["cash", "goods"],
        **make_recipients(decile_from=3, decile_to=None, vulnerable_groups=["nelayan"]),
    )
    assert find_coincidence(line, other, 2026) == {
        "agencies": [HEALTH, SOCIAL],
        "benefit_forms": ["cash", "goods"],
        "recipients": [
            {"kind": "families", "decile_from": 3, "decile_to": 4, "vulnerable_groups": ["nelayan"]}
        ],
        "places": [VILLAGE, NEXT_VILLAGE, "63.02.05.2001"],
        "first_month": 3,
        "last_month": 10,
    }
    assert find_common_places({"63.02.01"}, {"63.02.010"}) == []


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("A~B", "A~B"),
        ("B~A", "A~B"),
        ("A-1~A-10", "A-1~A-10"),
        ("A", None),
        ("A~A", None),
        ("A~", None),
        ("A~B~C", None),
    ],
)
def test_the_key_of_a_pair_sorts_its_lines(text: str, pair: str | None) -> None:
    result = parse_pair(text)
    assert (result and str(result)) == pair


def draw_lines(number: int, chance: random.Random) -> list[dict[str, Any]]:
    """Draw lines with random places, forms, kinds, deciles, groups and months."""
    places = [VILLAGE, NEXT_VILLAGE, "63.02.01.2003", "63.02.05.2001", "63.02.02.2005", DISTRICT, "63.02.05"]

    def draw_sample(values: list[Any], most: int) -> list[Any]:
        return chance.sample(values, chance.randint(0, most))

    def draw_recipient(n: int) -> dict[str, Any]:
        first = chance.choice([None, 1, 3, 5])
        groups = draw_sample(["lansia", "nelayan", "petani"], 2)
        return {
            "code": f"R{n}",
            "kind": chance.choice(["families", "persons", "groups"]),
            "decile_from": first,
            "decile_to": first and first + chance.choice([0, 2]),
            "vulnerable_groups": groups,
        }

    return [
        {
            **LEAN,
            "code": f"L-{n:03}",
            "lead_agency": chance.choice([SOCIAL, HEALTH, WORKS, PARTNER]),
            "benefit_forms": draw_sample(["cash", "goods", "service", "subsidy", "access"], 3),
            "recipients": [draw_recipient(m) for m in range(chance.randint(0, 3))],
            "locations": [{"region_code": place} for place in draw_sample([*places, "63.02"], 3)],
            "first_month": chance.choice([None, 1, 6]),
            "last_month": chance.choice([None, 6, 12]),
        }
        for n in range(number)
    ]


def test_the_database_and_the_rule_find_the_same_pairs(
    secretariat: TestClient, database: OneTransaction
) -> None:
    chance = random.Random(8)
    items = draw_lines(120, chance)
    put_many(secretariat, items)
    quarters = [f"2026-Q{n}" for n in range(1, 5)]
    with database.writing() as session:
        for item in items:
            item["starts_in"] = chance.choice([None, None, None, *quarters])
            item["ends_after"] = chance.choice([None, None, None, "2025-Q4", *quarters])
            drawn = {name: item[name] for name in ("starts_in", "ends_after")}
            session.execute(sa.update(actions).where(actions.c.code == item["code"]).values(**drawn))
    lines = {item["code"]: make_line({name: item[name] for name in item if name != "code"}) for item in items}
    expected = [
        (f"{first}~{second}", coincidence)
        for first, second in itertools.combinations(sorted(lines), 2)
        if (coincidence := find_coincidence(lines[first], lines[second], 2026))
    ]
    assert len(expected) > 100
    assert secretariat.get(f"{AT}/overlaps?count=exact").json()["count"] == len(expected)
    pages = list(walk(secretariat, f"{AT}/overlaps?limit=50"))
    assert [(item["pair"], item["coincides"]) for item in pages] == expected


def make_neighbouring_lines(number: int) -> list[dict[str, Any]]:
    """Make lines of five places each, three to a place, so that a larger plan has more places."""
    base = {name: CLEAN[name] for name in ("benefit_forms", "recipients")}
    places = [f"63.02.{district:02}" for district in range(1, 23)]
    return [
        {
            **LEAN,
            **base,
            "code": f"L-{n:03}",
            "lead_agency": (SOCIAL, HEALTH, WORKS)[n % 3],
            "first_month": n // 3 % 12 + 1,
            "last_month": n // 3 % 12 + 1,
            "locations": [{"region_code": places[(n // 3 + m) % 22]} for m in range(5)],
        }
        for n in range(number)
    ]


def test_the_work_grows_linearly_with_the_lines(secretariat: TestClient, database: OneTransaction) -> None:
    """The number of candidates per line does not depend on the size of the plan."""

    def count_work(lines: int) -> tuple[int, int]:
        put_many(secretariat, make_neighbouring_lines(lines))
        with database.read_session() as session:
            of_plan = actions.c.code.startswith("L-")
            candidates = select_candidates(session, of_plan).subquery()
            pairs = select_overlapping(session, of_plan)
            return tuple(  # type: ignore[return-value]  # a pair
                session.scalar(sa.select(sa.func.count()).select_from(rows)) for rows in (candidates, pairs)
            )

    few, pairs_of_few = count_work(36)
    many, pairs_of_many = count_work(264)
    assert pairs_of_few == 36
    assert many / 264 <= 4 * few / 36
    assert pairs_of_many < 264 * 263 / 2 / 20


def test_a_village_with_three_hundred_lines_lists_100_overlaps(secretariat: TestClient) -> None:
    place = make_locations(VILLAGE)
    shared = {name: CLEAN[name] for name in ("benefit_forms", "recipients")}
    put_many(
        secretariat,
        [
            {**LEAN, **shared, **place, "code": f"L-{n:03}", "lead_agency": (SOCIAL, HEALTH, WORKS)[n % 3]}
            for n in range(300)
        ],
    )
    body = get_findings(secretariat, code="W07")
    assert len(body["items"]) == 100
    (count,) = [count for count in body["counts"] if count["code"] == "W07"]
    assert count["open"] == 30_000
    assert body["left_out"] == 29_900
    assert secretariat.get(f"{AT}/overlaps?limit=1&count=exact").json()["count"] == 30_000
    findings = secretariat.get(f"{AT}/actions/L-000").json()["findings"]
    assert len([finding for finding in findings if finding["code"] == "W07"]) == 100


def test_lines_of_other_plans_do_not_overlap(secretariat: TestClient) -> None:
    put_plan(secretariat, "63.02-2027")
    put(secretariat, "A-1", base=CLEAN)
    put(secretariat, "A-2", plan="63.02-2027", base=OTHER)
    assert list(walk(secretariat, f"{AT}/overlaps")) == []


def test_the_list_of_overlaps_filters_and_sorts(secretariat: TestClient) -> None:
    put(secretariat, "A-1", base=CLEAN)
    put(secretariat, "A-2", base=OTHER)
    put(secretariat, "A-3", base=OTHER, lead_agency=WORKS)

    def list_pairs(query: str = "") -> list[str]:
        return [item["pair"] for item in walk(secretariat, f"{AT}/overlaps?limit=1{query}")]

    assert list_pairs() == ["A-1~A-2", "A-1~A-3", "A-2~A-3"]
    assert list_pairs("&sort=-first") == ["A-2~A-3", "A-1~A-3", "A-1~A-2"]
    assert list_pairs("&action=A-2") == ["A-1~A-2", "A-2~A-3"]
    assert list_pairs(f"&agency={SOCIAL}") == ["A-1~A-2", "A-1~A-3"]
    assert list_pairs("&explained=false") == ["A-1~A-2", "A-1~A-3", "A-2~A-3"]
    assert list_pairs("&explained=true") == []
    assert list_pairs("&action=A-9") == []


def test_many_pairs_cost_as_many_statements_as_few(secretariat: TestClient, database: OneTransaction) -> None:
    put(secretariat, "L-000", base=CLEAN)

    def count_statements(lines: int) -> int:
        put_many(secretariat, draw_lines(lines, random.Random(1)))
        database.statements.clear()
        assert secretariat.get(f"{AT}/overlaps").status_code == 200
        return len(database.statements)

    assert count_statements(5) == count_statements(60)
