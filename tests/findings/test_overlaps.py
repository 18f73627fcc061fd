"""Overlap of two lines (W07): what coincides, the pairs of a plan, and how much work they are."""

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
from tests.findings.world import CLEAN, DISTRICT, NEXT_VILLAGE, OTHER, VILLAGE, at, checked, line, recipients
from tests.plans.world import AT, HEALTH, LEAN, PARTNER, SOCIAL, WORKS, furnish, put, put_many, put_plan, walk


def plan(connect: ConnectAs, database: OneTransaction) -> None:
    """Write the agencies and an empty plan."""
    furnish(database)
    put_plan(connect(("secretariat", "63.02")))


world, database = begin_with(plan)


@pytest.fixture
def secretariat(connect: ConnectAs) -> TestClient:
    """The secretariat of Kotabaru, with agencies and an empty plan."""
    return connect(("secretariat", "63.02"))


GROUPS = {"vulnerable_groups": ["lansia"]}


def months(first: int | None, last: int | None) -> dict[str, Any]:
    return {"first_month": first, "last_month": last}


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("one", "other", "overlaps"),
    [
        ({}, {}, True),
        ({}, {"lead_agency": SOCIAL}, False),
        ({}, {"benefit_forms": ["cash"]}, False),
        ({"benefit_forms": ["cash", "goods"]}, {}, True),
        ({}, {"benefit_forms": []}, False),
        ({}, recipients(kind="persons"), False),
        ({}, {"recipients": []}, False),
        ({}, recipients(decile_from=3, decile_to=4), False),
        ({}, recipients(decile_from=2, decile_to=4), True),
        ({}, recipients(decile_from=None, decile_to=None), True),
        ({}, recipients(**GROUPS), True),
        (recipients(**GROUPS), recipients(vulnerable_groups=["nelayan"]), False),
        (recipients(**GROUPS), recipients(vulnerable_groups=["nelayan", "lansia"]), True),
        ({}, at(NEXT_VILLAGE), False),
        ({}, at(NEXT_VILLAGE, VILLAGE), True),
        ({}, at(DISTRICT), True),
        ({}, at("63.02"), True),
        (at("63.02.01"), at("63.02.02"), False),
        (at("63.02.01"), at("63.02.05.2001"), False),
        ({}, {"locations": []}, False),
        (months(1, 6), months(7, 12), False),
        (months(1, 7), months(7, 12), True),
        (months(9, None), months(None, 8), False),
        (months(9, None), months(None, None), True),
    ],
)
def test_when_two_lines_overlap(
    secretariat: TestClient, one: dict[str, Any], other: dict[str, Any], overlaps: bool
) -> None:
    """The rule and the database say the same, whichever line comes first."""
    assert (find_coincidence(line(**one), line(OTHER, **other)) is not None) == overlaps
    assert find_coincidence(line(**one), line(OTHER, **other)) == find_coincidence(
        line(OTHER, **other), line(**one)
    )
    for first, second in (("A-1", "A-2"), ("A-2", "A-1")):
        put_many(secretariat, [{"code": first, **CLEAN, **one}, {"code": second, **OTHER, **other}])
        found = [item["pair"] for item in walk(secretariat, f"{AT}/overlaps?action={first}")]
        assert found == (["A-1~A-2"] if overlaps else [])


def test_what_coincides() -> None:
    one = line(
        **at(DISTRICT, "63.02.05.2001"),
        **months(3, None),
        benefit_forms=["goods", "cash", "access"],
        **recipients(decile_from=1, decile_to=4, vulnerable_groups=["lansia", "nelayan"]),
    )
    other = line(
        OTHER,
        **at(VILLAGE, NEXT_VILLAGE, "63.02.05"),
        **months(None, 10),
        benefit_forms=["cash", "goods"],
        **recipients(decile_from=3, decile_to=None, vulnerable_groups=["nelayan"]),
    )
    assert find_coincidence(one, other) == {
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
def test_key_of_a_pair(text: str, pair: str | None) -> None:
    found = parse_pair(text)
    assert (found and str(found)) == pair


def scattered(number: int, chance: random.Random) -> list[dict[str, Any]]:
    """Lines of all sorts: many places, forms, kinds, deciles, groups, months."""
    places = [VILLAGE, NEXT_VILLAGE, "63.02.01.2003", "63.02.05.2001", "63.02.02.2005", DISTRICT, "63.02.05"]

    def some(of: list[Any], most: int) -> list[Any]:
        return chance.sample(of, chance.randint(0, most))

    def recipient(n: int) -> dict[str, Any]:
        first = chance.choice([None, 1, 3, 5])
        groups = some(["lansia", "nelayan", "petani"], 2)
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
            "benefit_forms": some(["cash", "goods", "service", "subsidy", "access"], 3),
            "recipients": [recipient(m) for m in range(chance.randint(0, 3))],
            "locations": [{"region_code": place} for place in some([*places, "63.02"], 3)],
            "first_month": chance.choice([None, 1, 6]),
            "last_month": chance.choice([None, 6, 12]),
        }
        for n in range(number)
    ]


