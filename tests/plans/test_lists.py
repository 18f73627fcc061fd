"""Lists of actions: filters, alone and in pairs, and sorted pages, on both engines."""

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


def draw_lines(number: int = 15) -> list[dict[str, Any]]:
    """Draw lines that differ in the filterable fields, with many equal sort keys."""
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
    put_many(secretariat, draw_lines())
    for n in (1, 3, 5, 7):
        report(secretariat, f"A-{n:02}", 1 + n % 2, spent=n // 3)
    return secretariat


def match_item(field: str, key: str | None, value: str) -> Match:
    return lambda line: any((item[key] if key else item) == value for item in line[field])


def match_location(region: str) -> Match:
    return lambda line: any(
        (place["region_code"] + ".").startswith(region + ".") for place in line["locations"]
    )


def match_words(*words: str) -> Match:
    return lambda line: all(word in f"{line['title']} {line['subactivity']}".lower() for word in words)


FILTERS: dict[tuple[str, str], Match] = {
    ("strategy", "raise_income"): lambda line: line["strategy"] == "raise_income",
    ("lead_agency", SOCIAL): lambda line: line["lead_agency"] == SOCIAL,
    ("supporting_agency", PARTNER): match_item("supporting_agencies", None, PARTNER),
    ("location", "63.02.01"): match_location("63.02.01"),
    ("location", "63.02"): match_location("63.02"),
    ("location", "63.02.05.2001"): match_location("63.02.05.2001"),
    ("location", "63.03"): lambda line: False,
    ("funding_source", "DAU"): match_item("budget_lines", "funding_source", "DAU"),
    ("subactivity_code", "1.06"): lambda line: line["subactivity_code"] is not None,
    ("subactivity_code", "1.06.04.2.01.0002"): lambda line: line["subactivity_code"] == "1.06.04.2.01.0002",
    ("subactivity_code", "1.0"): lambda line: False,
    ("subactivity_code", "0"): lambda line: False,
    ("tag", "lansia"): match_item("tags", None, "lansia"),
    ("tag", "ü&=%"): match_item("tags", None, "ü&=%"),
    ("q", "BERSIH air"): match_words("air", "bersih"),
    ("q", "100%"): match_words("100%"),
    ("q", "air_bersih"): match_words("air", "bersih"),  # the search folds words: an underscore separates them
    ("q", "jum'at"): match_words("jum’at"),
    ("q", "🍚 tunai"): match_words("tunai"),
    ("q", "pelatihan\\"): match_words("pelatihan"),
    ("q", "dua rtlh"): match_words("dua", "rtlh"),
    ("reported", "2026-Q2"): lambda line: line["code"] in ("A-01", "A-03", "A-05", "A-07"),
    ("reported", "2026-Q1"): lambda line: False,
}


def list_codes(client: TestClient, *filters: tuple[str, str]) -> list[str]:
    return [line["code"] for line in walk(client, f"{LIST}?limit=10&{urlencode(filters)}")]


def test_filters_apply_alone_and_in_pairs(secretariat: TestClient) -> None:
    codes = [line["code"] for line in draw_lines()]
    by_code = {line["code"]: line for line in secretariat.get(f"{LIST}?limit=500").json()["items"]}
    pairs = [(pair, other) for pair, other in itertools.combinations(FILTERS, 2) if pair[0] != other[0]]
    chosen = [(pair,) for pair in FILTERS] + random.Random(2).sample(pairs, 60)
    empty = []
    for filters in chosen:
        expected = [code for code in codes if all(FILTERS[pair](by_code[code]) for pair in filters)]
        assert list_codes(secretariat, *filters) == expected, filters
        empty += [filters] if not expected else []
    assert [filters for filters in empty if len(filters) == 1] == [
        (("location", "63.03"),),
        (("subactivity_code", "1.0"),),
        (("subactivity_code", "0"),),
        (("reported", "2026-Q1"),),
    ]
    assert len(empty) < len(chosen) / 2


def test_a_region_includes_its_subregions_but_no_longer_code_with_its_prefix(
    database: OneTransaction,
) -> None:
    codes = ["63", "63.02", "63.02.01", "63.021", "63.020", "63.0", "630.2", "63.03", "6"]
    with database.read_session() as session:
        values = sa.union_all(*[sa.select(sa.literal(code).label("code")) for code in codes]).subquery()
        codes_inside = session.scalars(sa.select(values.c.code).where(is_in_region(values.c.code, "63.02")))
        assert sorted(codes_inside) == ["63.02", "63.02.01"]


def test_pages_of_any_size_and_order_visit_each_action_once(secretariat: TestClient) -> None:
    all_lines = secretariat.get(f"{LIST}?limit=500").json()["items"]
    assert len(all_lines) == 15
    for sort, down in itertools.product(ACTION_SORTS, (False, True)):
        expected = [
            line["code"]
            for line in sorted(all_lines, key=lambda line: (line[sort], line["code"]), reverse=down)
        ]
        for limit in (1, 3, 15):
            walked = walk(secretariat, f"{LIST}?limit={limit}&sort={'-' if down else ''}{sort}")
            assert [line["code"] for line in walked] == expected, (sort, down, limit)
    filtered = f"{LIST}?limit=2&sort=-spent&strategy=raise_income&count=exact"
    visited = list(walk(secretariat, filtered))
    assert (
        secretariat.get(filtered).json()["count"]
        == len(visited)
        == len({line["code"] for line in visited})
        > 3
    )


def test_a_search_without_words_is_refused(secretariat: TestClient) -> None:
    assert secretariat.get(f"{LIST}?q={quote('%_!')}").status_code == 400


def test_a_lists_tag_changes_with_each_write_and_depends_on_the_callers_rights(
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
