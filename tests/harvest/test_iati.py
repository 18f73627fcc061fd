"""A plan in force as IATI 2.03: valid, complete, and unchanged until the plan changes."""

from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.kit.database.engine import get_table
from app.tracking.progress.models import ProgressRow
from tests.amendments.world import Movers, amend, because, budget
from tests.common import ConnectAs
from tests.database import OneTransaction
from tests.harvest.world import EXPORT, VILLAGE, find_attributes, find_narrative, read_export
from tests.plans.world import HEALTH, PARTNER, SOCIAL, put_plan, report
from tests.quarters.world import Office

pytestmark = pytest.mark.one_engine

FIRST, SECOND = "ID-RATA-63.02-2026-A-1", "ID-RATA-63.02-2026-A-2"


def test_a_full_line(adopted: TestClient, connect: ConnectAs) -> None:
    point = {"longitude": 116.2, "latitude": -3.3, "source": "Bappeda"}
    placed = connect(("administrator", "63")).put(f"/v1/regions/{VILLAGE}/coordinates", json=point)
    assert placed.status_code == 201, placed.text
    activities = read_export(adopted)
    assert list(activities) == [FIRST, SECOND]
    first = activities[FIRST]
    assert first.get("default-currency") == "IDR"
    assert find_attributes(first, "reporting-org") == [{"ref": "ID-RATA-63.02", "type": "11"}]
    assert find_narrative(first, "reporting-org") == "TKPK Kabupaten Kotabaru"
    assert find_narrative(first, "title") == "Permakanan < lansia & difabel"
    assert find_narrative(first, "description[@type='3']") == "40 orang (desil 1–2)"
    assert [(o["role"], o["ref"]) for o in find_attributes(first, "participating-org")] == [
        ("1", "ID-RATA-APBD"),
        ("1", "ID-RATA-CSR"),
        ("2", f"ID-RATA-63.02-{SOCIAL}"),
        ("4", f"ID-RATA-63.02-{SOCIAL}"),
        ("4", f"ID-RATA-63.02-{PARTNER}"),
    ]
    assert find_attributes(first, "activity-status") == [{"code": "2"}]
    assert find_attributes(first, "activity-date") == [
        {"type": "1", "iso-date": "2026-02-01"},
        {"type": "3", "iso-date": "2026-11-30"},
    ]
    assert (find_attributes(first, "location"), first.findtext("location/point/pos")) == (
        [{"ref": VILLAGE}],
        "-3.3 116.2",
    )
    assert find_attributes(first, "sector") == [
        {"vocabulary": "99", "code": "1.06.04.2.01.0001"},
        {"vocabulary": "98", "code": "reduce_spending_burden"},
    ]
    assert find_attributes(first, "tag") == [{"vocabulary": "99", "code": "lansia"}]
    money = [(b.get("type"), b.get("status"), b.findtext("value")) for b in first.iterfind("budget")]
    assert money == [("1", "2", "200000000"), ("1", "1", "50000000")]
    assert find_attributes(first, "result/indicator/baseline") == [
        {"year": "2026", "iso-date": "2026-01-01", "value": "5"}
    ]
    assert find_attributes(first, "result/indicator/period/target") == [
        {"value": value} for value in ("10", "20", "30", "40", "92.5")
    ]
    assert [i["measure"] for i in find_attributes(first, "result/indicator")] == ["1", "2"]


def test_a_minimal_line(adopted: TestClient) -> None:
    other = read_export(adopted)[SECOND]
    assert [d["iso-date"] for d in find_attributes(other, "activity-date")] == ["2026-01-01", "2026-12-31"]
    assert f"ID-RATA-63.02-{HEALTH}" in [o["ref"] for o in find_attributes(other, "participating-org")]
    for missing in ("transaction", "result", "description[@type='3']", "location/point"):
        assert other.find(missing) is None, missing


def list_expenditures(activity: Any) -> list[tuple[str, str]]:
    """Return (day, amount) of each expenditure."""
    transactions = activity.iterfind("transaction[transaction-type]")
    return [
        (transaction.find("transaction-date").get("iso-date"), transaction.findtext("value"))
        for transaction in transactions
    ]


def date_reports(database: OneTransaction, instant: str) -> None:
    """Make all reports those of one instant."""
    with database.writing() as session:
        session.execute(sa.update(get_table(ProgressRow)).values(reported_at=datetime.fromisoformat(instant)))


