"""Lists of actions: each filter alone and with others, every sort to its last page, the same on both engines."""

import itertools
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.access.queries import is_in_region
from app.plans.actions.queries import ACTION_SORTS
from tests.database import OneTransaction
from tests.plans.world import AT, HEALTH, LEAN, PARTNER, SOCIAL, WORKS, put_many, report, walk

LIST = f"{AT}/actions"
Match = Callable[[dict[str, Any]], bool]


def lines(number: int = 15) -> list[dict[str, Any]]:
    """Lines that differ in everything that can be filtered, with many equal sort keys."""
    draw = random.Random(63)
    titles = [
        "Air bersih 100% desa",
        "air_bersih",
        "Jum’at Berkah",
        "RUMAH layak huni (RTLH)",
        "Pelatihan \\ kerja",
        "Bantuan “tunai” 🍚",
    ]
    places = ["63.02", "63.02.01", "63.02.01.2001", "63.02.02", "63.02.05.2001"]
    codes = ["1.06.04.2.01.0001", "1.06.04.2.01.0002", None]
    return [
        {
            **LEAN,
            "code": f"A-{n:02}",
            "title": draw.choice(titles),
            "subactivity": draw.choice(["Satu", "Dua"]),
            "strategy": draw.choice(["reduce_spending_burden", "raise_income", "reduce_poverty_pockets"]),
            "lead_agency": draw.choice([SOCIAL, HEALTH]),
            "allocation": draw.choice([0, 5, 10**12]),
            "supporting_agencies": draw.sample([PARTNER, WORKS], draw.randint(0, 2)),
            "locations": [{"region_code": code} for code in draw.sample(places, draw.randint(0, 3))],
            "budget_lines": [
                {"funding_source": code} for code in draw.sample(["APBD", "DAU", "DBH"], draw.randint(0, 2))
            ],
            "subactivity_code": draw.choice(codes),
            "tags": draw.sample(["lansia", "a b", "ü&=%"], draw.randint(0, 2)),
        }
        for n in range(number)
    ]


