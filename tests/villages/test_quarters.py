"""Villages in a quarter: the lines of its revision, which later changes of the plan do not move."""

import random
from datetime import date
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.database import OneTransaction
from tests.findings.test_overlaps import draw_lines
from tests.findings.world import CLEAN, OTHER, make_locations
from tests.plans.world import ANY, AT, HEALTH, PARTNER, SOCIAL, keep_copy, put, put_many, report
from tests.quarters.world import send
from tests.villages.test_villages import FIRST, SECOND, THIRD, find_village, get_page, get_stages


def draw_plan(secretariat: TestClient, chance: random.Random) -> None:
    put_many(secretariat, draw_lines(40, chance))
    for n in chance.sample(range(2, 40), 15):
        report(secretariat, f"L-{n:03}", chance.choice([1, 2]), spent=chance.choice([0, 7]))


def submit(secretariat: TestClient) -> None:
    assert send(secretariat, "submit").status_code == 200


def change_lines(secretariat: TestClient) -> None:
    """Change all that villages show: money, agency, strategy, places, milestones, lines and priority locations."""
    put(secretariat, "L-000", base=CLEAN, allocation=0, components=[], budget_lines=[], milestones=[])
    put(secretariat, "L-001", base=OTHER, lead_agency=PARTNER, **make_locations(THIRD, "63.02"))
    put(secretariat, "N-1", base=CLEAN, **make_locations(FIRST, SECOND))
    reply = secretariat.patch(AT, json={"priority_locations": [{"region_code": THIRD}]}, headers=ANY)
    assert reply.status_code == 200, reply.text


@pytest.mark.parametrize("seed", range(3))
def test_villages_of_a_submitted_quarter_keep_their_figures(
    secretariat: TestClient, database: OneTransaction, seed: int
) -> None:
    chance = random.Random(seed)
    draw_plan(secretariat, chance)
    open_quarter = get_page(secretariat)
    assert any(item["overlapping_agencies"] for item in open_quarter["items"])
    submit(secretariat)
    assert get_page(secretariat) == open_quarter
    change_lines(secretariat)
    for n in chance.sample(range(2, 40), 15):
        report(secretariat, f"L-{n:03}", 1, spent=99)
    assert get_page(secretariat) == open_quarter
    later = get_page(secretariat, period="2026-Q3")
    assert later["items"] != open_quarter["items"]
    assert [item["village"] for item in later["items"] if item["is_priority"]] == [THIRD]


@pytest.mark.parametrize("seed", range(3))
def test_a_revision_counts_as_the_lines_that_it_has(
    secretariat: TestClient, database: OneTransaction, seed: int
) -> None:
    """Equal lines give equal figures from the plan and from a copy, overlaps included."""
    chance = random.Random(seed)
    draw_plan(secretariat, chance)
    present = get_page(secretariat)
    keep_copy(database, number=0, instrument_date=date(2026, 4, 1))
    assert get_page(secretariat) == present
    change_lines(secretariat)
    assert get_page(secretariat) == present
    # No revision of the first quarter: the plan as it is.
    assert get_page(secretariat, period="2026-Q1")["items"] != present["items"]
    keep_copy(database, number=1, instrument_date=date(2026, 6, 30))
    assert get_page(secretariat)["items"] != present["items"]


def test_a_submitted_quarter_names_the_agency_of_its_revision(
    secretariat: TestClient, database: OneTransaction
) -> None:
    def list_agencies(period: str) -> list[Any]:
        return [
            (group["agency_code"], group["merged_into"], group["lines"])
            for group in find_village(secretariat, period=period)["agencies"]
        ]

    put(secretariat, "A-1", base=CLEAN, **make_locations(FIRST))
    put(secretariat, "A-2", base=OTHER, **make_locations(FIRST))
    keep_copy(database, number=0, instrument_date=date(2026, 1, 5))
    submit(secretariat)
    assert find_village(secretariat)["overlapping_agencies"] == 2
    merged = f"/v1/regions/63.02/agencies/{SOCIAL}/merge"
    assert secretariat.post(merged, json={"into": HEALTH}, headers=ANY).status_code == 200
    assert list_agencies("2026-Q2") == [(HEALTH, None, 1), (SOCIAL, HEALTH, 1)]
    assert find_village(secretariat)["overlapping_agencies"] == 2
    # An open quarter compares with the same revision, by the agencies of today.
    assert list_agencies("2026-Q3") == [(HEALTH, None, 2)]
    assert find_village(secretariat, period="2026-Q3")["overlapping_agencies"] == 0


def test_a_report_that_a_submission_carried_over_is_none_of_the_quarter(secretariat: TestClient) -> None:
    put(secretariat, "A-1", base=CLEAN, **make_locations(FIRST), milestones=[])
    report(secretariat, "A-1", 1, spent=5)
    assert get_stages(find_village(secretariat)) == (1, 1, 1, 0)
    submit(secretariat)
    assert get_stages(find_village(secretariat)) == (1, 1, 1, 0)