def test_an_expenditure_is_the_increase_of_a_quarter(adopted: TestClient, database: OneTransaction) -> None:
    for quarter, total, achieved in ((1, 100, 4), (2, 100, 9), (3, 90, 9), (4, 250, 41)):
        report(adopted, "A-1", quarter, spent=total, outputs=[{"code": "O1", "achieved": achieved}])
    date_reports(database, "2027-01-05T00:00Z")
    first = read_export(adopted)[FIRST]
    assert list_expenditures(first) == [("2026-03-31", "100"), ("2026-09-30", "-10"), ("2026-12-31", "160")]
    assert [a["value"] for a in find_attributes(first, "result[1]/indicator/period/actual")] == [
        "4",
        "9",
        "9",
        "41",
    ]
    assert find_attributes(first, "result[2]/indicator/period/actual") == []


@pytest.mark.both_engines
@pytest.mark.parametrize(
    ("instant", "day"),
    [
        ("2026-05-20T01:00Z", "2026-05-20"),
        ("2026-06-29T15:59Z", "2026-06-29"),
        ("2026-06-29T16:00Z", "2026-06-30"),  # midnight in Kotabaru
        ("2026-06-30T16:00Z", "2026-06-30"),
        ("2026-07-09T01:00Z", "2026-06-30"),
    ],
)
def test_an_expenditure_is_never_dated_after_its_report(
    adopted: TestClient, connect: ConnectAs, database: OneTransaction, instant: str, day: str
) -> None:
    office = Office(connect)
    office.report("A-1", "A-2", spent=100)
    date_reports(database, instant)

    def list_days() -> set[str]:
        transaction = read_export(adopted)[FIRST].find("transaction")
        return {
            transaction.find("transaction-date").get("iso-date"),
            transaction.find("value").get("value-date"),
        }

    assert list_days() == {day}
    office.move("submit", "verify", "freeze", "correct")
    date_reports(database, "2026-04-01T01:00Z")
    assert list_days() == {day}, "a frozen quarter keeps the instant of its report"


def test_a_frozen_quarter_gives_its_frozen_figures(
    adopted: TestClient, connect: ConnectAs, database: OneTransaction
) -> None:
    office = Office(connect)
    office.report("A-1", "A-2", spent=100)
    date_reports(database, "2026-07-09T01:00Z")
    office.move("submit", "verify", "freeze", "correct")
    office.report("A-1", spent=70)
    date_reports(database, "2026-07-20T01:00Z")
    assert list_expenditures(read_export(adopted)[FIRST]) == [("2026-06-30", "100")]
    office.move("submit", "verify", "freeze")
    assert list_expenditures(read_export(adopted)[FIRST]) == [("2026-06-30", "70")]


def test_the_export_has_the_plan_in_force(
    provincial_reader: TestClient, adopted: TestClient, movers: Movers
) -> None:
    assert movers.move("amend").status_code == 200
    amend(adopted, "A-2", [because()], title="Posyandu baru", **budget(99))
    before = read_export(provincial_reader)[SECOND]
    assert find_narrative(before, "title") == "Posyandu"
    for verb in ("submit", "endorse", "adopt"):
        assert movers.move(verb).status_code == 200
    after = read_export(provincial_reader)[SECOND]
    assert find_narrative(after, "title") == "Posyandu baru"
    assert find_attributes(after, "budget") == [{"type": "2", "status": "2"}]


def test_draft_is_not_exported(secretariat: TestClient, stranger: TestClient, connect: ConnectAs) -> None:
    refused = secretariat.get(EXPORT)
    assert (refused.status_code, refused.json()["code"]) == (404, "not_adopted")
    for other in (stranger, connect(("reader", "63"))):
        assert (other.get(EXPORT).status_code, other.get(EXPORT).json()["code"]) == (404, "not_found")


def test_the_export_is_unchanged_until_the_plan_changes(
    adopted: TestClient, database: OneTransaction
) -> None:
    put_plan(adopted, "63.02-2027")
    first = adopted.get(EXPORT)
    sent = {"If-None-Match": first.headers["ETag"]}
    assert adopted.get(EXPORT, headers=sent).status_code == 304
    database.statements.clear()
    assert adopted.get(EXPORT).content == first.content
    few = len(database.statements)
    report(adopted, "A-1", 1, spent=5)
    report(adopted, "A-2", 1, spent=5)
    assert adopted.get(EXPORT, headers=sent).status_code == 200
    database.statements.clear()
    adopted.get(EXPORT)
    assert len(database.statements) == few
