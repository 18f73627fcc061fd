"""A pull of a quarter: every line once, with its report, by the caller's rights, and a cursor."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.exchange.pulls import queries, writing
from app.exchange.pulls.models import PullLine
from tests.database import OneTransaction
from tests.plans.world import ANY, AT, HEALTH, LEAN, SOCIAL, furnish, put, put_many, put_plan
from tests.pulls.world import PLAIN, PULL, forget, pull
from tests.quarters.world import A1, Office, adopt


def test_every_line_with_its_report_or_none_in_order(office: Office) -> None:
    office.report(
        "A-2", spent=7, outputs=[{"code": "O1", "achieved": 12.5}], obstacle='Banjir "dua"\ndesa – é'
    )
    office.report("A-1", quarter=1, spent=3, physical_reported_percent=12.5)
    result = pull(office.secretariat)
    assert [(row["region_code"], row["plan"], row["action"]) for row in result.rows] == [
        ("63.02", "63.02-2026", "A-1"),
        ("63.02", "63.02-2026", "A-2"),
    ]
    live = office.secretariat.get(f"{AT}/actions/A-2/progress/2026-Q2").json()
    line = office.secretariat.get(f"{AT}/actions/A-2").json()
    carried = {"period": "2026-Q1", "spent": 3, "physical_percent": 12.5}
    assert [(row.pop("carried"), row["report"] is None) for row in result.rows] == [
        (carried, True),
        (None, False),
    ]
    report = result.rows[1].pop("report")
    assert report == {name: live[name] for name in report}
    own = {"action", "plan", "region_code"}
    assert result.rows[1] == {name: line[name] for name in result.rows[1].keys() - own} | {
        "action": "A-2",
        "plan": "63.02-2026",
        "region_code": "63.02",
    }
    assert [*json.loads(result.lines[0])] == [*PullLine.model_fields]
    plan = {"region_code": "63.02", "plan": "63.02-2026", "revision": None, "amendment": None}
    assert (result.end["period"], result.end["region"], result.end["plans"]) == ("2026-Q2", None, [plan])


def test_the_cursor_goes_on_where_the_pull_ends(office: Office) -> None:
    put(office.secretariat, "A-1", title="Sebelum")
    cursor = pull(office.secretariat, f"{PULL}?region=63").end["cursor"]
    feed = f"/v1/changes?region=63&after={cursor}"
    assert office.secretariat.get(feed).json()["items"] == []
    put(office.secretariat, "A-1", title="Sesudah")
    after = office.secretariat.get(feed).json()["items"]
    assert [change["subject"] for change in after] == ["plans/63.02-2026/actions/A-1"]


def test_the_tag_depends_on_the_content_and_the_rights(
    office: Office, connect: Callable[..., TestClient]
) -> None:
    first = pull(office.secretariat)
    assert pull(connect(("secretariat", "63.02"))).tag == first.tag
    known = {**PLAIN, "If-None-Match": first.tag}
    again = office.secretariat.get(PULL, headers=known)
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.tag)
    assert office.province.get(PULL, headers=known).status_code == 200
    tags = {first.tag}
    for other in (".ndjson", ".csv", ".parquet", ".xlsx", "?region=63", "?region=63.02"):
        tags.add(office.secretariat.head(f"{PULL}{other}", headers=PLAIN).headers["ETag"])
    assert len(tags) == 6, "the same lines in the same format have one tag, with the suffix or without it"
    office.report("A-1", spent=1)
    assert pull(office.secretariat).tag not in tags


def test_a_pull_has_the_lines_that_the_caller_sees(
    office: Office, connect: Callable[..., TestClient], database: OneTransaction
) -> None:
    reader = connect(("reader", "63"))
    for caller in (connect(), connect(("secretariat", "63.03")), connect(("reader", "73")), reader):
        for at in (PULL, f"{PULL}.csv", f"{PULL}?region=63.02", "/v1/digests/2026-Q2"):
            assert caller.get(at).status_code == 404
    adopt(database)
    assert len(pull(reader).rows) == 2
    assert reader.get(f"{PULL}?region=63.03").status_code == 404
    for nowhere in ("2026", "2026-S1", "2026-Q5", "2025-Q2", "2026-Q2.pdf", "2026-Q2%0A", "x.csv"):
        assert reader.get(f"/v1/pulls/{nowhere}").status_code == 404
    for at, parameter, allowed in (
        ("pulls/2026-Q5", "period", ["2026-Q2"]),
        ("digests/2026-S1", "period", ["2026-Q2"]),
        ("pulls/2026-Q2.pdf", "format", ["ndjson", "csv", "parquet", "xlsx"]),
    ):
        (error,) = reader.get(f"/v1/{at}").json()["errors"]
        assert (error["parameter"], error["allowed"]) == (parameter, allowed), "what would be right is said"


def test_format_by_accept(office: Office) -> None:
    csv, parquet = "text/csv", "application/vnd.apache.parquet"
    for accept, kind in (
        ("*/*", "application/x-ndjson"),
        ("text/csv", csv),
        ("text/*;q=0.3, */*;q=0.1", csv),
        (f"{csv};q=0.5, {parquet}", parquet),
        ("application/x-ndjson;q=0, */*", csv),
    ):
        reply = office.secretariat.get(PULL, headers={"Accept": accept})
        assert reply.headers["Content-Type"].partition(";")[0] == kind, accept
        assert "Accept" in reply.headers["Vary"].split(", ")
    refused = office.secretariat.get(PULL, headers={"Accept": "text/html"})
    assert (refused.status_code, refused.json()["code"]) == (406, "not_acceptable")
    (error,) = refused.json()["errors"]
    assert (error["header"], csv in error["allowed"]) == ("Accept", True)
    assert office.secretariat.get(f"{PULL}.csv", headers={"Accept": "text/html"}).status_code == 200


# Frozen quarters


def test_a_frozen_quarter_keeps_its_bytes(office: Office, connect: Callable[..., TestClient]) -> None:
    office.report("A-1", spent=120_000, outputs=[{"code": "O1", "achieved": 12.5}], obstacle='Banjir "dua"')
    office.move("submit", "verify", "freeze")
    first = pull(office.secretariat)
    frozen = office.secretariat.get("/v1/snapshots/2026-Q2/63.02").json()
    assert [{**row, "region_code": "63.02", "plan": "63.02-2026"} for row in frozen["rows"]] == first.rows
    assert first.end["plans"][0]["amendment"] == 0
    put(office.secretariat, "A-1", title="Judul lain")
    put(office.secretariat, "A-3")
    office.move("correct")
    assert office.secretariat.patch(A1, json={"spent": 1}, headers=ANY).status_code == 200
    for _ in range(2):
        assert pull(office.secretariat) == first
        forget(office.secretariat)
    assert len(pull(connect(("reader", "63"))).rows) == 2, "freezing publishes"
    office.move("submit", "verify", "freeze")
    amended = pull(office.secretariat)
    assert amended.end["plans"][0]["amendment"] == 1
    lines = [(row["action"], row["title"]) for row in amended.rows]
    assert lines == [(row["action"], row["title"]) for row in first.rows], "a correction keeps the lines"
    assert amended.rows[0]["report"]["spent"] == 1
    changes = office.secretariat.get(f"/v1/changes?after={first.end['cursor']}").json()["items"]
    assert "snapshots/2026-Q2/63.02/amendments/1" in [change["subject"] for change in changes]


def test_frozen_and_live_regions_in_one_order(office: Office, database: OneTransaction) -> None:
    for region in ("63", "63.03"):
        furnish(database, region)
        other = office.connect(("secretariat", region))
        put_plan(other, f"{region}-2026")
        put(other, "B-1", plan=f"{region}-2026", locations=[])
    office.freeze()
    result = pull(office.province)
    assert [(row["region_code"], row["action"]) for row in result.rows] == [
        ("63", "B-1"),
        ("63.02", "A-1"),
        ("63.02", "A-2"),
        ("63.03", "B-1"),
    ]
    assert [plan["amendment"] for plan in result.end["plans"]] == [None, 0, None]
    assert [row["region_code"] for row in pull(office.province, f"{PULL}?region=63.03").rows] == ["63.03"]
    office.report("A-1", quarter=3, spent=9)
    assert pull(office.province) == result, "what happens to a frozen region is not in it"


def test_a_plan_with_a_frozen_quarter_stays_and_so_does_the_quarter(office: Office) -> None:
    office.freeze()
    first = pull(office.secretariat)
    office.move("correct")
    for code in ("A-1", "A-2"):
        for below in ("/progress/2026-Q2", ""):
            gone = office.secretariat.delete(f"{AT}/actions/{code}{below}", headers=ANY)
            assert gone.status_code == 204, gone.text
    kept = office.secretariat.delete(AT, headers=ANY)
    assert (kept.status_code, kept.json()["code"]) == (409, "plan_in_use")
    assert pull(office.secretariat) == first


# Many lines


def test_many_lines_in_pieces_and_in_few_statements(
    office: Office, database: OneTransaction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "CHUNK", 7)
    monkeypatch.setattr(writing, "STREAMED_ROWS", 20)
    used = []
    for count in (10, 60):
        put_many(office.secretariat, [{**LEAN, "code": f"L-{n:03d}"} for n in range(count)])
        database.statements.clear()
        result = pull(office.secretariat)
        used.append(sum("pg_catalog" not in statement for statement in database.statements))
        assert [row["action"] for row in result.rows] == ["A-1", "A-2", *(f"L-{n:03d}" for n in range(count))]
    assert used[0] == used[1]
    database.statements.clear()
    assert office.secretariat.get(PULL, headers={**PLAIN, "If-None-Match": result.tag}).status_code == 304
    assert len(database.statements) == 2, "the caller, and one more"


def test_a_plan_without_lines_is_a_pull_without_lines(office: Office) -> None:
    put_plan(office.secretariat, "63.02-2027")
    result = pull(office.secretariat, "/v1/pulls/2027-Q1")
    assert (result.rows, result.end["plans"][0]["plan"]) == ([], "63.02-2027")
    for format in ("csv", "parquet", "xlsx"):
        assert office.secretariat.get(f"/v1/pulls/2027-Q1.{format}").headers["Rata-Rows"] == "0"


# Digests


def hash_lines(lines: list[bytes]) -> str:
    return hashlib.sha256(b"".join(lines)).hexdigest()


def test_a_mirror_finds_where_it_differs(office: Office, database: OneTransaction) -> None:
    furnish(database, "63")
    other = office.connect(("secretariat", "63"))
    put_plan(other, "63-2026")
    put(other, "B-1", plan="63-2026", locations=[])
    office.freeze()
    digests = office.province.get("/v1/digests/2026-Q2?region=63").json()
    mirror = pull(office.province, f"{PULL}?region=63")
    same: dict[str, Any] = {
        name: mirror.end[name] for name in ("period", "region", "rows", "sha256", "cursor")
    }
    assert {name: digests[name] for name in same} == same

    def select_lines(**chosen: str) -> list[bytes]:
        return [
            line
            for line, row in zip(mirror.lines, mirror.rows, strict=True)
            if all(row[name] == value for name, value in chosen.items())
        ]

    agencies = {"63": [SOCIAL], "63.02": [HEALTH, SOCIAL]}
    assert [item["region_code"] for item in digests["plans"]] == [*agencies]
    for plan in digests["plans"]:
        region = plan["region_code"]
        own = select_lines(region_code=region)
        assert (plan["rows"], plan["sha256"]) == (len(own), hash_lines(own))
        assert [item["lead_agency"] for item in plan["agencies"]] == agencies[region]
        for agency in plan["agencies"]:
            led = select_lines(region_code=region, lead_agency=agency["lead_agency"])
            assert (agency["rows"], agency["sha256"]) == (len(led), hash_lines(led))
    put(other, "B-1", plan="63-2026", locations=[], title="Lain")
    after = office.province.get("/v1/digests/2026-Q2?region=63").json()
    differing = [a["region_code"] for a, b in zip(after["plans"], digests["plans"], strict=True) if a != b]
    assert differing == ["63"]
