"""The figures that the machine grades, computed from stored data."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.access.commands import Write
from app.access.rules import CONSOLE
from app.kit.database.engine import get_table
from app.kit.database.journal import Author
from app.kit.periods import get_zone
from app.reference.models import RegionRow
from app.tracking.calendars.commands import put_calendar
from app.tracking.calendars.models import CalendarIn
from tests.coverage.world import put as put_coverage
from tests.database import OneTransaction
from tests.findings.world import CLEAN, OTHER
from tests.meetings.world import ANY, commit, put_meeting
from tests.meetings.world import step as move_commitment
from tests.plans.world import AT as PLAN_AT
from tests.plans.world import HEALTH, LEAN, SOCIAL, keep_copy, put, put_many, put_plan, report
from tests.quarters.world import ACCEPTED
from tests.steps.world import (
    OVER,
    READER,
    compute_score,
    find_criterion,
    get_figure_and_grade,
    read_steps,
    show,
)
from tests.workflow.moves import CODED, Movers

AUTHOR = Author("test", datetime(2026, 1, 1, tzinfo=UTC))
V1, V2, V3, V4 = (f"63.02.01.200{n}" for n in range(1, 5))
COMPLETE: dict[str, Any] = {
    **CLEAN,
    "recipients": [{**CLEAN["recipients"][0], "source": "DTSEN", "source_period": "2025-Q4"}],
}


def make_locus(code: str, period: str | None = "2025-Q4", **changes: Any) -> dict[str, Any]:
    fields = {"region_code": code, "target_families": 10, "source": "DTSEN", "source_period": period}
    return {**fields, **changes}


def test_priority_locations_with_fresh_data(secretariat: TestClient, database: OneTransaction) -> None:
    # As for finding W09: 2025-Q1 is four quarters before 2026-Q1, the end of 2024 five.
    loci = [
        make_locus(V1, "2025-Q1"),
        make_locus(V2, "2024"),
        make_locus(V3, "2025-S1"),
        make_locus(V4, target_families=None),
    ]
    put_plan(secretariat, priority_locations=loci)
    steps = read_steps(database)
    assert get_figure_and_grade(steps, "loci_with_fresh_data") == (50, "D")
    inputs = find_criterion(steps, "loci_with_fresh_data")["inputs"]
    assert inputs == {"priority_locations": 4, "with_fresh_data": 2}


def test_complete_lines_and_loci_reached_by_all_strategies(
    secretariat: TestClient, database: OneTransaction
) -> None:
    loci = [make_locus(code) for code in ("63.02.01", V2, V4, "63.02.05.2001")]
    put_plan(secretariat, priority_locations=loci)
    both = [{"region_code": V2}, {"region_code": V4}]
    lines = [
        {**COMPLETE, "code": "A-1", "locations": [{"region_code": V4}, {"region_code": V1}]},
        {**COMPLETE, "code": "A-2", "strategy": "raise_income", "locations": both},
        {**LEAN, "code": "A-3", "strategy": "reduce_poverty_pockets", "locations": both[1:]},
        {**LEAN, "code": "A-4", "locations": [{"region_code": "63.02"}]},
    ]
    put_many(secretariat, lines)
    steps = read_steps(database)
    assert get_figure_and_grade(steps, "complete_lines") == (50, "C")
    assert find_criterion(steps, "complete_lines")["inputs"] == {
        "lines": 4,
        "with_code": 2,
        "with_output": 2,
        "with_target": 2,
        "with_location": 4,
        "with_deciles": 2,
        "with_source": 2,
        "complete": 2,
    }
    # All strategies reach village 4, one reaches village 2, none the third; the district is no village.
    assert get_figure_and_grade(steps, "loci_by_all_strategies") == (33.33, "D")
    assert get_figure_and_grade(steps, "usable_places") == (75, "C"), (
        "the whole regency is neither a village nor a district"
    )
    assert get_figure_and_grade(steps, "data_age") == (1, "A")
    regions = get_table(RegionRow)
    with database.writing() as session:
        session.execute(sa.update(regions).where(regions.c.code == V4).values(retired=True))
    assert get_figure_and_grade(read_steps(database), "usable_places") == (50, "D")


@pytest.mark.parametrize(
    ("periods", "value", "letter"),
    [
        (["2025-Q3"], 2, "A"),
        (["2025-Q3", "2025-Q3", "2025-Q2"], 2.33, "B"),
        (["2026-Q2"], 0, "A"),
        (["2023"], 9, "none"),
        ([None], "no_recipient_data", None),
    ],
)
def test_the_age_of_the_recipients_data_in_quarters(
    secretariat: TestClient,
    database: OneTransaction,
    periods: list[str | None],
    value: Any,
    letter: str | None,
) -> None:
    put_plan(secretariat)
    recipient = {"kind": "families", "source": "DTSEN"}
    put(
        secretariat,
        "A-1",
        recipients=[{**recipient, "code": f"R{n}", "source_period": p} for n, p in enumerate(periods)],
    )
    assert get_figure_and_grade(read_steps(database), "data_age") == (value, letter)


def test_meetings_and_commitments_in_the_window_of_the_step(
    secretariat: TestClient, database: OneTransaction
) -> None:
    put_plan(secretariat)
    put_many(
        secretariat,
        [{**LEAN, "code": "A-1", "lead_agency": SOCIAL}, {**LEAN, "code": "A-2", "lead_agency": HEALTH}],
    )
    steps = read_steps(database)
    assert get_figure_and_grade(steps, "meetings_held") == (0, "none")
    assert get_figure_and_grade(steps, "agencies_attending") == ("no_meetings", None)
    assert get_figure_and_grade(steps, "commitments_closed") == ("no_commitments_due", None)
    put_meeting(secretariat, "R-1", date="2025-01-01", agencies_present=[SOCIAL])
    put_meeting(secretariat, "R-2", date="2025-09-30", agencies_present=[SOCIAL])
    put_meeting(secretariat, "R-3", date="2025-06-01", agencies_present=[])
    put_meeting(secretariat, "R-4", date="2025-10-01", agencies_present=[HEALTH])
    for code, changes in (
        ("K-1", {"meeting": "R-1", "due": "2025-12-01"}),
        ("K-2", {"meeting": "R-2", "due": "2025-12-01"}),
        ("K-3", {"due": "2025-05-01"}),
        ("K-4", {"meeting": "R-4", "due": "2025-10-15"}),
        ("K-5", {"meeting": "R-1", "due": "2027-12-01"}),
        ("K-6", {"meeting": "R-1", "due": "2025-03-01"}),
    ):
        commit(secretariat, code, **changes)
    move_commitment(secretariat, "complete", at="/v1/regions/63.02/commitments/K-1")
    move_commitment(secretariat, "cancel", at="/v1/regions/63.02/commitments/K-6")
    steps = read_steps(database)
    assert get_figure_and_grade(steps, "meetings_held") == (2, "B")
    assert get_figure_and_grade(steps, "agencies_attending") == (50, "C")
    # Done: K-1. Overdue: K-2, K-3. The others are of another window, not due, or cancelled.
    assert get_figure_and_grade(steps, "commitments_closed") == (33.33, "D")
    early = read_steps(database, datetime(2025, 2, 1, tzinfo=get_zone("WITA")))
    assert get_figure_and_grade(early, "meetings_held") == (1, "C"), "a future meeting does not count as held"


def test_days_between_adoption_and_the_year(
    connect: Callable[..., TestClient], secretariat: TestClient, database: Any
) -> None:
    put_plan(secretariat, "63.02-2025")
    put(secretariat, "A-1", plan="63.02-2025", base=CODED)

    def read_at_day(day: str) -> tuple[Any, str | None]:
        return get_figure_and_grade(
            read_steps(database, datetime.fromisoformat(f"{day}T05:00Z"), year=2025), "adopted_before_year"
        )

    assert read_at_day("2024-12-31") == ("not_adopted_yet", None)
    assert read_at_day("2025-01-01") == ("not_adopted", "none")
    Movers(connect).bring("adopted")
    assert read_at_day("2025-01-01") == (13, "A"), "the decree is of 19 December"


def test_villages_with_all_documents(secretariat: TestClient, database: OneTransaction) -> None:
    put_plan(secretariat, priority_locations=[make_locus(V1), make_locus(V2)])
    step = "village_strengthening"
    for village, kinds in (
        (V1, ["village_decree", "village_budget"]),
        (V2, ["village_decree"]),
        (V3, ["village_decree", "village_budget"]),
    ):
        for kind in kinds:
            show(secretariat, kind, step, f"{kind}-{village}", village=village)
    show(secretariat, "village_decree", step, "again", village=V2)
    steps = read_steps(database)
    assert get_figure_and_grade(steps, "loci_strengthened") == (50, "C"), (
        "the third village is no priority location"
    )
    assert get_figure_and_grade(steps, "loci_verified") == (0, "none")
    show(secretariat, "verification", "data_management", village=V1)
    show(secretariat, "verification", "data_management", "other", village=V2)
    assert get_figure_and_grade(read_steps(database), "loci_verified") == (100, "A")


def test_quarters_submitted_on_time(secretariat: TestClient, database: OneTransaction) -> None:
    put_plan(secretariat)
    put(secretariat, "A-1")
    due = ("2999-12-31", "2026-07-20", "2999-12-31", "2999-12-31")
    with database.writing() as session:
        for n, day in enumerate(due, 1):
            days = CalendarIn(opens_on="2026-01-01", due_on=day, issued_by="Gubernur")
            put_calendar(Write(session, AUTHOR, CONSOLE), "63.02", f"2026-Q{n}", days)
    on_the_day = read_steps(database, datetime(2026, 7, 20, 15, tzinfo=get_zone("WITA")))
    assert get_figure_and_grade(on_the_day, "quarters_on_time") == ("no_quarter_due", None)
    assert get_figure_and_grade(read_steps(database), "quarters_on_time") == (0, "none")
    reply = secretariat.post("/v1/regions/63.02/quarters/2026-Q1/submit", json=ACCEPTED, headers=ANY)
    assert reply.status_code == 200, reply.text
    assert get_figure_and_grade(read_steps(database), "quarters_on_time") == (50, "C")


def test_overlaps_without_an_explanation(secretariat: TestClient, database: OneTransaction) -> None:
    put_plan(secretariat)
    put(secretariat, "A-0", base=LEAN)
    assert get_figure_and_grade(read_steps(database), "open_overlaps") == ("no_comparable_lines", None)
    put(secretariat, "A-1", base=CLEAN)
    put(secretariat, "A-2", base=OTHER)
    assert get_figure_and_grade(read_steps(database), "open_overlaps") == (50, "none")
    why = {"verdict": "complementary", "text": "Permakanan dan gizi"}
    assert secretariat.put(f"{PLAN_AT}/overlaps/A-1~A-2/explanation", json=why).status_code == 201
    steps = read_steps(database)
    assert get_figure_and_grade(steps, "open_overlaps") == (0, "A")
    inputs = find_criterion(steps, "open_overlaps")["inputs"]
    assert inputs == {"lines_comparable": 2, "overlaps": 1, "overlaps_explained": 1}


def test_coverage_of_the_latest_quarter(secretariat: TestClient, database: OneTransaction) -> None:
    put_plan(
        secretariat,
        priority_locations=[make_locus(V1, target_families=100), make_locus(V2, target_families=100)],
    )
    put_coverage(secretariat, V1, {"livelihood": (10, 1)}, period="2026-Q1", target_families=100)
    put_coverage(secretariat, V1, {"livelihood": (10, 6)}, period="2026-Q2", target_families=100)
    for region in ("63.02", "63"):
        steps = read_steps(database, region=region)
        assert get_figure_and_grade(steps, "service_coverage") == (60, "B")
        assert get_figure_and_grade(steps, "coverage_reach") == (50, "C")
        assert find_criterion(steps, "service_coverage")["measured_at"] == "2026-Q2"
    assert get_figure_and_grade(read_steps(database, year=2025), "service_coverage") == ("no_coverage", None)


def test_targets_and_spending_of_the_latest_reports(
    secretariat: TestClient, database: OneTransaction
) -> None:
    put_plan(secretariat)
    outputs = [{"code": f"O{n}", "indicator": "x", "unit": "x", "target": n * 10} for n in (1, 2, 3)]
    put(secretariat, "A-1", outputs=outputs)
    put(secretariat, "A-2")
    assert get_figure_and_grade(read_steps(database), "target_achievement") == ("no_reports", None)
    assert get_figure_and_grade(read_steps(database), "absorption") == ("no_reports", None)
    report(secretariat, "A-1", 1, spent=1, outputs=[{"code": "O1", "achieved": 1}])
    achieved = [{"code": "O1", "achieved": 15}, {"code": "O2", "achieved": 10}]
    report(secretariat, "A-1", 2, spent=240_000_000, outputs=achieved)
    steps = read_steps(database)
    # min(15/10, 1) and 10/20; O3 and the line without a report do not count.
    assert get_figure_and_grade(steps, "target_achievement") == (75, "B")
    assert find_criterion(steps, "target_achievement")["inputs"]["outputs"] == 4
    assert get_figure_and_grade(steps, "absorption") == (48, "none")


def test_money_and_outputs_are_those_of_the_years_last_quarter(
    secretariat: TestClient, database: OneTransaction
) -> None:
    """A revision of the next year counts for the quality of the plan, not for the year's spending."""
    put_plan(secretariat)
    put(secretariat, "A-1")
    report(secretariat, "A-1", 2, spent=100_000_000, outputs=[{"code": "O1", "achieved": 10}])
    keep_copy(database, number=0, instrument_date=date(2026, 12, 31))
    target = {"code": "O1", "indicator": "x", "unit": "x", "target": 10}
    put(secretariat, "A-1", allocation=500_000_000, outputs=[target, {**target, "code": "O2"}])
    put(secretariat, "A-2")
    keep_copy(database, number=1, instrument_date=date(2027, 1, 2))
    steps = read_steps(database)
    assert get_figure_and_grade(steps, "target_achievement") == (25, "D")
    assert find_criterion(steps, "target_achievement")["inputs"]["outputs"] == 1
    inputs = find_criterion(steps, "absorption")["inputs"]
    assert inputs == {"lines_reported": 1, "spent": 100_000_000, "allocation": 250_000_000}
    summary = secretariat.get(f"{PLAN_AT}/summary", params={"period": "2026"}).json()
    assert summary["revision"] == 0
    assert find_criterion(steps, "absorption")["value"] == summary["absorption_percent"]
    assert list(inputs.values()) == [summary[name] for name in ("reported", "spent", "allocated")]
    assert find_criterion(steps, "complete_lines")["inputs"]["lines"] == 2