@pytest.fixture
def secretariat(secretariat: TestClient) -> TestClient:
    put_many(secretariat, lines())
    for n in (1, 3, 5, 7):
        report(secretariat, f"A-{n:02}", 1 + n % 2, spent=n // 3)
    return secretariat


def has(field: str, key: str | None, value: str) -> Match:
    return lambda line: any((item[key] if key else item) == value for item in line[field])


def inside(region: str) -> Match:
    return lambda line: any(
        (place["region_code"] + ".").startswith(region + ".") for place in line["locations"]
    )


def text(*words: str) -> Match:
    return lambda line: all(word in f"{line['title']} {line['subactivity']}".lower() for word in words)


FILTERS: dict[tuple[str, str], Match] = {
    ("strategy", "raise_income"): lambda line: line["strategy"] == "raise_income",
    ("lead_agency", SOCIAL): lambda line: line["lead_agency"] == SOCIAL,
    ("supporting_agency", PARTNER): has("supporting_agencies", None, PARTNER),
    ("location", "63.02.01"): inside("63.02.01"),
    ("location", "63.02"): inside("63.02"),
    ("location", "63.02.05.2001"): inside("63.02.05.2001"),
    ("location", "63.03"): lambda line: False,
    ("funding_source", "DAU"): has("budget_lines", "funding_source", "DAU"),
    ("subactivity_code", "1.06"): lambda line: line["subactivity_code"] is not None,
    ("subactivity_code", "1.06.04.2.01.0002"): lambda line: line["subactivity_code"] == "1.06.04.2.01.0002",
    ("subactivity_code", "1.0"): lambda line: False,
    ("subactivity_code", "0"): lambda line: False,
    ("tag", "lansia"): has("tags", None, "lansia"),
    ("tag", "ü&=%"): has("tags", None, "ü&=%"),
    ("q", "BERSIH air"): text("air", "bersih"),
    ("q", "100%"): text("100%"),
    ("q", "air_bersih"): text("air", "bersih"),  # words are compared folded: an underscore parts them
    ("q", "jum'at"): text("jum’at"),
    ("q", "🍚 tunai"): text("tunai"),
    ("q", "pelatihan\\"): text("pelatihan"),
    ("q", "dua rtlh"): text("dua", "rtlh"),
    ("reported", "2026-Q2"): lambda line: line["code"] in ("A-01", "A-03", "A-05", "A-07"),
    ("reported", "2026-Q1"): lambda line: False,
}


def found(client: TestClient, *filters: tuple[str, str]) -> list[str]:
    return [line["code"] for line in walk(client, f"{LIST}?limit=10&{urlencode(filters)}")]


def test_each_filter_alone_and_with_each_other(secretariat: TestClient) -> None:
    stored = [line["code"] for line in lines()]
    by_code = {line["code"]: line for line in secretariat.get(f"{LIST}?limit=500").json()["items"]}
    pairs = [(one, two) for one, two in itertools.combinations(FILTERS, 2) if one[0] != two[0]]
    chosen = [(one,) for one in FILTERS] + random.Random(2).sample(pairs, 60)
    empty = []
    for filters in chosen:
        expected = [code for code in stored if all(FILTERS[one](by_code[code]) for one in filters)]
        assert found(secretariat, *filters) == expected, filters
        empty += [filters] if not expected else []
    assert [filters for filters in empty if len(filters) == 1] == [
        (("location", "63.03"),),
        (("subactivity_code", "1.0"),),
        (("subactivity_code", "0"),),
        (("reported", "2026-Q1"),),
    ]
    assert len(empty) < len(chosen) / 2


def test_a_region_holds_what_is_below_its_code_and_not_what_begins_like_it(database: OneTransaction) -> None:
    codes = ["63", "63.02", "63.02.01", "63.021", "63.020", "63.0", "630.2", "63.03", "6"]
    with database.read_session() as session:
        values = sa.union_all(*[sa.select(sa.literal(code).label("code")) for code in codes]).subquery()
        kept = session.scalars(sa.select(values.c.code).where(is_in_region(values.c.code, "63.02")))
        assert sorted(kept) == ["63.02", "63.02.01"]


def test_a_page_of_any_size_in_any_order_visits_each_action_once(secretariat: TestClient) -> None:
    whole = secretariat.get(f"{LIST}?limit=500").json()["items"]
    assert len(whole) == 15
    for sort, down in itertools.product(ACTION_SORTS, (False, True)):
        expected = [
            line["code"] for line in sorted(whole, key=lambda line: (line[sort], line["code"]), reverse=down)
        ]
        for limit in (1, 3, 15):
            walked = walk(secretariat, f"{LIST}?limit={limit}&sort={'-' if down else ''}{sort}")
            assert [line["code"] for line in walked] == expected, (sort, down, limit)
    filtered = f"{LIST}?limit=2&sort=-spent&strategy=raise_income&count=exact"
    lines_of = list(walk(secretariat, filtered))
    assert (
        secretariat.get(filtered).json()["count"]
        == len(lines_of)
        == len({line["code"] for line in lines_of})
        > 3
    )


def test_a_search_of_no_words_is_refused(secretariat: TestClient) -> None:
    assert secretariat.get(f"{LIST}?q={quote('%_!')}").status_code == 400


def test_a_list_is_another_after_any_write_in_its_plan_and_the_same_for_equal_rights(
    secretariat: TestClient, connect: Callable[..., TestClient]
) -> None:
    tags = {secretariat.get(LIST).headers["ETag"]}
    report(secretariat, "A-00", 4, spent=1)
    tags.add(secretariat.get(LIST).headers["ETag"])
    secretariat.patch(f"{AT}", json={"note": "x"}, headers={"If-Match": "*"})
    tags.add(secretariat.get(LIST).headers["ETag"])
    assert len(tags) == 3
    assert connect(("secretariat", "63.02")).get(LIST).headers["ETag"] in tags
    assert connect(("reviewer", "63")).get(LIST).headers["ETag"] not in tags
