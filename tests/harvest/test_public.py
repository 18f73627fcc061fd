"""Reading without a token in opened regions: adopted plans and frozen quarters only."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient
from rdflib import RDF, URIRef
from rdflib.namespace import DCAT, DCTERMS

from app.access.models import TokenScope
from app.kit.database.engine import get_table
from app.plans.revisions.models import PlanRevisionRow
from tests.amendments.world import Movers, amend, because, budget
from tests.common import ConnectAs, begin_with
from tests.database import OneTransaction
from tests.harvest.conftest import publish
from tests.harvest.test_iati import FIRST, SECOND, list_expenditures
from tests.harvest.world import AT, EXPORT, HOST, SPDX, find_narrative, get_value, read_export, read_graph
from tests.plans.world import report

pytestmark = pytest.mark.one_engine


world, database = begin_with(publish)


@pytest.fixture
def published(connect: ConnectAs) -> TestClient:
    """The secretariat, with a plan in its second revision, a draft, and a frozen and corrected quarter."""
    return connect(("secretariat", "63.02"))


@pytest.fixture
def movers(connect: ConnectAs) -> Movers:
    return Movers(connect)


PLAN = "/v1/plans/63.02-2026"
REVISIONS = f"{PLAN}/revisions"
SNAPSHOT = "/v1/snapshots/2026-Q2/63.02"
OPENED = (AT, EXPORT, PLAN, REVISIONS, f"{REVISIONS}/1", f"{REVISIONS}/1/differences", SNAPSHOT)
PULL = "/v1/pulls/2026-Q2"
Open = Callable[[str], None]


@pytest.fixture
def open_to_public(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> Open:
    def open_regions(regions: str) -> None:
        monkeypatch.setattr(app.state.settings, "public_regions", regions)

    return open_regions


@pytest.fixture
def anonymous_reader(published: TestClient, open_to_public: Open) -> TestClient:
    """A caller without a token after Kotabaru opened; an amendment and a further quarter are under way."""
    report(published, "A-1", 3, spent=77, obstacle="Belum dibekukan")
    open_to_public("63.02")
    client = TestClient(published.app)
    client.portal = published.portal
    return client


def test_the_public_reads_the_plan_in_force_by_any_clock(
    anonymous_reader: TestClient, database: OneTransaction
) -> None:
    before = anonymous_reader.get(PLAN).json()
    table = get_table(PlanRevisionRow)
    with database.writing() as session:
        session.execute(sa.update(table).values(adopted_at=datetime(2999, 1, 1, tzinfo=UTC)))
    reply = anonymous_reader.get(PLAN)
    assert (reply.status_code, before["revision"]) == (200, 1)
    assert {**reply.json(), "updated_at": ""} == {**before, "updated_at": ""}
    by_day = anonymous_reader.get(f"{PLAN}?as_of=2999-01-01").json()
    assert by_day == reply.json()


def test_stranger_follows_every_address_of_the_catalogue(anonymous_reader: TestClient) -> None:
    graph = read_graph(anonymous_reader)
    datasets = set(graph.subjects(RDF.type, DCAT.Dataset))
    assert len(datasets) == 2
    checked = 0
    for file in graph.subjects(RDF.type, DCAT.Distribution):
        for address in {*graph.objects(file, DCAT.downloadURL), *graph.objects(file, DCAT.accessURL)}:
            reply = anonymous_reader.get(str(address).removeprefix(HOST))
            assert reply.status_code == 200, address
            assert reply.headers["Cache-Control"] == "public, max-age=300"
            assert reply.headers["Access-Control-Allow-Origin"] == "*"
            assert "Authorization" in reply.headers["Vary"]
            for checksum in graph.objects(file, SPDX.checksum):
                checksum_value = str(get_value(graph, checksum, SPDX.checksumValue)).casefold()
                assert checksum_value == hashlib.sha256(reply.content).hexdigest()
                checked += 1
    assert checked == 4
    for node in datasets | {get_value(graph, dataset, DCTERMS.spatial) for dataset in datasets}:
        assert isinstance(node, URIRef)
        assert anonymous_reader.get(node.removeprefix(HOST)).status_code == 200, node


def test_unfrozen_quarters_are_hidden(anonymous_reader: TestClient, published: TestClient) -> None:
    assert list_expenditures(read_export(published)[FIRST]) == [("2026-06-30", "5"), ("2026-09-30", "72")]
    assert list_expenditures(read_export(anonymous_reader)[FIRST]) == [("2026-06-30", "5")]
    assert published.get("/v1/pulls/2026-Q3").status_code == 200
    for nothing in ("/v1/pulls/2026-Q3", "/v1/digests/2026-Q3", "/v1/snapshots/2026-Q3/63.02"):
        assert anonymous_reader.get(nothing).json()["code"] == "not_found", nothing
    for draft in ("/v1/plans/63.02-2027", "/v1/plans/63.02-2027/revisions", "/v1/exports/iati/63.02-2027"):
        assert anonymous_reader.get(draft).json()["code"] == "not_found", draft


def test_an_amendment_is_hidden(anonymous_reader: TestClient, published: TestClient, movers: Movers) -> None:
    addresses = [*OPENED, PULL, "/v1/digests/2026-Q2"]
    before = {address: anonymous_reader.get(address) for address in addresses}
    assert movers.move("amend").status_code == 200
    amend(published, "A-2", [because()], title="Posyandu baru", **budget(99))
    report(published, "A-2", 4, spent=3)
    public, internal = before[PLAN].json(), published.get(PLAN).json()
    assert (public["state"], public["revision"], public["allowed"]) == ("adopted", 1, [])
    assert public["version"] < internal["version"]
    for address, reply in before.items():
        now = anonymous_reader.get(address)
        assert (now.status_code, now.content) == (200, reply.content), address
        assert now.headers["ETag"] == reply.headers["ETag"], address
        assert (
            anonymous_reader.get(address, headers={"If-None-Match": now.headers["ETag"]}).status_code == 304
        )
    for verb in ("submit", "endorse", "adopt"):
        assert movers.move(verb).status_code == 200
    assert [item["revision"] for item in anonymous_reader.get(REVISIONS).json()["items"]] == [0, 1, 2]
    assert find_narrative(read_export(anonymous_reader)[SECOND], "title") == "Posyandu baru"
    assert anonymous_reader.get(PLAN).json()["allocation"] == 250_000_099


def test_pull_of_a_frozen_quarter(anonymous_reader: TestClient, published: TestClient) -> None:
    """The lines equal those of a caller with a token; the cursor reveals nothing of the journal."""
    ours, theirs = (caller.get(PULL).text.splitlines() for caller in (published, anonymous_reader))
    assert theirs[:-1] == ours[:-1]
    mine, end = (json.loads(lines[-1])["end"] for lines in (ours, theirs))
    assert end["sha256"] == mine["sha256"] == anonymous_reader.get("/v1/digests/2026-Q2").json()["sha256"]
    assert end["cursor"] != mine["cursor"]
    assert published.get("/v1/changes", params={"after": end["cursor"]}).json()["items"][0]["sequence"] == 1
    for format in ("csv", "parquet", "xlsx"):
        assert anonymous_reader.get(f"{PULL}.{format}").status_code == 200
    part = anonymous_reader.get(PULL, headers={"Range": "bytes=0-9"})
    assert (part.status_code, part.headers["Cache-Control"]) == (206, "public, max-age=300")


def test_a_token_never_narrows_public_reading(
    anonymous_reader: TestClient, published: TestClient, stranger: TestClient, connect: ConnectAs
) -> None:
    """A caller whose token has no membership here, or no read scope, reads what anonymous callers read."""
    writer = connect(("secretariat", "63.02"), scopes=(TokenScope.write,))
    for address in (*OPENED, PULL, "/v1/snapshots", "/v1/regions/63.02"):
        open_reply = anonymous_reader.get(address)
        for caller in (stranger, connect(("secretariat", "63.01")), writer):
            reply = caller.get(address)
            assert (reply.status_code, reply.content) == (200, open_reply.content), address
            assert reply.headers["Cache-Control"].startswith("private"), address
            assert "Access-Control-Allow-Origin" not in reply.headers
    for closed in (f"{PLAN}/actions", f"{PLAN}/summary?period=2026-Q2", f"{PLAN}/history"):
        assert stranger.get(closed).status_code == 404
        assert anonymous_reader.get(closed).status_code == 401
    for address in (EXPORT, PLAN, REVISIONS, PULL):
        for member in (published, connect(("reader", "63"))):
            assert member.get(address).headers["ETag"] != anonymous_reader.get(address).headers["ETag"], (
                address
            )
    assert published.get("/v1/plans/63.02-2027").json()["state"] == "draft"


def test_only_members_see_authors(
    anonymous_reader: TestClient, published: TestClient, stranger: TestClient
) -> None:
    lists = {REVISIONS: "adopted_by", "/v1/snapshots": "frozen_by", f"{SNAPSHOT}/amendments": "frozen_by"}
    for address, name in lists.items():
        internal = published.get(address).json()["items"]
        assert all(item[name] for item in internal), address
        for caller in (anonymous_reader, stranger):
            assert caller.get(address).json()["items"] == [{**item, name: ""} for item in internal]


def test_only_opened_regions_are_public(
    published: TestClient, anonymous: TestClient, open_to_public: Open
) -> None:
    for regions, expected in {"63.02": 200, "63": 200, "0": 200, "64, 63.01": 404, "": 401}.items():
        open_to_public(regions)
        for address in (*OPENED[1:], PULL):
            assert anonymous.get(address).status_code == expected, f"{address} where {regions} is opened"
        listed = anonymous.get(AT)
        assert listed.status_code == 200 if regions else 401
        assert len(listed.json().get("items", ())) == (2 if expected == 200 else 0)
        assert ("Access-Control-Allow-Origin" in listed.headers) == bool(regions)
    open_to_public("63")
    hidden = anonymous.get("/v1/plans/63.02-2027")
    assert (hidden.status_code, hidden.headers["Cache-Control"]) == (404, "no-store")
    assert hidden.headers["Access-Control-Allow-Origin"] == "*"
    for sent in ("Bearer rata_none", "Bearer ", "", "Basic Og==", "Bearer a.b.c"):
        for address in (AT, PULL, "/v1/regions"):
            refused = anonymous.get(address, headers={"Authorization": sent})
            assert refused.status_code == 401, f"{address} with {sent}"
            assert "Access-Control-Allow-Origin" not in refused.headers
    headers = {"Origin": "https://portal.example", "Access-Control-Request-Method": "GET"}
    for reply in (anonymous.options(AT, headers=headers), anonymous.put(PLAN, json={}, headers=headers)):
        assert reply.status_code in (401, 405)
        assert not [name for name in reply.headers if name.startswith("access-control")]
