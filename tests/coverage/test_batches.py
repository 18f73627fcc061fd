"""Many villages in one call: all or none, or each by itself, by as many statements as few."""

from collections.abc import Callable

import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.kit.database.engine import get_table
from app.kit.database.journal import JournalRow
from tests.coverage.world import ANY, AT, SEKAPUNG, VILLAGES, add_villages, figures, item, put
from tests.database import OneTransaction
from tests.pages import walk
from tests.plans.world import refused, rows


def test_many_at_once_and_again(secretariat: TestClient) -> None:
    items = [item(village) for village in VILLAGES]
    done = secretariat.put(AT, json={"items": items}).json()
    assert (done["created"], done["updated"], done["unchanged"]) == (5, 0, 0)
    assert [one["code"] for one in done["items"]] == VILLAGES
    assert secretariat.put(AT, json={"items": items}).status_code == 428
    assert secretariat.put(AT, json={"items": items}, headers={"If-None-Match": "*"}).status_code == 412
    tag = secretariat.get(f"{AT}?region=63.02.01&limit=1").headers["ETag"]
    items[0] = item(VILLAGES[0], {"livelihood": (5, 5)})
    again = secretariat.put(AT, json={"items": items}, headers={"If-Match": tag}).json()
    assert (again["created"], again["updated"], again["unchanged"]) == (0, 1, 4)
    assert secretariat.put(AT, json={"items": items}, headers={"If-Match": tag}).status_code == 412
    assert figures(secretariat, "63.02.01")["villages_reporting"] == 5


def test_all_or_none_and_each(secretariat: TestClient) -> None:
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
    done = secretariat.put(f"{AT}?each=true", json={"items": items}).json()
    assert [one["status"] for one in done["items"]] == ["created", *["refused"] * 4]
    assert figures(secretariat, "63.02")["villages_reporting"] == 1


def test_trial_keeps_nothing(secretariat: TestClient) -> None:
    done = secretariat.put(f"{AT}?dry_run=true", json={"items": [item(SEKAPUNG)]})
    assert done.json()["created"] == 1
    assert secretariat.get(f"{AT}/{SEKAPUNG}").status_code == 404
    assert figures(secretariat, "63.02")["villages_reporting"] == 0


def test_a_province_in_one_call(connect: Callable[..., TestClient], database: OneTransaction) -> None:
    """Rights are asked in each regency; an administrator of the province has them below it."""
    other = add_villages(database, "63.03", 1, 2)
    batch = {"items": [item(village) for village in (SEKAPUNG, *other)]}
    assert connect(("reader", "63")).put(AT, json=batch).status_code == 403
    assert connect(("secretariat", "63")).put(AT, json=batch).status_code == 404
    both = connect(("reader", "63"), ("secretariat", "63.02"))
    assert both.put(AT, json=batch).status_code == 403
    each = both.put(f"{AT}?each=true", json=batch).json()
    assert [one["status"] for one in each["items"]] == ["created", "refused", "refused"]
    assert each["items"][1]["errors"][0]["code"] == "not_your_region"
    done = connect(("administrator", "63")).put(AT, json=batch, headers=ANY).json()
    assert (done["created"], done["unchanged"]) == (2, 1)
    table = get_table(JournalRow)
    chains = rows(
        database,
        sa.select(table.c.chain, sa.func.count())
        .where(table.c.kind == "coverage.created")
        .group_by(table.c.chain),
    )
    assert sorted(map(tuple, chains)) == [("coverage:63.02", 1), ("coverage:63.03", 2)]


def test_two_thousand_villages_by_as_many_statements_as_six(
    national_administrator: TestClient, database: OneTransaction
) -> None:
    villages = add_villages(database, "63.03", 20, 100)
    counted = []
    for chosen in (villages[:6], villages):
        database.statements.clear()
        batch = {"items": [item(village) for village in chosen]}
        done = national_administrator.put(AT, json=batch, headers=ANY)
        assert done.status_code == 200, done.text[:500]
        counted.append(len(database.statements))
    assert counted[1] <= counted[0] < 40
    found = figures(national_administrator, "63")
    assert (found["villages_reporting"], found["eligible"], found["served"]) == (2000, 1_040_000, 764_000)
    database.statements.clear()
    put(national_administrator, villages[0], {"livelihood": (1, 1)})
    assert len(database.statements) < 60
