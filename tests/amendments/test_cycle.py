"""From one revision to the next: what is drafted, what blocks it, what readers see meanwhile, what is frozen."""

import hashlib
import json
from typing import Any

import pytest
import rfc8785
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.kit.database.engine import get_table
from app.plans.amendments.models import AmendmentActionRow, AmendmentRow
from tests.amendments.world import AMENDMENT, HEALTHY, LINES, SIGNED_AGAIN, Movers, amend, because, budget, ok
from tests.database import OneTransaction
from tests.plans.world import ANY, AT, put_plan, refused, report, rows, walk
from tests.workflow.moves import CODED

pytestmark = pytest.mark.one_engine

NEW_MONEY = [because("/allocation"), because("/components"), because("/budget_lines")]


def view(reader: TestClient) -> list[Any]:
    """Everything that a reader sees of the plan."""
    plan = ok(reader.get(AT))
    summary = ok(reader.get(f"{AT}/summary?period=2026-Q4"))
    return [
        plan,
        list(walk(reader, f"{AT}/actions")),
        ok(reader.get(f"{AT}/actions/A-1")),
        [one["subject"] for one in walk(reader, f"{AT}/history")],
        {name: value for name, value in summary.items() if name != "computed_at"},
        list(walk(reader, "/v1/plans?region=63")),
    ]


def draft_everything(client: TestClient) -> None:
    """A changed line, a new one, one that is taken out, and the plan's own fields; without a reason."""
    amend(client, "A-1", **budget(300))
    ok(client.put(f"{LINES}/B-1", json={**HEALTHY, "title": "Baru"}))
    ok(client.delete(f"{LINES}/A-3", headers=ANY))
    ok(
        client.patch(
            AMENDMENT,
            json={"title": "RAT perubahan", "priority_locations": [{"region_code": "63.02.01.2001"}]},
            headers=ANY,
        )
    )


def explain_everything(client: TestClient) -> None:
    amend(client, "A-1", reasons=NEW_MONEY)
    amend(client, "B-1", reasons=[because(category="policy")])
    ok(
        client.delete(
            f"{LINES}/A-3",
            params={"category": "disaster", "reason": "Posyandu terendam banjir"},
            headers=ANY,
        )
    )
    ok(
        client.patch(
            AMENDMENT, json={"reasons": [because("/priority_locations", "revised_data")]}, headers=ANY
        )
    )


def test_from_revision_0_to_revision_1(
    database: OneTransaction, amended: TestClient, movers: Movers, provincial_reader: TestClient
) -> None:
    client, before = amended, view(provincial_reader)
    zero = provincial_reader.get(f"{AT}/revisions/0")
    assert refused(movers.move("submit")) == [("/actions", "empty_amendment")]

    draft_everything(client)
    lacking = {
        "A-1": ["/allocation", "/components/C1/amount", "/components/C2", "/budget_lines/APBD/amount"],
        "A-3": [""],
        "B-1": [""],
        None: ["/priority_locations/63.02.01.2001"],
    }
    amendment = ok(client.get(AMENDMENT))
    assert {one["action"]: one["fields"] for one in amendment["lacking"]} == lacking
    assert [amendment[name] for name in ("created", "changed", "removed", "unchanged")] == [1, 1, 1, 1]
    assert (amendment["state"], amendment["revision"], amendment["purpose"]) == ("draft", 0, "APBD-P")
    blocked = refused(movers.move("submit"))
    assert {pointer for pointer, code in blocked if code == "missing_reason"} == {
        *(f"/actions/{code}{field}" for code, fields in lacking.items() if code for field in fields),
        "/priority_locations/63.02.01.2001",
    }
    explain_everything(client)
    assert ok(client.get(AMENDMENT))["lacking"] == []

    ok(movers.move("submit"))
    late = client.patch(f"{LINES}/A-1", json={"note": "x"}, headers=ANY)
    assert (late.status_code, late.json()["code"]) == (409, "amendment_not_editable")
    assert ok(client.get(AMENDMENT))["allowed"] == []
    ok(movers.move("return"))
    amend(client, "A-1", **budget(400))  # what explained the change explains this one
    ok(movers.move("submit"))
    ok(movers.move("endorse"))
    assert view(provincial_reader) == before
    ok(movers.move("adopt", body=SIGNED_AGAIN))

    assert rows(database, sa.select(get_table(AmendmentRow))) == []
    assert rows(database, sa.select(get_table(AmendmentActionRow))) == []
    assert client.get(AMENDMENT).status_code == 404
    plan = ok(provincial_reader.get(AT))
    assert (plan["revision"], plan["state"], plan["title"]) == (1, "adopted", "RAT perubahan")
    lines = {line["code"]: line for line in walk(provincial_reader, f"{AT}/actions")}
    assert lines.keys() == {"A-1", "A-2", "B-1"}
    assert (lines["A-1"]["allocation"], lines["A-1"]["version"]) == (400, 2)
    assert lines["A-2"]["version"] == 1
    assert provincial_reader.get(f"{AT}/revisions/0").content == zero.content
    check_frozen(provincial_reader, lines)
    check_history(provincial_reader)