def test_change_of_the_poverty_rate(
    secretariat: TestClient, national_administrator: TestClient, database: OneTransaction
) -> None:
    def observe(period: str, **content: Any) -> None:
        path = f"/v1/regions/63.02/indicators/p0/observations/{period}"
        assert national_administrator.put(path, json=content).status_code == 201

    observe("2025-S1", value=4.56)
    observe("2026-S1", value=4.31)
    observe("2026-S2", value=4.0)
    observe("2025-S2", symbol="...")
    steps = read_steps(database)
    assert get_figure_and_grade(steps, "poverty_change") == (-0.25, "B"), (
        "symbols and other surveys are not compared"
    )
    item = find_criterion(steps, "poverty_change")
    assert (item["measured_at"], item["inputs"]) == ("2026-S1", {"p0": 4.31, "p0_before": 4.56})
    assert get_figure_and_grade(read_steps(database, year=2027), "poverty_change") == ("not_open", None)


def test_a_plan_hidden_from_the_caller_counts_as_missing(
    secretariat: TestClient, database: OneTransaction
) -> None:
    put_plan(secretariat, priority_locations=[make_locus(V1)])
    put(secretariat, "A-1")
    assert get_figure_and_grade(read_steps(database), "complete_lines") == (0, "none")
    assert get_figure_and_grade(read_steps(database, actor=READER), "complete_lines") == ("no_plan", None)
    assert "complete_lines" in compute_score(database, OVER, READER).missing
