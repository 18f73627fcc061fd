"""Reporting a quarter: validation, findings, and the latest report in the action."""

from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.kit.database.engine import get_table
from app.kit.database.journal import JournalRow
from tests.database import OneTransaction
from tests.plans.world import ANY, AT, put, read_rows, refused, report

A1 = f"{AT}/actions/A-1"
Q1, Q2, Q3 = (f"{A1}/progress/2026-Q{n}" for n in (1, 2, 3))
TWO = [{"funding_source": "APBD", "amount": 200_000_000}, {"funding_source": "DAU", "amount": 50_000_000}]
WHOLE: dict[str, Any] = {
    "spent": 9,
    "spending": [{"funding_source": "DAU", "amount": 4}, {"funding_source": "APBD", "amount": 5}],
    "components": [{"component_class": "supporting", "amount": 9}],
    "outputs": [{"code": "O1", "achieved": 12.3456}],
    "recipients": [{"code": "R1", "reached": 7}],
    "milestones": [
        {"code": "M2", "state": "pending", "done_on": None},
        {"code": "M1", "state": "done", "done_on": "2026-03-28"},
    ],
    "physical_reported_percent": 33.33,
    "obstacle": "Banjir \\ “x” %_ 🌧",
    "follow_up": "Dijadwalkan",
    "evidence": ["https://example.org/a?b=1"],
}
EMPTY = {
    "spent": 0,
    "spending": [],
    "components": [],
    "outputs": [],
    "recipients": [],
    "milestones": [],
    "physical_reported_percent": None,
    "obstacle": "",
    "follow_up": "",
    "evidence": [],
}


@pytest.fixture
def secretariat(secretariat: TestClient) -> TestClient:
    put(secretariat, "A-1", budget_lines=TWO)
    put(secretariat, "A-2")
    return secretariat


def pick_content(progress: Any) -> dict[str, Any]:
    return {name: progress[name] for name in EMPTY}


@pytest.mark.parametrize(("body", "expected"), [(WHOLE, WHOLE), ({}, EMPTY)], ids=["whole", "empty"])
def test_a_put_report_is_read_back_unchanged(
    secretariat: TestClient, body: dict[str, Any], expected: dict[str, Any]
) -> None:
    reply = secretariat.put(Q2, json=body)
    assert (reply.status_code, reply.headers["Location"]) == (201, Q2)
    progress = reply.json()
    assert pick_content(progress) == expected
    assert secretariat.get(Q2).json() == progress
    assert (progress["plan"], progress["action"], progress["period"], progress["version"]) == (
        "63.02-2026",
        "A-1",
        "2026-Q2",
        1,
    )
    repeated = secretariat.put(Q2, json=pick_content(progress), headers={"If-Match": reply.headers["ETag"]})
    assert (repeated.status_code, repeated.json()["version"], repeated.json()["reported_at"]) == (
        200,
        1,
        progress["reported_at"],
    )


def test_the_journal_has_an_entry_for_each_change(secretariat: TestClient, database: OneTransaction) -> None:
    report(secretariat, "A-1", 2, **WHOLE)
    report(secretariat, "A-1", 2, **WHOLE)
    report(secretariat, "A-1", 2, **{**WHOLE, "obstacle": "lain"})
    secretariat.delete(Q2, headers=ANY)
    table = get_table(JournalRow)
    query = (
        sa.select(table.c.kind, table.c.version).where(table.c.subject == Q2[4:]).order_by(table.c.sequence)
    )
    assert [tuple(row) for row in read_rows(database, query)] == [
        ("progress.created", 1),
        ("progress.changed", 2),
        ("progress.deleted", 3),
    ]


def test_the_total_follows_from_its_parts_and_must_equal_them(secretariat: TestClient) -> None:
    spending = {"spending": [{"funding_source": "APBD", "amount": 3}, {"funding_source": "DAU", "amount": 4}]}
    components = {"components": [{"component_class": "direct", "amount": 7}]}
    for body in (spending, components, {**spending, **components}, {**spending, "spent": 7}):
        assert report(secretariat, "A-1", 1, **body)["spent"] == 7
    assert report(secretariat, "A-1", 1)["spent"] == 0
    assert refused(secretariat.put(Q1, json={**spending, "spent": 8}, headers=ANY)) == [
        ("/spending", "sums_differ")
    ]
    assert refused(secretariat.put(Q1, json={**components, "spent": 6}, headers=ANY)) == [
        ("/components", "sums_differ")
    ]
    components["components"][0]["amount"] = 8
    reply = secretariat.put(Q1, json={**spending, **components}, headers={"Accept-Language": "en", **ANY})
    assert refused(reply) == [("/components", "sums_differ")]
    assert reply.json()["errors"][0]["message"] == (
        "The sum of spending by component class is 8, but the total spent is 7. Both must be equal."
    )


def test_a_total_is_attributed_to_a_single_source(secretariat: TestClient) -> None:
    assert report(secretariat, "A-1", 1, spent=5)["spending"] == []
    assert report(secretariat, "A-2", 1, spent=5)["spending"] == [{"funding_source": "APBD", "amount": 5}]
    assert report(secretariat, "A-2", 1, spent=5)["version"] == 1
    assert report(secretariat, "A-2", 1, spent=0)["spending"] == []