def check_frozen(reader: TestClient, lines: dict[str, Any]) -> None:
    """The bytes of revision 1, their hash, and in them the reasons."""
    frozen = reader.get(f"{AT}/revisions/1")
    content = json.loads(frozen.content)
    assert frozen.content == rfc8785.dumps(content)
    assert frozen.headers["ETag"] == f'"{hashlib.sha256(frozen.content).hexdigest()}"'
    listed = ok(reader.get(f"{AT}/revisions?sort=-revision"))["items"]
    assert [one["revision"] for one in listed] == [1, 0]
    assert listed[0]["sha256"] == hashlib.sha256(frozen.content).hexdigest()
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
        now = lines[line["code"]]
        assert line == {name: now[name] for name in line}


def check_history(reader: TestClient) -> None:
    """The plan's own history has the change of every line with its reason, and none of the drafting."""
    found = [
        (one["kind"], one["subject"].rpartition("/")[2], one["reason"])
        for one in walk(reader, f"{AT}/history")
    ]
    written = found[[kind for kind, _, _ in found].index("plan.adopted") + 1 :]
    assert written == [
        ("plan.changed", "63.02-2026", "revised_data: Sesuai APBD-P, /priority_locations"),
        (
            "action.changed",
            "A-1",
            "; ".join(f"{one['category']}: {one['text']}" for one in NEW_MONEY),
        ),
        ("action.deleted", "A-3", "disaster: Posyandu terendam banjir"),
        ("action.created", "B-1", "policy: Sesuai APBD-P, seluruh baris"),
        ("plan.adopted", "63.02-2026", None),
    ]
    assert reader.get(f"{AMENDMENT}/history").status_code == 404
    assert not [one for one in walk(reader, "/v1/changes") if "amendment" in one["subject"]]


def test_differences_say_what_an_independent_way_finds(
    amended: TestClient, movers: Movers, provincial_reader: TestClient
) -> None:
    draft_everything(amended)
    explain_everything(amended)
    drafted = ok(amended.get(f"{AMENDMENT}/differences"))
    assert provincial_reader.get(f"{AMENDMENT}/differences").status_code == 404
    for verb in ("submit", "endorse"):
        ok(movers.move(verb))
    ok(movers.move("adopt", body=SIGNED_AGAIN))
    reply = provincial_reader.get(f"{AT}/revisions/1/differences")
    found = ok(reply)
    zero, one = (ok(provincial_reader.get(f"{AT}/revisions/{n}")) for n in (0, 1))

    old, new = ({line["code"]: line for line in doc["actions"]} for doc in (zero, one))
    touched = {code for code in {*old, *new} if bare(old.get(code)) != bare(new.get(code))}
    assert {line["code"]: line["change"] for line in found["actions"]} == {
        code: "created" if code not in old else "removed" if code not in new else "changed"
        for code in touched
    }
    (line,) = [one for one in found["actions"] if one["code"] == "A-1"]
    assert {change["field"]: (change["before"], change["after"]) for change in line["changes"]} == {
        "/allocation": (250_000_000, 300),
        "/components/C1/description": ("Paket", ""),
        "/components/C1/amount": (240_000_000, 300),
        "/components/C2": (old["A-1"]["components"][1], None),
        "/budget_lines/APBD/amount": (250_000_000, 300),
        "/budget_lines/APBD/stage": ("apbd", "apbd_p"),
    }
    assert [reason["revision"] for reason in line["reasons"]] == [1, 1, 1]
    assert [change["field"] for change in found["changes"]] == [
        "/title",
        "/priority_locations/63.02.01.2001",
    ]
    for group, field in (("strategies", "strategy"), ("agencies", "lead_agency")):
        for one_sum in found["sums"][group]:
            name = one_sum[{"strategies": "strategy", "agencies": "agency"}[group]]
            for side, lines in (("before", old), ("after", new)):
                assert one_sum[side] == sum(
                    line["allocation"] for line in lines.values() if line[field] == name
                )
    total = found["sums"]["allocation"]
    assert total["difference"] == total["after"] - total["before"] == -249_999_700
    # The draft said the same, but for the edition it is of.
    assert drafted["after"] == {"revision": None, "sha256": None, "adopted_at": None}
    assert [one["changes"] for one in drafted["actions"]] == [one["changes"] for one in found["actions"]]
    check_cached(provincial_reader, reply)


