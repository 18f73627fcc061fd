"""The findings of a plan: those of its lines, its reports and the plan itself."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.kit.database.engine import get_table
from app.plans.actions.models import ActionRow, LocationRow
from app.plans.findings.kinds import list_kinds
from app.reference.nomenclature.models import SubactivityRow
from tests.database import OneTransaction
from tests.findings.world import (
    CLEAN,
    CODE,
    OTHER,
    VILLAGE,
    get_findings,
    list_codes,
    make_locations,
    make_recipients,
)
from tests.plans.world import ANY, AT, HEALTH, PLAN, SOCIAL, WORKS, put, put_many, report

pytestmark = pytest.mark.one_engine

LOCUS = {"priority_locations": [{"region_code": VILLAGE, "target_families": 30, "source_period": "2024"}]}


def change_plan(client: TestClient, **changes: Any) -> None:
    assert client.patch(AT, json=changes, headers=ANY).status_code == 200


def test_a_plan_without_lines_has_no_findings(secretariat: TestClient) -> None:
    body = get_findings(secretariat)
    assert (body["lines"], body["errors"], body["warnings"], body["counts"], body["items"]) == (
        0,
        0,
        0,
        [],
        [],
    )


def test_findings_are_sorted_by_code_and_line(
    secretariat: TestClient, connect: Callable[..., TestClient]
) -> None:
    change_plan(secretariat, **LOCUS)
    put(secretariat, "A-2", base=OTHER, subactivity_code=None)
    put(secretariat, "A-1", base=CLEAN)
    put(secretariat, "A-3", base=CLEAN, components=[{"code": "C", "component_class": "supporting"}])
    report(secretariat, "A-1", 1, spent=300_000_000)
    report(secretariat, "A-1", 2, spent=200_000_000, outputs=[{"code": "O1", "achieved": 1}])
    assert list_codes(secretariat) == [
        ("E02", "A-2"),
        ("E06", "A-1"),
        ("E06", "A-1"),
        ("E07", "A-1"),
        ("E07", "A-1"),
        ("W02", "A-3"),
        ("W03", None),
        ("W04", None),
        ("W05", "A-1"),
        ("W05", "A-2"),
        ("W05", "A-3"),
        ("W07", "A-1"),
        ("W07", "A-2"),
        ("W09", None),
        ("W12", "A-1"),
    ]
    body = get_findings(secretariat)
    assert (body["lines"], body["errors"], body["warnings"]) == (3, 5, 10)
    fell, split = (item for item in body["items"] if item["code"] == "E06")
    assert (split["period"], split["pointer"]) == ("2026-Q2", "/spending/0/amount")
    assert (fell["period"], fell["pointer"]) == ("2026-Q2", "/spent")
    assert fell["values"]["before"] == 300_000_000
    # errors of a report block its quarter, not the plan
    refused = connect(("chair", "63.02")).post(f"{AT}/submit?dry_run=true", json={}, headers=ANY).json()
    assert [error["pointer"] for error in refused["errors"]] == ["/actions/A-2/subactivity_code"]


def test_filters_apply_to_items_but_not_to_counts(secretariat: TestClient) -> None:
    put(secretariat, "A-1", base=CLEAN)
    put(secretariat, "A-2", base=OTHER, subactivity_code=None)
    put(secretariat, "A-3", base=CLEAN, lead_agency=WORKS, **make_locations("63.02.05"))
    every = [("E02", "A-2"), ("W01", "A-3"), ("W07", "A-1")]
    assert list_codes(secretariat) == every
    assert list_codes(secretariat, severity="error") == every[:1]
    assert list_codes(secretariat, severity="warning") == every[1:]
    assert list_codes(secretariat, code=["W01", "E02"]) == every[:2]
    assert list_codes(secretariat, action="A-2") == [every[0], every[2]]
    assert list_codes(secretariat, agency=SOCIAL) == [every[2]]
    assert list_codes(secretariat, agency=HEALTH) == [every[0], every[2]]
    assert list_codes(secretariat, agency=WORKS, severity="error") == []
    assert list_codes(secretariat, action="A-9") == []
    assert get_findings(secretariat, action="A-9")["counts"] == get_findings(secretariat)["counts"]
    refused = secretariat.get(f"{AT}/findings?code=W99")
    assert refused.status_code == 400
    (error,) = refused.json()["errors"]
    assert (error["parameter"], error["value"]) == ("code", "W99")
    assert "W10" in error["allowed"]


def test_the_message_of_an_overlap_names_lines_agencies_and_coincidence(secretariat: TestClient) -> None:
    put(secretariat, "A-1", base=CLEAN)
    put(secretariat, "A-2", base=OTHER)
    indonesian, english = (get_findings(secretariat, language)["items"][0] for language in ("id", "en"))
    assert indonesian["message"] == (
        "“A-1” (Dinas Sosial) dan “A-2” (Dinas Kesehatan) memberi barang kepada keluarga yang sama "
        f"pada bulan 1–12; tempat yang sama: 1 ({VILLAGE})"
    )
    assert english["message"] == (
        "“A-1” (Dinas Sosial) and “A-2” (Dinas Kesehatan) give goods to the same families "
        f"in months 1–12; common places: 1 ({VILLAGE})"
    )
    assert indonesian["values"] == english["values"]
    assert indonesian["values"]["agencies"] == [SOCIAL, HEALTH]
    assert english["hint"].startswith("Merge them")
    assert english["type"] == "/findings/W07"


def test_a_line_has_the_same_findings_alone_in_a_batch_and_in_the_plan(secretariat: TestClient) -> None:
    change_plan(secretariat, **LOCUS)
    odd = {**CLEAN, **make_recipients(count=1, source_period="2020"), "lead_agency": HEALTH}
    lines = [{**CLEAN, "code": f"A-{n}"} for n in range(1, 6)] + [{**odd, "code": "A-6"}]
    batch = put_many(secretariat, lines)
    of_plan = [code for code, action in list_codes(secretariat, action="A-6") if action == "A-6"]
    assert of_plan == ["W06", "W09"]
    assert [finding["code"] for finding in batch["items"][5]["findings"]] == of_plan
    alone = secretariat.get(f"{AT}/actions/A-6").json()["findings"]
    assert [finding["code"] for finding in alone] == ["W06"] + ["W07"] * 5 + ["W09"]
    line_findings = [finding for finding in alone if finding["code"] != "W07"]
    plan_findings = [
        {name: value for name, value in item.items() if name not in ("action", "period")}
        for item in get_findings(secretariat, action="A-6")["items"]
        if item["action"] == "A-6"
    ]
    assert line_findings == plan_findings
    assert [finding["code"] for finding in batch["items"][0]["findings"]] == ["W05"]


def test_later_changes_of_reference_data_leave_errors(
    secretariat: TestClient, database: OneTransaction
) -> None:
    """Writing refuses such codes and places, but later changes of the data can leave them."""
    put(secretariat, "A-1", base=CLEAN)
    tag = secretariat.get(f"{AT}/findings").headers["ETag"]
    with database.writing() as session:
        session.execute(sa.update(get_table(ActionRow)).values(subactivity_code="1.06.04.1.01.0001"))
        session.execute(sa.update(get_table(LocationRow)).values(region_code="63.03"))
    assert list_codes(secretariat, severity="error") == [("E03", "A-1"), ("E04", "A-1")]
    with database.writing() as session:
        session.execute(sa.update(get_table(ActionRow)).values(subactivity_code=CODE))
        table = get_table(SubactivityRow)
        session.execute(sa.update(table).where(table.c.code == CODE).values(retired=True))
    assert list_codes(secretariat, severity="error") == [("E02", "A-1"), ("E04", "A-1")]
    assert tag


def test_the_tag_changes_with_writes_and_language(secretariat: TestClient) -> None:
    put(secretariat, "A-1", base=CLEAN)
    first = secretariat.get(f"{AT}/findings")
    same = {"If-None-Match": first.headers["ETag"]}
    assert secretariat.get(f"{AT}/findings", headers=same).status_code == 304
    # each language has its own tag, and a report changes it
    assert secretariat.get(f"{AT}/findings", headers={**same, "Accept-Language": "en"}).status_code == 200
    report(secretariat, "A-1", 1, spent=1)
    assert secretariat.get(f"{AT}/findings", headers=same).status_code == 200
    agency = f"/v1/regions/63.02/agencies/{SOCIAL}"
    same = {"If-None-Match": secretariat.get(f"{AT}/findings").headers["ETag"]}
    assert secretariat.patch(agency, json={"name": "Dinas Sosial Baru"}, headers=ANY).status_code == 200
    assert secretariat.get(f"{AT}/findings", headers=same).status_code == 200


def test_strangers_see_no_findings(secretariat: TestClient, stranger: TestClient) -> None:
    for path in ("findings", "overlaps"):
        assert stranger.get(f"{AT}/{path}").status_code == 404


def test_three_hundred_lines_cost_as_many_statements_as_three(
    secretariat: TestClient, database: OneTransaction
) -> None:
    change_plan(secretariat, **LOCUS)

    def count_statements(number: int) -> tuple[int, int]:
        places = make_locations(*(f"63.02.{n:02}" for n in range(1, 6)))
        base = {**CLEAN, **places, "lead_agency": WORKS}
        put_many(
            secretariat,
            [{**base, "code": f"A-{n:03}", "lead_agency": (WORKS, HEALTH)[n % 2]} for n in range(number)],
        )
        items = [{"action": f"A-{n:03}", "spent": number + n} for n in range(number)]
        reply = secretariat.put(f"{AT}/progress/2026-Q1", json={"items": items}, headers=ANY)
        assert reply.status_code == 200, reply.text
        counts = []
        for path in ("findings", "actions/A-000"):
            database.statements.clear()
            assert secretariat.get(f"{AT}/{path}").status_code == 200
            counts.append(len(database.statements))
        return counts[0], counts[1]

    few = count_statements(3)
    assert few == count_statements(300)
    assert few[0] <= 14


# Documentation


@pytest.mark.parametrize("kind", list_kinds(), ids=lambda kind: kind.code)
def test_a_kind_is_documented_at_its_address(anonymous: TestClient, kind: Any) -> None:
    body = anonymous.get(f"/findings/{kind.code}").json()
    assert (body["code"], body["severity"]) == (kind.code, kind.severity)
    for words in (body["title"], body["hint"], body["source"], *body["messages"]):
        assert re.search(r"\w", words["id"])
        assert re.search(r"\w", words["en"])


def test_the_list_shows_all_kinds(anonymous: TestClient) -> None:
    body = anonymous.get("/findings").json()
    assert [item["code"] for item in body["items"]] == [kind.code for kind in list_kinds()]
    assert anonymous.get("/findings/E10").status_code == 404


def test_editions_of_thresholds_are_shown(secretariat: TestClient, anonymous: TestClient) -> None:
    editions = anonymous.get("/findings").json()["editions"]
    assert [edition["edition"] for edition in editions] == ["1"]
    shares = anonymous.get("/findings/W03").json()["thresholds"]
    assert shares == {"1": {"supporting_percent": editions[0]["supporting_percent"]}}
    assert anonymous.get("/findings/E01").json()["thresholds"] == {}
    put(secretariat, "A-1", base=CLEAN)
    assert get_findings(secretariat)["edition"] == "1"


def test_an_import_returns_the_findings_of_the_plan_too(secretariat: TestClient) -> None:
    change_plan(secretariat, **LOCUS)
    put(secretariat, "A-1", base=CLEAN)
    put(secretariat, "A-2", base=OTHER)
    matrix = secretariat.get(f"{AT}/matrix.csv").content
    reply = secretariat.post(f"{AT}/imports?dry_run=true", files={"file": ("matrix.csv", matrix, "text/csv")})
    assert reply.status_code == 200, reply.text
    report = reply.json()
    assert [finding["code"] for finding in report["plan_findings"]] == ["W04", "W07", "W09"]
    assert [(f["line"], f["code"]) for f in report["findings"]] == [("A-1", "W05"), ("A-2", "W05")]
    assert all(f["type"].startswith("/findings/") and f["hint"] for f in report["findings"])
    assert report["plan"] == PLAN


def test_a_submission_returns_its_warnings(
    secretariat: TestClient, connect: Callable[..., TestClient]
) -> None:
    change_plan(secretariat, **LOCUS)
    put(secretariat, "A-1", base=CLEAN)
    put(secretariat, "A-2", base=OTHER)
    trial = connect(("chair", "63.02")).post(f"{AT}/submit?dry_run=true", json={}, headers=ANY)
    assert trial.status_code == 200, trial.text
    assert trial.json()["findings"] == get_findings(secretariat)["items"]
    assert trial.json()["warnings"] == len(trial.json()["findings"]) == 5