def test_a_report_refers_only_to_parts_of_its_action(secretariat: TestClient) -> None:
    reply = secretariat.put(
        Q1,
        json={
            "spending": [{"funding_source": "APBN", "amount": 1}],
            "outputs": [{"code": "O1", "achieved": 1}, {"code": "O2", "achieved": 1}],
            "recipients": [{"code": "R2", "reached": 1}],
            "milestones": [{"code": "M3", "state": "done"}],
        },
    )
    assert refused(reply) == [
        ("/spending/0/funding_source", "unknown_reference"),
        ("/outputs/1/code", "unknown_reference"),
        ("/recipients/0/code", "unknown_reference"),
        ("/milestones/0/code", "unknown_reference"),
    ]
    source, output, _, milestone = reply.json()["errors"]
    assert (source["value"], sorted(source["allowed"]), source["nearest"][0]) == (
        "APBN",
        ["APBD", "DAU"],
        "APBD",
    )
    assert (output["value"], output["allowed"], output["nearest"]) == ("O2", ["O1"], ["O1"])
    assert sorted(milestone["allowed"]) == ["M1", "M2"]
    twice = secretariat.put(Q1, json={"outputs": [{"code": "O1", "achieved": 1}] * 2})
    assert refused(twice) == [("/outputs/1", "duplicate_key")]


@pytest.mark.parametrize("period", ["2026-Q5", "2025-Q1", "2027-Q1", "2026", "2026-S1", "Q1", "2026-q1"])
def test_periods_outside_the_plans_year_are_404(secretariat: TestClient, period: str) -> None:
    for reply in (
        secretariat.get(f"{A1}/progress/{period}"),
        secretariat.put(f"{A1}/progress/{period}", json={}),
        secretariat.patch(f"{A1}/progress/{period}", json={}, headers=ANY),
        secretariat.delete(f"{A1}/progress/{period}", headers=ANY),
        secretariat.get(f"{AT}/progress/{period}"),
        secretariat.put(f"{AT}/progress/{period}", json={"items": [{"action": "A-1"}]}),
    ):
        assert (reply.status_code, reply.json()["code"]) == (404, "unknown_period")
    assert secretariat.get(f"{AT}/actions/A-3/progress/2026-Q1").status_code == 404
    assert secretariat.put(f"{AT}/actions/A-3/progress/2026-Q1", json={}).status_code == 404


def test_preconditions_compare_the_version_of_the_report(secretariat: TestClient) -> None:
    first = secretariat.put(Q1, json={"spent": 1})
    assert secretariat.put(Q1, json={"spent": 2}).status_code == 428
    assert secretariat.put(Q1, json={"spent": 2}, headers={"If-None-Match": "*"}).status_code == 412
    assert (
        secretariat.put(Q1, json={"spent": 2}, headers={"If-Match": first.headers["ETag"]}).status_code == 200
    )
    assert (
        secretariat.put(Q1, json={"spent": 3}, headers={"If-Match": first.headers["ETag"]}).status_code == 412
    )
    assert secretariat.patch(Q1, json={"spent": 3}, headers={"If-Match": '"1"'}).status_code == 412
    assert secretariat.delete(Q1, headers={"If-Match": '"1"'}).status_code == 412
    assert secretariat.delete(Q1).status_code == 428
    assert secretariat.delete(Q1, headers={"If-Match": '"2"'}).status_code == 204
    assert (
        secretariat.delete(Q1, headers=ANY).status_code
        == secretariat.patch(Q1, json={}, headers=ANY).status_code
        == 404
    )


def test_a_patch_keeps_other_fields_and_recomputes_the_total(secretariat: TestClient) -> None:
    report(secretariat, "A-1", 2, **WHOLE)
    progress = secretariat.patch(Q2, json={"obstacle": "lain", "evidence": None}, headers=ANY).json()
    assert pick_content(progress) == {**WHOLE, "obstacle": "lain", "evidence": []}
    split = [{"funding_source": "APBD", "amount": 10}]
    assert refused(secretariat.patch(Q2, json={"spending": split}, headers=ANY)) == [
        ("/components", "sums_differ")
    ]
    progress = secretariat.patch(Q2, json={"spending": split, "components": None}, headers=ANY).json()
    assert (progress["spent"], progress["spending"], progress["components"]) == (10, split, [])
    assert refused(secretariat.patch(Q2, json={"spent": 11}, headers=ANY)) == [("/spending", "sums_differ")]
    # The share of a single source follows the total.
    report(secretariat, "A-2", 2, spent=5)
    path = f"{AT}/actions/A-2/progress/2026-Q2"
    progress = secretariat.patch(path, json={"spent": 6}, headers=ANY).json()
    assert (progress["spent"], progress["spending"]) == (6, [{"funding_source": "APBD", "amount": 6}])
    progress = secretariat.patch(
        path, json={"components": [{"component_class": "direct", "amount": 8}]}, headers=ANY
    ).json()
    assert (progress["spent"], progress["spending"]) == (8, [{"funding_source": "APBD", "amount": 8}])


