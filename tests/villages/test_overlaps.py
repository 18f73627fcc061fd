"""Counting the agencies that overlap in a village: agrees with the rule for pairs, without pairing lines.

The work grows with the number of lines, not with its square.
"""

import itertools
import random
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.plans.actions.queries import actions
from app.plans.copies.queries import PRESENT
from app.plans.overlaps.queries import (
    count_agencies_at_once,
    select_candidates,
    select_points,
    select_spots,
)
from app.plans.overlaps.rules import find_coincidence
from tests.database import OneTransaction
from tests.findings.test_overlaps import draw_lines
from tests.findings.world import make_line
from tests.plans.world import HEALTH, LEAN, PARTNER, SOCIAL, WORKS, put_many

Meeting = tuple[str, str, str]


def split_lines(items: list[dict[str, Any]]) -> Iterator[tuple[Meeting, dict[str, Any]]]:
    """Split each line into lines of one place, one form, one recipient and one group."""
    for item in items:
        content = {name: value for name, value in item.items() if name != "code"}
        for location, form, recipient in itertools.product(
            item["locations"], item["benefit_forms"], item["recipients"]
        ):
            for group in [[name] for name in recipient["vulnerable_groups"]] or [[]]:
                cut = make_line(
                    {
                        **content,
                        "locations": [location],
                        "benefit_forms": [form],
                        "recipients": [{**recipient, "vulnerable_groups": group}],
                    }
                )
                yield (location["region_code"], recipient["kind"], form), cut


def count_overlapping_agencies(lines: list[dict[str, Any]]) -> int:
    """Return the size of the largest set of lines of different agencies that overlap pairwise."""
    agencies = sorted({line["lead_agency"] for line in lines})
    by_agency = [[line for line in lines if line["lead_agency"] == agency] for agency in agencies]
    for size in range(len(agencies), 1, -1):
        for groups in itertools.combinations(by_agency, size):
            for chosen in itertools.product(*groups):
                if all(find_coincidence(*pair, 2026) for pair in itertools.combinations(chosen, 2)):
                    return size
    return 0


@pytest.mark.parametrize("seed", [1, 2])
def test_the_count_of_agencies_agrees_with_the_rule(
    secretariat: TestClient, database: OneTransaction, seed: int
) -> None:
    items = draw_lines(60, random.Random(seed))
    put_many(secretariat, items)
    met: dict[Meeting, list[dict[str, Any]]] = defaultdict(list)
    for meeting, cut in split_lines(items):
        met[meeting].append(cut)
    expected = {
        meeting: most for meeting, lines in met.items() if (most := count_overlapping_agencies(lines))
    }
    assert {2, 3} <= set(expected.values())
    with database.read_session() as session:
        spots = select_spots(session, PRESENT, actions, actions.c.lead_agency).cte("spot")
        rows = session.execute(count_agencies_at_once(spots)).all()
    assert {(row.place, row.kind, row.form): row.agencies for row in rows} == expected


def draw_crowd(number: int, places: list[str]) -> list[dict[str, Any]]:
    """Draw lines of four agencies, each in three of the villages, with random months and deciles."""
    chance = random.Random(number)

    def draw_line(n: int) -> dict[str, Any]:
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

    return [draw_line(n) for n in range(number)]


def test_the_work_grows_linearly_for_lines_in_the_same_villages(
    secretariat: TestClient, database: OneTransaction
) -> None:
    """The number of pairs grows with the square of the lines, the number of points does not."""

    params = {"within": "63.02", "level": "village", "limit": 5}
    places = [region["code"] for region in secretariat.get("/v1/regions", params=params).json()["items"]]

    def count_examined(lines: int) -> tuple[int, int]:
        put_many(secretariat, draw_crowd(lines, places))
        with database.read_session() as session:
            of_plan = actions.c.code.startswith("L-")
            spots = select_spots(session, PRESENT, actions, actions.c.lead_agency).cte("spot")
            selects = [select_points(spots), select_candidates(session, of_plan)]
            points, pairs = (
                session.scalar(sa.select(sa.func.count()).select_from(select.subquery()))
                for select in selects
            )
        return points or 0, pairs or 0

    small, middle, large = count_examined(75), count_examined(150), count_examined(300)
    assert middle[1] > 3 * small[1]
    assert large[1] > 3 * middle[1]
    assert middle[0] < 2 * small[0]
    assert large[0] < 2 * middle[0]
    assert large[0] < large[1] / 5
