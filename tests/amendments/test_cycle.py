"""From one revision to the next: drafting, what blocks the amendment, what readers see, the frozen result."""

import hashlib
import json
from typing import Any

import pytest
import rfc8785
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.kit.database.engine import get_table
from app.plans.amendments.models import AmendmentActionRow, AmendmentRow
from tests.amendments.world import (
    AMENDMENT,
    HEALTHY,
    LINES,
    SIGNED_AGAIN,
    Movers,
    amend,
    because,
    budget,
    expect_ok,
)
from tests.database import OneTransaction
from tests.plans.world import ANY, AT, put_plan, read_rows, refused, report, walk
from tests.workflow.moves import CODED, SIGNED

pytestmark = pytest.mark.one_engine

NEW_MONEY = [because("/allocation"), because("/components"), because("/budget_lines")]


def read_plan(reader: TestClient) -> list[Any]:
    """Read the plan at all addresses open to a reader."""
    plan = expect_ok(reader.get(AT))
    summary = expect_ok(reader.get(f"{AT}/summary?period=2026-Q4"))
    return [
        plan,
        list(walk(reader, f"{AT}/actions")),
        expect_ok(reader.get(f"{AT}/actions/A-1")),
        [entry["subject"] for entry in walk(reader, f"{AT}/history")],
        {name: value for name, value in summary.items() if name != "computed_at"},
        list(walk(reader, "/v1/plans?region=63")),
    ]


def draft_everything(client: TestClient) -> None:
    """Change, create and end a line and change the plan's own fields, without reasons."""
    amend(client, "A-1", **budget(300))
    expect_ok(client.put(f"{LINES}/B-1", json={**HEALTHY, "title": "Baru"}))
    expect_ok(client.delete(f"{LINES}/A-3", headers=ANY))
    expect_ok(
        client.patch(
            AMENDMENT,
            json={"title": "RAT perubahan", "priority_locations": [{"region_code": "63.02.01.2001"}]},
            headers=ANY,
        )
    )


def explain_everything(client: TestClient) -> None:
    amend(client, "A-1", reasons=NEW_MONEY)
    amend(client, "B-1", reasons=[because(category="policy")])
    expect_ok(
        client.delete(
            f"{LINES}/A-3",
            params={"category": "disaster", "reason": "Posyandu terendam banjir"},
            headers=ANY,
        )
    )
    expect_ok(
        client.patch(
            AMENDMENT, json={"reasons": [because("/priority_locations", "revised_data")]}, headers=ANY
        )
    )


def test_from_revision_0_to_revision_1(
    database: OneTransaction, amended: TestClient, movers: Movers, provincial_reader: TestClient
) -> None:
    client, before = amended, read_plan(provincial_reader)
    zero = provincial_reader.get(f"{AT}/revisions/0")
    assert refused(movers.move("submit")) == [("/actions", "empty_amendment")]

    draft_everything(client)
    lacking = {
        "A-1": ["/allocation", "/components/C1/amount", "/components/C2", "/budget_lines/APBD/amount"],
        "A-3": ["/ends_after"],
        "B-1": [""],
        None: ["/priority_locations/63.02.01.2001"],
    }
    amendment = expect_ok(client.get(AMENDMENT))
    assert {entry["action"]: entry["fields"] for entry in amendment["lacking"]} == lacking
    changes = ("created", "changed", "ended", "removed", "unchanged")
    assert [amendment[name] for name in changes] == [1, 1, 1, 0, 1]
    assert (amendment["state"], amendment["revision"], amendment["purpose"]) == ("draft", 0, "APBD-P")
    blocked = refused(movers.move("submit"))
    assert {pointer for pointer, code in blocked if code == "missing_reason"} == {
        *(f"/actions/{code}{field}" for code, fields in lacking.items() if code for field in fields),
        "/priority_locations/63.02.01.2001",
    }
    explain_everything(client)
    assert expect_ok(client.get(AMENDMENT))["lacking"] == []

    expect_ok(movers.move("submit"))
    late = client.patch(f"{LINES}/A-1", json={"note": "x"}, headers=ANY)
    assert (late.status_code, late.json()["code"]) == (409, "amendment_not_editable")
    assert expect_ok(client.get(AMENDMENT))["allowed"] == []
    expect_ok(movers.move("return"))
    amend(client, "A-1", **budget(400))  # the existing reasons cover this change too
    expect_ok(movers.move("submit"))
    expect_ok(movers.move("endorse"))
    assert read_plan(provincial_reader) == before
    expect_ok(movers.move("adopt", body=SIGNED_AGAIN))

    assert read_rows(database, sa.select(get_table(AmendmentRow))) == []
    assert read_rows(database, sa.select(get_table(AmendmentActionRow))) == []
    assert client.get(AMENDMENT).status_code == 404
    plan = expect_ok(provincial_reader.get(AT))
    assert (plan["revision"], plan["state"], plan["title"]) == (1, "adopted", "RAT perubahan")
    lines = {line["code"]: line for line in walk(provincial_reader, f"{AT}/actions")}
    assert {code: line["ends_after"] for code, line in lines.items()} == {
        "A-1": None,
        "A-2": None,
        "A-3": "2025-Q4",
        "B-1": None,
    }
    assert (lines["A-1"]["allocation"], lines["A-1"]["version"]) == (400, 2)
    assert lines["A-2"]["version"] == 1
    assert provincial_reader.get(f"{AT}/revisions/0").content == zero.content
    check_frozen(provincial_reader, lines)
    check_history(provincial_reader)