def bare(line: Any) -> Any:
    return line and {name: value for name, value in line.items() if name != "version"}


def check_cached(reader: TestClient, reply: Any) -> None:
    at = f"{AT}/revisions/1/differences"
    assert "immutable" in reply.headers["Cache-Control"]
    assert reader.get(at, headers={"If-None-Match": reply.headers["ETag"]}).status_code == 304
    back = ok(reader.get(f"{AT}/revisions/0/differences?from=1"))
    assert (back["before"]["revision"], back["after"]["revision"]) == (1, 0)
    assert {line["change"] for line in back["actions"]} == {"created", "changed", "removed"}
    assert back["actions"][0]["reasons"] == ok(reply)["actions"][0]["reasons"]
    first = ok(reader.get(f"{AT}/revisions/0/differences"))
    assert first["before"] is None
    assert [line["change"] for line in first["actions"]] == ["created"] * 3
    wrong = reader.get(f"{at}?from=7")
    assert wrong.status_code == 400
    assert (wrong.json()["errors"][0]["parameter"], wrong.json()["errors"][0]["allowed"]) == ("from", [0, 1])
    for none in ("7", "01", "-1", "x"):
        assert reader.get(f"{AT}/revisions/{none}/differences").status_code == 404


def test_figures_follow_a_target_that_an_amendment_changed(amended: TestClient, movers: Movers) -> None:
    report(amended, "A-1", 1, spent=100, outputs=[{"code": "O1", "achieved": 10}])
    before = ok(amended.get(f"{AT}/actions/A-1"))["physical_percent"]
    output = {**CODED["outputs"][0], "target": 20, "quarterly_targets": [5, 10, 15, 20]}
    amend(
        amended, "A-1", outputs=[output], milestones=[], reasons=[because("/outputs"), because("/milestones")]
    )
    assert ok(amended.get(f"{AT}/actions/A-1"))["physical_percent"] == before
    for verb in ("submit", "endorse", "adopt"):
        ok(movers.move(verb))
    after = ok(amended.get(f"{AT}/actions/A-1"))
    assert (after["physical_percent"], after["spent"]) == (50, 100)


def test_what_was_reported_meanwhile_stops_the_adoption_whole(amended: TestClient, movers: Movers) -> None:
    amend(amended, "A-1", **budget(300), reasons=NEW_MONEY)
    ok(amended.delete(f"{LINES}/A-3", params={"category": "policy", "reason": "Digabung" * 3}, headers=ANY))
    for verb in ("submit", "endorse"):
        ok(movers.move(verb))
    report(amended, "A-3", 1, spent=5)
    assert refused(movers.move("adopt"), 409) == [("/actions/A-3", "reported_part")]
    assert ok(amended.get(f"{AT}/actions/A-1"))["allocation"] == 250_000_000
    assert ok(amended.get(AT))["revision"] == 0


def test_adoption_takes_as_many_statements_for_many_lines_as_for_one(
    database: OneTransaction, amended: TestClient, movers: Movers
) -> None:
    def adopt(codes: list[str]) -> int:
        items = [{**HEALTHY, "code": code, "title": code, "reasons": [because()]} for code in codes]
        ok(amended.put(LINES, json={"items": items}, headers=ANY))
        for verb in ("submit", "endorse"):
            ok(movers.move(verb))
        del database.statements[:]
        ok(movers.move("adopt"))
        return len(database.statements)

    one = adopt(["C-1"])
    ok(movers.move("amend"))
    assert adopt([f"D-{n}" for n in range(30)]) == one


def test_a_second_plan_is_not_touched(amended: TestClient) -> None:
    put_plan(amended, "63.02-2027")
    assert amended.get("/v1/plans/63.02-2027/amendment").status_code == 404