def list_findings(progress: Any) -> list[tuple[str, str]]:
    return [(finding["code"], finding["pointer"]) for finding in progress["findings"]]


def test_falling_or_exceeding_figures_are_stored_with_findings(secretariat: TestClient) -> None:
    first = report(secretariat, "A-1", 1, **{**WHOLE, "recipients": [{"code": "R1", "reached": 41}]})
    assert list_findings(first) == [("E08", "/recipients/0/reached")]
    lower = {
        "spending": [{"funding_source": "APBD", "amount": 5}, {"funding_source": "DAU", "amount": 3}],
        "components": [{"component_class": "supporting", "amount": 8}],
        "outputs": [{"code": "O1", "achieved": 12.3455}],
        "recipients": [{"code": "R1", "reached": 40}],
    }
    assert list_findings(report(secretariat, "A-1", 3, **lower)) == [
        ("E06", "/spent"),
        ("E06", "/spending/1/amount"),
        ("E06", "/components/0/amount"),
        ("E06", "/outputs/0/achieved"),
        ("E06", "/recipients/0/reached"),
    ]
    report(secretariat, "A-1", 2, **lower)
    assert list_findings(secretariat.get(Q3).json()) == []  # the previous quarter changed
    assert list_findings(secretariat.get(Q2).json())[0] == ("E06", "/spent")
    done = {"physical_reported_percent": 100}
    over = report(secretariat, "A-1", 4, spent=250_000_001, **done)
    assert list_findings(over) == [("E07", "/spent")]
    assert list_findings(report(secretariat, "A-1", 4, spent=250_000_000, **done)) == []


def test_messages_of_findings_are_in_both_languages(secretariat: TestClient) -> None:
    report(secretariat, "A-1", 1, spent=300_000_000)
    report(secretariat, "A-1", 2, spent=299_000_000, physical_reported_percent=100)
    messages = {
        language: [
            f["message"]
            for f in secretariat.get(Q2, headers={"Accept-Language": language}).json()["findings"]
        ]
        for language in ("id", "en")
    }
    assert messages == {
        "id": [
            "Realisasi Rp 299.000.000 lebih kecil daripada Rp 300.000.000 pada 2026-Q1",
            "Realisasi Rp 299.000.000 melebihi alokasi Rp 250.000.000",
        ],
        "en": [
            "Spending of Rp 299,000,000 is less than Rp 300,000,000 of 2026-Q1",
            "Spending of Rp 299,000,000 exceeds the allocation of Rp 250,000,000",
        ],
    }


def test_the_action_shows_its_latest_report(secretariat: TestClient) -> None:
    def read_latest() -> tuple[Any, ...]:
        action = secretariat.get(A1).json()
        (row,) = [line for line in secretariat.get(f"{AT}/actions").json()["items"] if line["code"] == "A-1"]
        assert {name: action[name] for name in row} == row
        return (
            action["progress_period"],
            action["spent"],
            action["absorption_percent"],
            action["physical_percent"],
        )

    assert read_latest() == (None, 0, 0, None)
    report(secretariat, "A-1", 3, spent=50_000_000, physical_reported_percent=40)
    assert read_latest() == ("2026-Q3", 50_000_000, 20, 40)
    report(secretariat, "A-1", 1, spent=1, physical_reported_percent=1)  # a late report of an earlier quarter
    assert read_latest() == ("2026-Q3", 50_000_000, 20, 40)
    report(secretariat, "A-1", 3, spent=62_512_345)
    assert read_latest() == ("2026-Q3", 62_512_345, 25.0, 0)
    secretariat.patch(A1, json={"allocation": 300_000_000}, headers=ANY)
    assert read_latest()[2] == 20.84
    secretariat.delete(Q3, headers=ANY)
    assert read_latest() == ("2026-Q1", 1, 0, 1)
    secretariat.delete(Q1, headers=ANY)
    assert read_latest() == (None, 0, 0, None)
    secretariat.patch(A1, json={"allocation": 0}, headers=ANY)
    assert read_latest()[2] is None


def test_lists_of_reports_by_action_and_by_quarter(secretariat: TestClient) -> None:
    for quarter in (1, 2, 4):
        report(secretariat, "A-1", quarter, spent=quarter)
    report(secretariat, "A-2", 2, spent=1)
    periods = [item["period"] for item in secretariat.get(f"{A1}/progress?sort=-period").json()["items"]]
    assert periods == ["2026-Q4", "2026-Q2", "2026-Q1"]
    for sort, expected in (
        ("action", ["A-1", "A-2"]),
        ("-action", ["A-2", "A-1"]),
        ("spent", ["A-2", "A-1"]),
        ("-spent", ["A-1", "A-2"]),
        ("reported_at", ["A-1", "A-2"]),
        ("-reported_at", ["A-2", "A-1"]),
    ):
        first = secretariat.get(f"{AT}/progress/2026-Q2?limit=1&sort={sort}")
        second = secretariat.get(first.links["next"]["url"]).json()
        assert [first.json()["items"][0]["action"], second["items"][0]["action"]] == expected
        assert second["next"] is None
