"""How many agencies meet in one village: what the rule says of pairs, found without pairing lines, in work that grows
with the lines and not with their square."""

import itertools
import random
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.plans.actions.queries import actions
from app.plans.overlaps.queries import count_agencies_at_once, select_candidates, select_points
from app.plans.overlaps.rules import find_coincidence
from tests.database import OneTransaction
from tests.findings.test_overlaps import scattered
from tests.findings.world import line
from tests.plans.world import HEALTH, LEAN, PARTNER, SOCIAL, WORKS, put_many

Meeting = tuple[str, str, str]


def spots(items: list[dict[str, Any]]) -> Iterator[tuple[Meeting, dict[str, Any]]]:
    """Each line cut into lines of one place, one form, one recipient and one group."""
    for item in items:
        content = {name: value for name, value in item.items() if name != "code"}
        for location, form, recipient in itertools.product(
            item["locations"], item["benefit_forms"], item["recipients"]
        ):
            for group in [[one] for one in recipient["vulnerable_groups"]] or [[]]:
                cut = line(
                    {
                        **content,
                        "locations": [location],
                        "benefit_forms": [form],
                        "recipients": [{**recipient, "vulnerable_groups": group}],
                    }
                )
                yield (location["region_code"], recipient["kind"], form), cut


def most_at_once(lines: list[dict[str, Any]]) -> int:
    """The size of the largest set of lines of different agencies that overlap two by two."""
    agencies = sorted({one["lead_agency"] for one in lines})
    by_agency = [[one for one in lines if one["lead_agency"] == agency] for agency in agencies]
    for size in range(len(agencies), 1, -1):
        for some in itertools.combinations(by_agency, size):
            for chosen in itertools.product(*some):
                if all(find_coincidence(*pair) for pair in itertools.combinations(chosen, 2)):
                    return size
    return 0


@pytest.mark.parametrize("seed", [1, 2])
def test_agencies_at_once_are_those_of_the_rule(
    secretariat: TestClient, database: OneTransaction, seed: int
) -> None:
    items = scattered(60, random.Random(seed))
    put_many(secretariat, items)
    met: dict[Meeting, list[dict[str, Any]]] = defaultdict(list)
    for meeting, cut in spots(items):
        met[meeting].append(cut)
    expected = {meeting: most for meeting, lines in met.items() if (most := most_at_once(lines))}
    assert {2, 3} <= set(expected.values())
    with database.read_session() as session:
        rows = session.execute(count_agencies_at_once(session, actions.c.code.startswith("L-"))).all()
    assert {(row.place, row.kind, row.form): row.agencies for row in rows} == expected


def crowd(number: int, places: list[str]) -> list[dict[str, Any]]:
    """Lines of four agencies, each in three of the villages, at times and for deciles of all sorts."""
    chance = random.Random(number)

    def made(n: int) -> dict[str, Any]:
        first, decile = chance.choice([None, 1, 4, 7]), chance.choice([None, 1, 3])
        return {
            **LEAN,
            "code": f"L-{n:03}",
            "lead_agency": chance.choice([SOCIAL, HEALTH, WORKS, PARTNER]),
            "benefit_forms": [chance.choice(["cash", "goods"])],
            "recipients": [
                {
                    "code": "R",
                    "kind": "families",
                    "decile_from": decile,
                    "decile_to": decile and decile + 1,
                    "vulnerable_groups": chance.choice([[], ["lansia"]]),
                }
            ],
            "locations": [{"region_code": place} for place in chance.sample(places, 3)],
            "first_month": first,
            "last_month": first and first + 3,
        }

    return [made(n) for n in range(number)]


def test_work_grows_with_the_lines_where_all_work_in_the_same_villages(
    secretariat: TestClient, database: OneTransaction
) -> None:
    """Counted is what is examined, at three sizes: pairs of lines grow with the square, points do not."""

    asked = {"within": "63.02", "level": "village", "limit": 5}
    places = [region["code"] for region in secretariat.get("/v1/regions", params=asked).json()["items"]]

    def examined(lines: int) -> tuple[int, int]:
        put_many(secretariat, crowd(lines, places))
        with database.read_session() as session:
            of_plan = actions.c.code.startswith("L-")
            found = [select_points(session, of_plan), select_candidates(session, of_plan)]
            points, pairs = (
                session.scalar(sa.select(sa.func.count()).select_from(one.subquery())) for one in found
            )
        return points or 0, pairs or 0

    small, middle, large = examined(75), examined(150), examined(300)
    assert middle[1] > 3 * small[1]
    assert large[1] > 3 * middle[1]
    assert middle[0] < 2 * small[0]
    assert large[0] < 2 * middle[0]
    assert large[0] < large[1] / 5
