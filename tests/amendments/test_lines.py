"""Drafting an amendment: one line, many lines, the plan's own fields, and discarding all of it."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.kit.database.engine import get_table
from app.plans.amendments.models import AmendmentActionRow
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
from tests.plans.world import ANY, AT, HEALTH, PARTNER, SOCIAL, WORKS, read_rows, refused, report, walk
from tests.workflow.moves import CODED

pytestmark = pytest.mark.one_engine


def read_drafted_codes(database: OneTransaction) -> list[str]:
    """Return the codes of the lines with a row in the amendment."""
    return sorted(row.code for row in read_rows(database, sa.select(get_table(AmendmentActionRow).c.code)))


def list_codes(client: TestClient, query: str) -> list[str]:
    return [line["code"] for line in walk(client, f"{LINES}?{query}")]


# One line


def test_a_drafted_line_obeys_the_rules_of_a_plans_line(amended: TestClient) -> None:
    wrong = {
        **CODED,
        "lead_agency": "9.99",
        "locations": [{"region_code": "73.22.01.2001"}],
        "budget_lines": [{"funding_source": "APBX", "amount": 1}],
    }
    assert set(refused(amended.put(f"{LINES}/A-1", json=wrong, headers=ANY))) == {
        ("/lead_agency", "unknown_reference"),
        ("/locations/0/region_code", "outside_region"),
        ("/budget_lines/0/funding_source", "unknown_reference"),
    }
    assert amended.put(f"{LINES}/bad key", json=CODED).status_code == 422


def test_reasons_name_existing_fields_and_have_a_sentence(amended: TestClient) -> None:
    for reasons, pointer, code in (
        ([because("/pagu")], "/reasons/0/field", "no_such_field"),
        ([because("/allocation"), because("/allocation")], "/reasons/1", "duplicate_key"),
        ([{**because(), "text": "revisi"}], "/reasons/0/text", "wrong_length"),
        ([{**because(), "category": "lain"}], "/reasons/0/category", "not_allowed"),
    ):
        body = {**CODED, "reasons": reasons}
        assert refused(amended.put(f"{LINES}/A-1", json=body, headers=ANY)) == [(pointer, code)]


def test_a_line_equal_to_the_one_in_force_is_unchanged(amended: TestClient) -> None:
    changed = amend(amended, "A-1", [because()], **budget(300))
    assert (changed["change"], changed["lacking"], list_codes(amended, "changed=true")) == (
        "changed",
        [],
        ["A-1"],
    )
    back = expect_ok(amended.put(f"{LINES}/A-1", json={**CODED, "reasons": [because()]}, headers=ANY))
    assert (back["change"], back["reasons"], list_codes(amended, "changed=true")) == ("unchanged", [], [])
    assert back["version"] > changed["version"]
    same = amended.put(f"{LINES}/A-1", json=CODED, headers=ANY)
    assert expect_ok(same)["version"] == back["version"], "an equal line is not written"


def test_different_contents_never_share_a_version(amended: TestClient) -> None:
    versions = set()
    for amount in (300, 400, 500):
        line = amend(amended, "A-1", **budget(amount))
        assert line["version"] not in versions
        versions.add(line["version"])
        stale = amended.patch(f"{LINES}/A-1", json={"note": "x"}, headers={"If-Match": '"1"'})
        assert stale.status_code == 412
        expect_ok(amended.put(f"{LINES}/A-1", json=CODED, headers=ANY))
    assert amended.patch(f"{LINES}/A-1", json={"note": "x"}).status_code == 428


def test_an_ended_line_is_listed_until_it_is_brought_back(
    database: OneTransaction, amended: TestClient
) -> None:
    assert amended.delete(f"{LINES}/A-2").status_code == 428
    expect_ok(amended.delete(f"{LINES}/A-2", headers=ANY))
    ended = expect_ok(amended.get(f"{LINES}/A-2"))
    assert (ended["change"], ended["lacking"], ended["title"]) == ("ended", ["/ends_after"], HEALTHY["title"])
    assert ended["ends_after"] == "2025-Q4", "no quarter has a report on the line"
    expect_ok(
        amended.delete(f"{LINES}/A-2", params={"category": "other", "reason": "Tidak jadi"}, headers=ANY)
    )
    assert expect_ok(amended.get(f"{LINES}/A-2"))["lacking"] == []
    for half in ({"category": "other"}, {"reason": "Tidak jadi"}):
        reply = amended.delete(f"{LINES}/A-2", params=half, headers=ANY)
        assert (reply.status_code, reply.json()["errors"][0]["code"]) == (400, "reason_incomplete")
    reply = amended.put(f"{LINES}/A-2", json=HEALTHY, headers=ANY)
    assert (reply.status_code, reply.json()["change"], list_codes(amended, "changed=true")) == (
        200,
        "unchanged",
        [],
    )
    new = amended.put(f"{LINES}/B-1", json=HEALTHY)
    assert new.status_code == 201
    assert new.headers["Location"] == f"{LINES}/B-1"
    expect_ok(amended.delete(f"{LINES}/B-1", headers=ANY))
    assert amended.get(f"{LINES}/B-1").status_code == 404
    assert read_drafted_codes(database) == ["A-2"], "the row of a line brought back stays for its version"


def test_reported_parts_cannot_be_removed(amended: TestClient) -> None:
    report(amended, "A-1", 1, spent=5, outputs=[{"code": "O1", "achieved": 1}])
    without = amended.patch(f"{LINES}/A-1", json={"outputs": []}, headers=ANY)
    assert refused(without, 409) == [("/outputs", "reported_part")]
    line = expect_ok(amended.get(f"{LINES}/A-1"))
    assert (line["spent"], line["progress_period"]) == (5, "2026-Q1")


def test_an_operator_drafts_the_lines_of_its_own_agency(
    amended: TestClient, connect: Callable[..., TestClient]
) -> None:
    operator = connect(("operator", "63.02", HEALTH))
    amend(operator, "A-2", note="Catatan")
    assert operator.patch(f"{LINES}/A-1", json={"note": "x"}, headers=ANY).status_code == 403
    assert operator.delete(f"{LINES}/A-1", headers=ANY).status_code == 403
    takeover = operator.put(f"{LINES}/A-1", json={**CODED, "lead_agency": HEALTH}, headers=ANY)
    assert refused(takeover, 403) == [("/lead_agency", "not_your_agency")]
    assert operator.patch(AMENDMENT, json={"title": "x"}, headers=ANY).status_code == 403
    assert operator.delete(AMENDMENT, headers=ANY).status_code == 403
    # Once the amendment gives the line to another agency, its former operator cannot draft it.
    amend(amended, "A-2", lead_agency=SOCIAL)
    assert operator.patch(f"{LINES}/A-2", json={"note": "y"}, headers=ANY).status_code == 403


def test_a_reader_without_drafts_gets_404_for_the_amendment(
    provincial_reader: TestClient, amended: TestClient
) -> None:
    amend(amended, "A-1", **budget(300))
    for path in (AMENDMENT, LINES, f"{LINES}/A-1", f"{AMENDMENT}/history", f"{AMENDMENT}/differences"):
        assert provincial_reader.get(path).status_code == 404
        assert amended.get(path).status_code == 200
    assert provincial_reader.patch(f"{LINES}/A-1", json={"note": "x"}, headers=ANY).status_code == 404
    assert expect_ok(provincial_reader.get(f"{AT}/actions/A-1"))["allocation"] == 250_000_000


# Lists


def test_lists_show_filter_and_sort_the_drafted_lines(amended: TestClient) -> None:
    amend(amended, "A-1", **budget(300))
    expect_ok(amended.put(f"{LINES}/B-1", json={**HEALTHY, "lead_agency": PARTNER, "allocation": 7}))
    expect_ok(amended.delete(f"{LINES}/A-3", headers=ANY))
    assert list_codes(amended, "limit=1") == ["A-1", "A-2", "A-3", "B-1"]
    assert list_codes(amended, "changed=true&limit=2") == ["A-1", "A-3", "B-1"]
    assert list_codes(amended, "changed=false") == ["A-2"]
    assert list_codes(amended, "sort=-allocation&limit=2") == ["A-3", "A-2", "A-1", "B-1"]
    assert list_codes(amended, f"lead_agency={PARTNER}") == ["B-1"]
    assert expect_ok(amended.get(f"{LINES}?count=exact&changed=true"))["count"] == 3
    assert expect_ok(amended.get(f"{LINES}?q=posyandu"))["items"][0]["change"] == "unchanged"


# Many lines


def test_a_batch_drafts_all_none_or_each_of_its_lines(amended: TestClient) -> None:
    tag = amended.get(LINES).headers["ETag"]
    good = {**HEALTHY, "code": "B-1", "reasons": [because(category="policy")]}
    bad = {**HEALTHY, "code": "B-2", "lead_agency": "9.99"}
    same = {**CODED, "code": "A-1"}
    unread = {**HEALTHY, "code": "B-3", "reasons": [because("/pagu")]}
    items = [good, bad, same, unread]
    reply = amended.put(LINES, json={"items": items}, headers={"If-Match": tag})
    assert set(refused(reply)) == {
        ("/items/1/lead_agency", "unknown_reference"),
        ("/items/3/reasons/0/field", "no_such_field"),
    }
    result = expect_ok(amended.put(f"{LINES}?each=true", json={"items": items}, headers={"If-Match": tag}))
    assert [item["status"] for item in result["items"]] == ["created", "refused", "unchanged", "refused"]
    assert amended.put(LINES, json={"items": [good]}, headers={"If-Match": tag}).status_code == 412
    assert amended.put(LINES, json={"items": [good]}).status_code == 428
    repeated = expect_ok(amended.put(LINES, json={"items": [good]}, headers=ANY))
    assert repeated["unchanged"] == 1


def test_drafting_many_lines_costs_as_many_statements_as_one(
    database: OneTransaction, amended: TestClient
) -> None:
    def send(count: int, title: str) -> int:
        del database.statements[:]
        items = [{**HEALTHY, "code": f"C-{n}", "title": title} for n in range(count)]
        expect_ok(amended.put(LINES, json={"items": items}, headers=ANY))
        return len(database.statements)

    send(1, "a")
    assert send(1, "b") == send(40, "c")


# The plan's own fields


def test_drafting_the_plans_own_fields_leaves_the_plan_in_force(
    amended: TestClient, provincial_reader: TestClient
) -> None:
    before = expect_ok(amended.get(AMENDMENT))
    tag = amended.get(AMENDMENT).headers["ETag"]
    content = {"title": "RAT perubahan", "priority_locations": [{"region_code": "63.02.01.2001"}]}
    changed = expect_ok(amended.put(AMENDMENT, json=content, headers={"If-Match": tag}))
    assert changed["lacking"] == [{"action": None, "fields": ["/priority_locations/63.02.01.2001"]}]
    assert amended.put(AMENDMENT, json=content, headers={"If-Match": tag}).status_code == 412
    assert refused(
        amended.patch(AMENDMENT, json={"priority_locations": [{"region_code": "73.22"}]}, headers=ANY)
    )
    assert expect_ok(provincial_reader.get(AT))["title"] == before["title"]
    assert expect_ok(amended.get(AT))["title"] == before["title"]
    back = expect_ok(
        amended.patch(AMENDMENT, json={"title": before["title"], "priority_locations": []}, headers=ANY)
    )
    assert back["lacking"] == []


def test_a_plan_in_force_cannot_be_edited_directly(amended: TestClient) -> None:
    for method, path, body in (
        ("PATCH", AT, {"title": "x"}),
        ("PATCH", f"{AT}/actions/A-1", {"note": "x"}),
        ("DELETE", f"{AT}/actions/A-2", None),
    ):
        reply = amended.request(method, path, json=body, headers=ANY)
        assert (reply.status_code, reply.json()["code"]) == (409, "plan_not_editable")
        assert "perubahan rencana yang terbuka" in reply.json()["detail"]


# Discarding


def test_an_amendment_is_discarded_with_all_its_lines(
    database: OneTransaction, amended: TestClient, movers: Movers
) -> None:
    amend(amended, "A-1", **budget(300))
    before = [expect_ok(amended.get(f"{AT}/actions/{code}")) for code in ("A-1", "A-2", "A-3")]
    expect_ok(amended.delete(AMENDMENT, headers=ANY))
    assert read_drafted_codes(database) == []
    assert amended.get(AMENDMENT).status_code == 404
    plan = expect_ok(amended.get(AT))
    assert (plan["state"], plan["revision"]) == ("adopted", 0)
    assert [expect_ok(amended.get(f"{AT}/actions/{code}")) for code in ("A-1", "A-2", "A-3")] == before
    kinds = [entry["kind"] for entry in walk(amended, f"{AMENDMENT}/history")]
    assert kinds[-5:] == [
        "plan.amended", "amendment.created", "amendment_action.changed", "amendment.deleted", "plan.changed",
    ]  # fmt: skip
    expect_ok(movers.move("amend"))
    assert expect_ok(amended.get(AMENDMENT))["changed"] == 0


def test_a_submitted_amendment_cannot_be_discarded(amended: TestClient, movers: Movers) -> None:
    amend(amended, "A-1", note="Catatan")
    expect_ok(movers.move("submit"))
    reply = amended.delete(AMENDMENT, headers=ANY)
    assert (reply.status_code, reply.json()["code"]) == (409, "amendment_not_editable")


# Agencies


def test_drafted_lines_follow_a_merged_agency(amended: TestClient) -> None:
    administrator = amended
    amend(amended, "A-2", lead_agency=WORKS, supporting_agencies=[PARTNER, SOCIAL])
    expect_ok(
        amended.put(f"{LINES}/B-1", json={**HEALTHY, "lead_agency": WORKS, "supporting_agencies": [PARTNER]})
    )
    merge = f"/v1/regions/63.02/agencies/{WORKS}/merge"
    expect_ok(administrator.post(merge, json={"into": PARTNER}, headers=ANY))
    for code, supporting in (("A-2", [SOCIAL]), ("B-1", [])):
        line = expect_ok(amended.get(f"{LINES}/{code}"))
        assert (line["lead_agency"], line["supporting_agencies"]) == (PARTNER, supporting)
    gone = amended.delete(f"/v1/regions/63.02/agencies/{PARTNER}", headers=ANY)
    assert gone.status_code == 409
    # A merger that makes a line equal to the one in force removes the change.
    amend(amended, "A-1", lead_agency=HEALTH)
    expect_ok(
        administrator.post(f"/v1/regions/63.02/agencies/{HEALTH}/merge", json={"into": SOCIAL}, headers=ANY)
    )
    assert expect_ok(amended.get(f"{LINES}/A-1"))["change"] == "unchanged"


@pytest.mark.parametrize("path", [AMENDMENT, f"{LINES}/A-1"])
def test_a_dry_run_changes_nothing(amended: TestClient, path: str) -> None:
    before = amended.get(path).content
    body: dict[str, Any] = {"title": "Lain"}
    assert expect_ok(amended.patch(f"{path}?dry_run=true", json=body, headers=ANY))["title"] == "Lain"
    assert amended.get(path).content == before


def test_the_versions_of_an_address_rise_across_amendments(
    amended: TestClient, movers: Movers, connect: Callable[..., TestClient]
) -> None:
    """The line goes through drafting, reverting, adopting, removing and creating."""
    versions: list[int] = []

    def record_version() -> None:
        reply = amended.get(f"{LINES}/A-2")
        if reply.status_code == 200 and reply.json()["version"] != (versions or [0])[-1]:
            versions.append(reply.json()["version"])

    def draft(*steps: Callable[[], Any]) -> None:
        record_version()
        for step in steps:
            expect_ok(step())
            record_version()

    def make_put(amount: int) -> Callable[[], Any]:
        body = {**HEALTHY, **budget(amount), "reasons": [because()]}
        return lambda: amended.put(
            f"{LINES}/A-2", json=body, headers=HEADERS[amended.get(f"{LINES}/A-2").status_code]
        )

    def remove() -> Any:
        return amended.delete(
            f"{LINES}/A-2", params={"category": "other", "reason": "Tidak jadi"}, headers=ANY
        )

    def adopt() -> None:
        for verb in ("submit", "endorse"):
            expect_ok(movers.move(verb))
        expect_ok(movers.move("adopt", body=SIGNED_AGAIN))
        expect_ok(movers.move("amend"))

    draft(make_put(300), lambda: amended.put(f"{LINES}/A-2", json=HEALTHY, headers=ANY), make_put(400))
    adopt()
    draft(make_put(500), remove)
    adopt()
    draft(make_put(600), remove, make_put(700))
    expect_ok(amended.delete(AMENDMENT, headers=ANY))
    expect_ok(movers.move("amend"))
    draft(make_put(800))
    assert versions == sorted(set(versions)), versions


HEADERS = {200: ANY, 404: {}}
