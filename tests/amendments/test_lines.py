"""Drafting beside a plan in force: one line, many lines, the plan's own fields, and all of it discarded."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.kit.database.engine import get_table
from app.plans.amendments.models import AmendmentActionRow
from tests.amendments.world import AMENDMENT, HEALTHY, LINES, SIGNED_AGAIN, Movers, amend, because, budget, ok
from tests.database import OneTransaction
from tests.plans.world import ANY, AT, HEALTH, PARTNER, SOCIAL, WORKS, refused, report, rows, walk
from tests.workflow.moves import CODED

pytestmark = pytest.mark.one_engine


def drafted(database: OneTransaction) -> list[str]:
    """Codes of the lines of which the amendment keeps a row."""
    return sorted(row.code for row in rows(database, sa.select(get_table(AmendmentActionRow).c.code)))


def codes(client: TestClient, query: str) -> list[str]:
    return [line["code"] for line in walk(client, f"{LINES}?{query}")]


# One line


def test_a_line_is_held_to_what_a_plans_line_is_held_to(amended: TestClient) -> None:
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


def test_reasons_name_fields_that_exist_and_are_sentences(amended: TestClient) -> None:
    for reasons, pointer, code in (
        ([because("/pagu")], "/reasons/0/field", "no_such_field"),
        ([because("/allocation"), because("/allocation")], "/reasons/1", "duplicate_key"),
        ([{**because(), "text": "revisi"}], "/reasons/0/text", "wrong_length"),
        ([{**because(), "category": "lain"}], "/reasons/0/category", "not_allowed"),
    ):
        body = {**CODED, "reasons": reasons}
        assert refused(amended.put(f"{LINES}/A-1", json=body, headers=ANY)) == [(pointer, code)]


def test_a_line_that_says_what_is_in_force_is_changed_no_more(amended: TestClient) -> None:
    changed = amend(amended, "A-1", [because()], **budget(300))
    assert (changed["change"], changed["lacking"], codes(amended, "changed=true")) == ("changed", [], ["A-1"])
    back = ok(amended.put(f"{LINES}/A-1", json={**CODED, "reasons": [because()]}, headers=ANY))
    assert (back["change"], back["reasons"], codes(amended, "changed=true")) == ("unchanged", [], [])
    assert back["version"] > changed["version"]
    same = amended.put(f"{LINES}/A-1", json=CODED, headers=ANY)
    assert ok(same)["version"] == back["version"], "what says the same again is not written"


def test_a_version_is_never_given_twice_to_different_words(amended: TestClient) -> None:
    seen = set()
    for amount in (300, 400, 500):
        line = amend(amended, "A-1", **budget(amount))
        assert line["version"] not in seen
        seen.add(line["version"])
        stale = amended.patch(f"{LINES}/A-1", json={"note": "x"}, headers={"If-Match": '"1"'})
        assert stale.status_code == 412
        ok(amended.put(f"{LINES}/A-1", json=CODED, headers=ANY))
    assert amended.patch(f"{LINES}/A-1", json={"note": "x"}).status_code == 428


def test_a_line_taken_out_is_shown_until_it_is_put_back(
    database: OneTransaction, amended: TestClient
) -> None:
    assert amended.delete(f"{LINES}/A-2").status_code == 428
    ok(amended.delete(f"{LINES}/A-2", headers=ANY))
    gone = ok(amended.get(f"{LINES}/A-2"))
    assert (gone["change"], gone["lacking"], gone["title"]) == ("removed", [""], HEALTHY["title"])
    assert amended.patch(f"{LINES}/A-2", json={"note": "x"}, headers=ANY).status_code == 404
    ok(amended.delete(f"{LINES}/A-2", params={"category": "other", "reason": "Tidak jadi"}, headers=ANY))
    assert ok(amended.get(f"{LINES}/A-2"))["lacking"] == []
    for half in ({"category": "other"}, {"reason": "Tidak jadi"}):
        reply = amended.delete(f"{LINES}/A-2", params=half, headers=ANY)
        assert (reply.status_code, reply.json()["errors"][0]["code"]) == (400, "reason_incomplete")
    reply = amended.put(f"{LINES}/A-2", json=HEALTHY, headers=ANY)
    assert (reply.status_code, reply.json()["change"], codes(amended, "changed=true")) == (
        200,
        "unchanged",
        [],
    )
    new = amended.put(f"{LINES}/B-1", json=HEALTHY)
    assert new.status_code == 201
    assert new.headers["Location"] == f"{LINES}/B-1"
    ok(amended.delete(f"{LINES}/B-1", headers=ANY))
    assert amended.get(f"{LINES}/B-1").status_code == 404
    assert drafted(database) == ["A-2"], "the line that was put back keeps its row for its version"


def test_what_was_reported_on_cannot_be_taken_out(amended: TestClient) -> None:
    report(amended, "A-1", 1, spent=5, outputs=[{"code": "O1", "achieved": 1}])
    reply = amended.delete(f"{LINES}/A-1", headers=ANY)
    assert (reply.status_code, reply.json()["code"]) == (409, "part_in_use")
    without = amended.patch(f"{LINES}/A-1", json={"outputs": []}, headers=ANY)
    assert refused(without, 409) == [("/outputs", "reported_part")]
    shown = ok(amended.get(f"{LINES}/A-1"))
    assert (shown["spent"], shown["progress_period"]) == (5, "2026-Q1")


def test_an_operator_drafts_the_lines_of_its_own_agency(
    amended: TestClient, connect: Callable[..., TestClient]
) -> None:
    operator = connect(("operator", "63.02", HEALTH))
    amend(operator, "A-2", note="Catatan")
    assert operator.patch(f"{LINES}/A-1", json={"note": "x"}, headers=ANY).status_code == 403
    assert operator.delete(f"{LINES}/A-1", headers=ANY).status_code == 403
    taken = operator.put(f"{LINES}/A-1", json={**CODED, "lead_agency": HEALTH}, headers=ANY)
    assert refused(taken, 403) == [("/lead_agency", "not_your_agency")]
    assert operator.patch(AMENDMENT, json={"title": "x"}, headers=ANY).status_code == 403
    assert operator.delete(AMENDMENT, headers=ANY).status_code == 403
    # A line that the amendment gives to another agency is that agency's to draft no more than in force it was.
    amend(amended, "A-2", lead_agency=SOCIAL)
    assert operator.patch(f"{LINES}/A-2", json={"note": "y"}, headers=ANY).status_code == 403


def test_whoever_may_not_read_drafts_finds_no_amendment(
    provincial_reader: TestClient, amended: TestClient
) -> None:
    amend(amended, "A-1", **budget(300))
    for path in (AMENDMENT, LINES, f"{LINES}/A-1", f"{AMENDMENT}/history", f"{AMENDMENT}/differences"):
        assert provincial_reader.get(path).status_code == 404
        assert amended.get(path).status_code == 200
    assert provincial_reader.patch(f"{LINES}/A-1", json={"note": "x"}, headers=ANY).status_code == 404
    assert ok(provincial_reader.get(f"{AT}/actions/A-1"))["allocation"] == 250_000_000


# Lists


def test_lines_are_listed_as_they_shall_be(amended: TestClient) -> None:
    amend(amended, "A-1", **budget(300))
    ok(amended.put(f"{LINES}/B-1", json={**HEALTHY, "lead_agency": PARTNER, "allocation": 7}))
    ok(amended.delete(f"{LINES}/A-3", headers=ANY))
    assert codes(amended, "limit=1") == ["A-1", "A-2", "A-3", "B-1"]
    assert codes(amended, "changed=true&limit=2") == ["A-1", "A-3", "B-1"]
    assert codes(amended, "changed=false") == ["A-2"]
    assert codes(amended, "sort=-allocation&limit=2") == ["A-3", "A-2", "A-1", "B-1"]
    assert codes(amended, f"lead_agency={PARTNER}") == ["B-1"]
    assert ok(amended.get(f"{LINES}?count=exact&changed=true"))["count"] == 3
    assert ok(amended.get(f"{LINES}?q=posyandu"))["items"][0]["change"] == "unchanged"


# Many lines


def test_many_lines_are_drafted_all_or_none_or_each(amended: TestClient) -> None:
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
    result = ok(amended.put(f"{LINES}?each=true", json={"items": items}, headers={"If-Match": tag}))
    assert [one["status"] for one in result["items"]] == ["created", "refused", "unchanged", "refused"]
    assert amended.put(LINES, json={"items": [good]}, headers={"If-Match": tag}).status_code == 412
    assert amended.put(LINES, json={"items": [good]}).status_code == 428
    again = ok(amended.put(LINES, json={"items": [good]}, headers=ANY))
    assert again["unchanged"] == 1


def test_many_lines_take_as_many_statements_as_one(database: OneTransaction, amended: TestClient) -> None:
    def send(count: int, title: str) -> int:
        del database.statements[:]
        items = [{**HEALTHY, "code": f"C-{n}", "title": title} for n in range(count)]
        ok(amended.put(LINES, json={"items": items}, headers=ANY))
        return len(database.statements)

    send(1, "a")
    assert send(1, "b") == send(40, "c")


# The plan's own fields


def test_the_plans_own_fields_as_they_shall_be(amended: TestClient, provincial_reader: TestClient) -> None:
    before = ok(amended.get(AMENDMENT))
    tag = amended.get(AMENDMENT).headers["ETag"]
    whole = {"title": "RAT perubahan", "priority_locations": [{"region_code": "63.02.01.2001"}]}
    changed = ok(amended.put(AMENDMENT, json=whole, headers={"If-Match": tag}))
    assert changed["lacking"] == [{"action": None, "fields": ["/priority_locations/63.02.01.2001"]}]
    assert amended.put(AMENDMENT, json=whole, headers={"If-Match": tag}).status_code == 412
    assert refused(
        amended.patch(AMENDMENT, json={"priority_locations": [{"region_code": "73.22"}]}, headers=ANY)
    )
    assert ok(provincial_reader.get(AT))["title"] == before["title"]
    assert ok(amended.get(AT))["title"] == before["title"]
    back = ok(
        amended.patch(AMENDMENT, json={"title": before["title"], "priority_locations": []}, headers=ANY)
    )
    assert back["lacking"] == []


def test_the_plans_own_addresses_are_closed_while_it_is_in_force(amended: TestClient) -> None:
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
    before = [ok(amended.get(f"{AT}/actions/{code}")) for code in ("A-1", "A-2", "A-3")]
    ok(amended.delete(AMENDMENT, headers=ANY))
    assert drafted(database) == []
    assert amended.get(AMENDMENT).status_code == 404
    plan = ok(amended.get(AT))
    assert (plan["state"], plan["revision"]) == ("adopted", 0)
    assert [ok(amended.get(f"{AT}/actions/{code}")) for code in ("A-1", "A-2", "A-3")] == before
    told = [one["kind"] for one in walk(amended, f"{AMENDMENT}/history")]
    assert told[-5:] == [
        "plan.amended", "amendment.created", "amendment_action.changed", "amendment.deleted", "plan.changed",
    ]  # fmt: skip
    ok(movers.move("amend"))
    assert ok(amended.get(AMENDMENT))["changed"] == 0


def test_a_submitted_amendment_is_not_discarded(amended: TestClient, movers: Movers) -> None:
    amend(amended, "A-1", note="Catatan")
    ok(movers.move("submit"))
    reply = amended.delete(AMENDMENT, headers=ANY)
    assert (reply.status_code, reply.json()["code"]) == (409, "amendment_not_editable")


# Agencies


def test_a_merged_agency_takes_drafted_lines_with_it(amended: TestClient) -> None:
    administrator = amended
    amend(amended, "A-2", lead_agency=WORKS, supporting_agencies=[PARTNER, SOCIAL])
    ok(amended.put(f"{LINES}/B-1", json={**HEALTHY, "lead_agency": WORKS, "supporting_agencies": [PARTNER]}))
    merge = f"/v1/regions/63.02/agencies/{WORKS}/merge"
    ok(administrator.post(merge, json={"into": PARTNER}, headers=ANY))
    for code, supporting in (("A-2", [SOCIAL]), ("B-1", [])):
        line = ok(amended.get(f"{LINES}/{code}"))
        assert (line["lead_agency"], line["supporting_agencies"]) == (PARTNER, supporting)
    gone = amended.delete(f"/v1/regions/63.02/agencies/{PARTNER}", headers=ANY)
    assert gone.status_code == 409
    # What the merger makes the same as in force is no change any more.
    amend(amended, "A-1", lead_agency=HEALTH)
    ok(administrator.post(f"/v1/regions/63.02/agencies/{HEALTH}/merge", json={"into": SOCIAL}, headers=ANY))
    assert ok(amended.get(f"{LINES}/A-1"))["change"] == "unchanged"


@pytest.mark.parametrize("path", [AMENDMENT, f"{LINES}/A-1"])
def test_a_trial_changes_nothing(amended: TestClient, path: str) -> None:
    before = amended.get(path).content
    body: dict[str, Any] = {"title": "Lain"}
    assert ok(amended.patch(f"{path}?dry_run=true", json=body, headers=ANY))["title"] == "Lain"
    assert amended.get(path).content == before


def test_versions_at_one_address_rise_through_all_amendments(
    amended: TestClient, movers: Movers, connect: Callable[..., TestClient]
) -> None:
    """Whatever became of the line: drafted, reverted, adopted, taken out, new again."""
    seen: list[int] = []

    def keep() -> None:
        reply = amended.get(f"{LINES}/A-2")
        if reply.status_code == 200 and reply.json()["version"] != (seen or [0])[-1]:
            seen.append(reply.json()["version"])

    def draft(*steps: Callable[[], Any]) -> None:
        keep()
        for step in steps:
            ok(step())
            keep()

    def say(amount: int) -> Callable[[], Any]:
        body = {**HEALTHY, **budget(amount), "reasons": [because()]}
        return lambda: amended.put(
            f"{LINES}/A-2", json=body, headers=HEADERS[amended.get(f"{LINES}/A-2").status_code]
        )

    def take_out() -> Any:
        return amended.delete(
            f"{LINES}/A-2", params={"category": "other", "reason": "Tidak jadi"}, headers=ANY
        )

    def adopt() -> None:
        for verb in ("submit", "endorse"):
            ok(movers.move(verb))
        ok(movers.move("adopt", body=SIGNED_AGAIN))
        ok(movers.move("amend"))

    draft(say(300), lambda: amended.put(f"{LINES}/A-2", json=HEALTHY, headers=ANY), say(400))
    adopt()
    draft(say(500), take_out)
    adopt()
    draft(say(600), take_out, say(700))
    ok(amended.delete(AMENDMENT, headers=ANY))
    ok(movers.move("amend"))
    draft(say(800))
    assert seen == sorted(set(seen)), seen


HEADERS = {200: ANY, 404: {}}
