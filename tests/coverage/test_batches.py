"""Many villages in one call: all or none, or each by itself, with a constant number of statements."""

from collections.abc import Callable

import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.kit.database.engine import get_table
from app.kit.database.journal import JournalRow
from tests.coverage.world import ANY, AT, SEKAPUNG, VILLAGES, add_villages, get_figures, item, put
from tests.database import OneTransaction
from tests.pages import walk
from tests.plans.world import read_rows, refused


def test_a_repeated_batch_writes_only_the_changes(secretariat: TestClient) -> None:
    items = [item(village) for village in VILLAGES]
    result = secretariat.put(AT, json={"items": items}).json()
    assert (result["created"], result["updated"], result["unchanged"]) == (5, 0, 0)
    assert [row["code"] for row in result["items"]] == VILLAGES
    assert secretariat.put(AT, json={"items": items}).status_code == 428
    assert secretariat.put(AT, json={"items": items}, headers={"If-None-Match": "*"}).status_code == 412
    tag = secretariat.get(f"{AT}?region=63.02.01&limit=1").headers["ETag"]
    items[0] = item(VILLAGES[0], {"livelihood": (5, 5)})
    repeated = secretariat.put(AT, json={"items": items}, headers={"If-Match": tag}).json()
    assert (repeated["created"], repeated["updated"], repeated["unchanged"]) == (0, 1, 4)
    assert secretariat.put(AT, json={"items": items}, headers={"If-Match": tag}).status_code == 412
    assert get_figures(secretariat, "63.02.01")["villages_reporting"] == 5


def test_a_batch_writes_all_none_or_each_of_its_villages(secretariat: TestClient) -> None:
    items = [
        item(SEKAPUNG),
        item(VILLAGES[0], {"safe_water": (3, 21), "electricity": (2, 3)}),
        item(VILLAGES[1], {"x": (1, 1)}),
        item("63.02.05.9999"),
        item(SEKAPUNG),
    ]
    expected = [
        ("/items/1/services/0/served", "served_over_eligible"),
        ("/items/1/services/1/served", "served_over_eligible"),
        ("/items/4/village", "duplicate_key"),
        ("/items/3/village", "unknown_reference"),
        ("/items/2/services/0/service", "unknown_reference"),
    ]
    assert refused(secretariat.put(AT, json={"items": items})) == expected
    assert list(walk(secretariat, f"{AT}?region=63.02")) == []
    result = secretariat.put(f"{AT}?each=true", json={"items": items}).json()
    assert [row["status"] for row in result["items"]] == ["created", *["refused"] * 4]
    assert get_figures(secretariat, "63.02")["villages_reporting"] == 1


def test_a_dry_run_keeps_nothing(secretariat: TestClient) -> None:
    reply = secretariat.put(f"{AT}?dry_run=true", json={"items": [item(SEKAPUNG)]})
    assert reply.json()["created"] == 1
    assert secretariat.get(f"{AT}/{SEKAPUNG}").status_code == 404
    assert get_figures(secretariat, "63.02")["villages_reporting"] == 0


def test_a_batch_checks_the_rights_in_each_regency(
    connect: Callable[..., TestClient], database: OneTransaction
) -> None:
    """An administrator of the province has the rights in all its regencies."""
    neighbours = add_villages(database, "63.03", 1, 2)
    batch = {"items": [item(village) for village in (SEKAPUNG, *neighbours)]}
    assert connect(("reader", "63")).put(AT, json=batch).status_code == 403
    assert connect(("secretariat", "63")).put(AT, json=batch).status_code == 404
    mixed = connect(("reader", "63"), ("secretariat", "63.02"))
    assert mixed.put(AT, json=batch).status_code == 403
    result = mixed.put(f"{AT}?each=true", json=batch).json()
    assert [row["status"] for row in result["items"]] == ["created", "refused", "refused"]
    assert result["items"][1]["errors"][0]["code"] == "not_your_region"
    batch_result = connect(("administrator", "63")).put(AT, json=batch, headers=ANY).json()
    assert (batch_result["created"], batch_result["unchanged"]) == (2, 1)
    table = get_table(JournalRow)
    chains = read_rows(
        database,
        sa.select(table.c.chain, sa.func.count())
        .where(table.c.kind == "coverage.created")
        .group_by(table.c.chain),
    )
    assert sorted(map(tuple, chains)) == [("coverage:63.02", 1), ("coverage:63.03", 2)]


def test_two_thousand_villages_cost_as_many_statements_as_six(
    national_administrator: TestClient, database: OneTransaction
) -> None:
    villages = add_villages(database, "63.03", 20, 100)
    counted = []
    for chosen in (villages[:6], villages):
        database.statements.clear()
        batch = {"items": [item(village) for village in chosen]}
        reply = national_administrator.put(AT, json=batch, headers=ANY)
        assert reply.status_code == 200, reply.text[:500]
        counted.append(len(database.statements))
    assert counted[1] <= counted[0] < 40
    result = get_figures(national_administrator, "63")
    assert (result["villages_reporting"], result["eligible"], result["served"]) == (2000, 1_040_000, 764_000)
    database.statements.clear()
    put(national_administrator, villages[0], {"livelihood": (1, 1)})
    assert len(database.statements) < 60
