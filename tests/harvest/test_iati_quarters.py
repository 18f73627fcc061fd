"""Quarters in an IATI export: targets of their revisions, real reports alone, lines that end."""

from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient
from lxml import etree

from app.access.rules import CONSOLE, make_public_actor
from app.exchange.iati import queries
from app.exchange.iati.rules import make_xml
from app.plans.core.queries import find_plan, find_published_plan
from tests.amendments.world import Movers, adopt_amendment
from tests.common import ConnectAs
from tests.database import OneTransaction
from tests.harvest.test_iati import FIRST, list_expenditures
from tests.harvest.world import FULL, SCHEMA, find_attributes, read_export
from tests.plans.world import ANY, put, report
from tests.quarters.world import Q2, Office

pytestmark = pytest.mark.both_engines


def list_targets(client: TestClient) -> list[str]:
    """Return the targets of the first output, quarter by quarter."""
    return [
        t["value"] for t in find_attributes(read_export(client)[FIRST], "result[1]/indicator/period/target")
    ]


def test_a_quarter_has_the_targets_of_its_revision(
    adopted: TestClient, movers: Movers, connect: ConnectAs
) -> None:
    office = Office(connect)
    office.move("submit", "verify", "freeze")
    outputs = [{**FULL["outputs"][0], "quarterly_targets": [1, 2, 3, 40]}]
    adopt_amendment(movers, "2026-08-01", outputs=outputs)
    assert list_targets(adopted) == ["10", "20", "3", "40"]
    corrected = {"reason": "Memakai sasaran APBD-P", "revision": 1}
    done = adopted.post(f"{Q2}/correct", json=corrected, headers=ANY)
    assert done.status_code == 200, done.text
    assert list_targets(adopted) == ["10", "20", "3", "40"], "the snapshot is in force until the next"
    office.move("submit", "verify", "freeze")
    assert list_targets(adopted) == ["10", "2", "3", "40"]


def test_the_public_reads_no_target_of_a_draft(
    database: OneTransaction, secretariat: TestClient, movers: Movers, connect: ConnectAs
) -> None:
    Office(connect).move("submit")
    drafted = [{**FULL["outputs"][0], "quarterly_targets": [1, 2, 3, 40]}]
    put(secretariat, "A-1", base=FULL, outputs=drafted)
    movers.bring("adopted")
    assert list_targets(secretariat) == ["1", "20", "3", "40"]
    public = make_public_actor(("63",))
    with database.read_session() as session:
        plan = find_published_plan(session, public, "63.02-2026")
        export = queries.read_export(session, public, plan, "ID-RATA", datetime(2026, 7, 1, tzinfo=UTC))
    assert [export.targets.get(("A-1", "O1", f"2026-Q{n}")) for n in (1, 2, 3, 4)] == [1, None, 3, 40]


def test_a_carried_report_is_no_expenditure(adopted: TestClient, connect: ConnectAs) -> None:
    report(adopted, "A-1", 1, spent=100)
    Office(connect).move("submit")  # Q2, which counts with the 100 of Q1 from now on
    report(adopted, "A-1", 1, spent=120)
    assert [amount for _, amount in list_expenditures(read_export(adopted)[FIRST])] == ["120"]


def test_a_line_is_closed_once_its_last_quarter_is_past(
    adopted: TestClient, movers: Movers, database: OneTransaction
) -> None:
    adopt_amendment(movers, "2026-03-20", "A-2", ends_after="2026-Q1")
    with database.read_session() as session:
        plan = find_plan(session, CONSOLE, "63.02-2026")
        exports = [
            queries.read_export(session, CONSOLE, plan, "ID-RATA", at)
            for at in (datetime(2026, 3, 31, 15, 59, tzinfo=UTC), datetime(2026, 3, 31, 16, tzinfo=UTC))
        ]
    planned = [("1", "2026-01-01"), ("3", "2026-12-31")]
    states = []
    for export in exports:
        root = etree.fromstring(make_xml(export))
        SCHEMA.assertValid(root)
        first, second = root
        assert find_attributes(first, "activity-status") == [{"code": "2"}]
        dates = [(d["type"], d["iso-date"]) for d in find_attributes(second, "activity-date")]
        states.append((second.find("activity-status").get("code"), dates))
    assert states == [("2", planned), ("4", [*planned, ("4", "2026-03-31")])], (
        "by the day in the region's zone"
    )