def check_frozen(reader: TestClient, lines: dict[str, Any]) -> None:
    """Check the bytes of revision 1, their hash and their reasons."""
    frozen = reader.get(f"{AT}/revisions/1")
    content = json.loads(frozen.content)
    assert frozen.content == rfc8785.dumps(content)
    assert frozen.headers["ETag"] == f'"{hashlib.sha256(frozen.content).hexdigest()}"'
    revisions = expect_ok(reader.get(f"{AT}/revisions?sort=-revision"))["items"]
    assert [revision["revision"] for revision in revisions] == [1, 0]
    assert revisions[0]["sha256"] == hashlib.sha256(frozen.content).hexdigest()
    assert content["purpose"] == "APBD-P"
    assert [(r["action"], r["field"], r["category"]) for r in content["reasons"]] == [
        (None, "/priority_locations", "revised_data"),
        ("A-1", "/allocation", "revised_budget"),
        ("A-1", "/components", "revised_budget"),
        ("A-1", "/budget_lines", "revised_budget"),
        ("A-3", "", "disaster"),
        ("B-1", "", "policy"),
    ]
    for line in content["actions"]:
        current = lines[line["code"]]
        assert line == {name: current[name] for name in line}


def check_history(reader: TestClient) -> None:
    """Check that the plan's history has the changed lines with their reasons, without the drafting."""
    entries = [
        (entry["kind"], entry["subject"].rpartition("/")[2], entry["reason"])
        for entry in walk(reader, f"{AT}/history")
    ]
    adopted = entries[[kind for kind, _, _ in entries].index("plan.adopted") + 1 :]
    assert adopted == [
        ("plan.changed", "63.02-2026", "revised_data: Sesuai APBD-P, /priority_locations"),
        (
            "action.changed",
            "A-1",
            "; ".join(f"{entry['category']}: {entry['text']}" for entry in NEW_MONEY),
        ),
        ("action.changed", "A-3", "disaster: Posyandu terendam banjir"),
        ("action.created", "B-1", "policy: Sesuai APBD-P, seluruh baris"),
        ("plan.adopted", "63.02-2026", None),
    ]
    assert reader.get(f"{AMENDMENT}/history").status_code == 404
    assert not [entry for entry in walk(reader, "/v1/changes") if "amendment" in entry["subject"]]