def test_the_database_finds_exactly_the_pairs_of_the_rule(secretariat: TestClient) -> None:
    items = scattered(80, random.Random(8))
    put_many(secretariat, items)
    lines = {item["code"]: line({name: item[name] for name in item if name != "code"}) for item in items}
    expected = [
        (f"{one}~{other}", found)
        for one, other in itertools.combinations(sorted(lines), 2)
        if (found := find_coincidence(lines[one], lines[other]))
    ]
    assert len(expected) > 100
    assert secretariat.get(f"{AT}/overlaps?count=exact").json()["count"] == len(expected)
    pages = list(walk(secretariat, f"{AT}/overlaps?limit=50"))
    assert [(item["pair"], item["coincides"]) for item in pages] == expected


def beside_one_another(number: int) -> list[dict[str, Any]]:
    """Lines of five places each, three to a place: a large plan has more places than a small one."""
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


def test_work_grows_with_the_lines(secretariat: TestClient, database: OneTransaction) -> None:
    """Lines that lie apart are never paired: as many candidates for each line, however many lines."""

    def work(lines: int) -> tuple[int, int]:
        put_many(secretariat, beside_one_another(lines))
        with database.read_session() as session:
            of_plan = actions.c.code.startswith("L-")
            found = select_candidates(session, of_plan).subquery()
            pairs = select_overlapping(session, of_plan)
            return tuple(  # type: ignore[return-value]  # two of them
                session.scalar(sa.select(sa.func.count()).select_from(one)) for one in (found, pairs)
            )

    few, pairs_of_few = work(36)
    many, pairs_of_many = work(264)
    assert pairs_of_few == 36
    assert many / 264 <= 4 * few / 36
    assert pairs_of_many < 264 * 263 / 2 / 20


def test_three_hundred_lines_in_one_village_are_bounded(secretariat: TestClient) -> None:
    place = at(VILLAGE)
    shared = {name: CLEAN[name] for name in ("benefit_forms", "recipients")}
    put_many(
        secretariat,
        [
            {**LEAN, **shared, **place, "code": f"L-{n:03}", "lead_agency": (SOCIAL, HEALTH, WORKS)[n % 3]}
            for n in range(300)
        ],
    )
    body = checked(secretariat, code="W07")
    assert len(body["items"]) == 100
    (count,) = [count for count in body["counts"] if count["code"] == "W07"]
    assert count["open"] == 30_000
    assert body["left_out"] == 29_900
    assert secretariat.get(f"{AT}/overlaps?limit=1&count=exact").json()["count"] == 30_000
    said = secretariat.get(f"{AT}/actions/L-000").json()["findings"]
    assert len([finding for finding in said if finding["code"] == "W07"]) == 100


def test_lines_of_other_plans_do_not_overlap(secretariat: TestClient) -> None:
    put_plan(secretariat, "63.02-2027")
    put(secretariat, "A-1", base=CLEAN)
    put(secretariat, "A-2", plan="63.02-2027", base=OTHER)
    assert list(walk(secretariat, f"{AT}/overlaps")) == []


def test_list_is_filtered(secretariat: TestClient) -> None:
    put(secretariat, "A-1", base=CLEAN)
    put(secretariat, "A-2", base=OTHER)
    put(secretariat, "A-3", base=OTHER, lead_agency=WORKS)

    def pairs(query: str = "") -> list[str]:
        return [item["pair"] for item in walk(secretariat, f"{AT}/overlaps?limit=1{query}")]

    assert pairs() == ["A-1~A-2", "A-1~A-3", "A-2~A-3"]
    assert pairs("&sort=-first") == ["A-2~A-3", "A-1~A-3", "A-1~A-2"]
    assert pairs("&action=A-2") == ["A-1~A-2", "A-2~A-3"]
    assert pairs(f"&agency={SOCIAL}") == ["A-1~A-2", "A-1~A-3"]
    assert pairs("&explained=false") == ["A-1~A-2", "A-1~A-3", "A-2~A-3"]
    assert pairs("&explained=true") == []
    assert pairs("&action=A-9") == []


def test_as_many_statements_for_many_pairs_as_for_one(
    secretariat: TestClient, database: OneTransaction
) -> None:
    put(secretariat, "L-000", base=CLEAN)

    def statements(lines: int) -> int:
        put_many(secretariat, scattered(lines, random.Random(1)))
        database.statements.clear()
        assert secretariat.get(f"{AT}/overlaps").status_code == 200
        return len(database.statements)

    assert statements(5) == statements(60)