def test_differences_agree_with_an_independent_comparison(
    amended: TestClient, movers: Movers, provincial_reader: TestClient
) -> None:
    draft_everything(amended)
    explain_everything(amended)
    drafted = expect_ok(amended.get(f"{AMENDMENT}/differences"))
    assert provincial_reader.get(f"{AMENDMENT}/differences").status_code == 404
    for verb in ("submit", "endorse"):
        expect_ok(movers.move(verb))
    expect_ok(movers.move("adopt", body=SIGNED_AGAIN))
    reply = provincial_reader.get(f"{AT}/revisions/1/differences")
    differences = expect_ok(reply)
    zero, first = (expect_ok(provincial_reader.get(f"{AT}/revisions/{n}")) for n in (0, 1))

    old, new = ({line["code"]: line for line in doc["actions"]} for doc in (zero, first))
    touched = {code for code in {*old, *new} if drop_version(old.get(code)) != drop_version(new.get(code))}
    assert {line["code"]: line["change"] for line in differences["actions"]} == {
        "A-1": "changed",
        "A-3": "ended",
        "B-1": "created",
    }
    assert touched == {"A-1", "A-3", "B-1"}
    (line,) = [entry for entry in differences["actions"] if entry["code"] == "A-1"]
    assert {change["field"]: (change["before"], change["after"]) for change in line["changes"]} == {
        "/allocation": (250_000_000, 300),
        "/components/C1/description": ("Paket", ""),
        "/components/C1/amount": (240_000_000, 300),
        "/components/C2": (old["A-1"]["components"][1], None),
        "/budget_lines/APBD/amount": (250_000_000, 300),
        "/budget_lines/APBD/stage": ("apbd", "apbd_p"),
    }
    assert [reason["revision"] for reason in line["reasons"]] == [1, 1, 1]
    assert [change["field"] for change in differences["changes"]] == [
        "/title",
        "/priority_locations/63.02.01.2001",
    ]
    for group, field in (("strategies", "strategy"), ("agencies", "lead_agency")):
        for row in differences["sums"][group]:
            name = row[{"strategies": "strategy", "agencies": "agency"}[group]]
            for side, lines in (("before", old), ("after", new)):
                assert row[side] == sum(line["allocation"] for line in lines.values() if line[field] == name)
    total = differences["sums"]["allocation"]
    assert total["difference"] == total["after"] - total["before"] == 300
    # The draft had the same differences; only the edition after them differs.
    assert set(drafted["after"].values()) == {None}
    assert drafted["before"]["instrument_date"] == SIGNED["date"]
    assert [entry["changes"] for entry in drafted["actions"]] == [
        entry["changes"] for entry in differences["actions"]
    ]
    check_cached(provincial_reader, reply)


def drop_version(line: Any) -> Any:
    return line and {name: value for name, value in line.items() if name != "version"}


def check_cached(reader: TestClient, reply: Any) -> None:
    path = f"{AT}/revisions/1/differences"
    assert "immutable" in reply.headers["Cache-Control"]
    assert reader.get(path, headers={"If-None-Match": reply.headers["ETag"]}).status_code == 304
    back = expect_ok(reader.get(f"{AT}/revisions/0/differences?from=1"))
    assert (back["before"]["revision"], back["after"]["revision"]) == (1, 0)
    assert {line["change"] for line in back["actions"]} == {"changed", "removed"}
    assert back["actions"][0]["reasons"] == expect_ok(reply)["actions"][0]["reasons"]
    first = expect_ok(reader.get(f"{AT}/revisions/0/differences"))
    assert first["before"] is None
    assert [line["change"] for line in first["actions"]] == ["created"] * 3
    wrong = reader.get(f"{path}?from=7")
    assert wrong.status_code == 400
    assert (wrong.json()["errors"][0]["parameter"], wrong.json()["errors"][0]["allowed"]) == ("from", [0, 1])
    for number in ("7", "01", "-1", "x"):
        assert reader.get(f"{AT}/revisions/{number}/differences").status_code == 404


def test_figures_follow_an_amended_target(amended: TestClient, movers: Movers) -> None:
    report(amended, "A-1", 1, spent=100, outputs=[{"code": "O1", "achieved": 10}])
    before = expect_ok(amended.get(f"{AT}/actions/A-1"))["physical_percent"]
    output = {**CODED["outputs"][0], "target": 20, "quarterly_targets": [5, 10, 15, 20]}
    amend(
        amended, "A-1", outputs=[output], milestones=[], reasons=[because("/outputs"), because("/milestones")]
    )
    assert expect_ok(amended.get(f"{AT}/actions/A-1"))["physical_percent"] == before
    for verb in ("submit", "endorse", "adopt"):
        expect_ok(movers.move(verb))
    after = expect_ok(amended.get(f"{AT}/actions/A-1"))
    assert (after["physical_percent"], after["spent"]) == (50, 100)


def test_adopting_many_lines_costs_as_many_statements_as_one(
    database: OneTransaction, amended: TestClient, movers: Movers
) -> None:
    def adopt(codes: list[str]) -> int:
        items = [{**HEALTHY, "code": code, "title": code, "reasons": [because()]} for code in codes]
        expect_ok(amended.put(LINES, json={"items": items}, headers=ANY))
        for verb in ("submit", "endorse"):
            expect_ok(movers.move(verb))
        del database.statements[:]
        expect_ok(movers.move("adopt"))
        return len(database.statements)

    for_one = adopt(["C-1"])
    expect_ok(movers.move("amend"))
    assert adopt([f"D-{n}" for n in range(30)]) == for_one


def test_another_plan_has_no_amendment(amended: TestClient) -> None:
    put_plan(amended, "63.02-2027")
    assert amended.get("/v1/plans/63.02-2027/amendment").status_code == 404
