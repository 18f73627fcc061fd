"""Definitions, observations and targets through the front door."""

from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.access.rules import CONSOLE
from app.convergence.indicators.commands import load_indicators
from app.convergence.indicators.queries import read_outcome_inputs
from app.kit.database.journal import Author
from tests.common import ConnectAs
from tests.database import OneTransaction

ANY = {"If-Match": "*"}
KOTABARU = "/v1/regions/63.02/indicators/p0"
DEFINITION: dict[str, Any] = {
    "name": "Prevalensi tengkes",
    "name_english": "Stunting prevalence",
    "unit": "percent",
    "direction": "lower_is_better",
    "publisher": "Kementerian Kesehatan, SSGI",
    "frequency": "yearly",
    "decimals": 1,
    "minimum": 0,
    "maximum": 100,
    "aliases": ["Stunting"],
    "related": ["p0"],
    "edition": "2021",
}


def item(region: str, period: str, value: float | None = None, **more: Any) -> dict[str, Any]:
    return {"region_code": region, "indicator": "p0", "period": period, "value": value, **more}


def put(client: TestClient, *items: dict[str, Any], status: int = 200) -> Any:
    reply = client.put("/v1/observations", json={"items": items}, headers=ANY)
    assert reply.status_code == status, reply.text
    return reply.json()


# Definitions


def test_definition_of_a_new_indicator(
    national_administrator: TestClient, secretariat: TestClient, connect: ConnectAs
) -> None:
    at = "/v1/indicators/stunting"
    for client in (secretariat, connect(("administrator", "63"))):
        assert client.put(at, json=DEFINITION).status_code == 403
    made = national_administrator.put(at, json=DEFINITION)
    assert (made.status_code, made.json()["shipped"], made.json()["allowed"]) == (201, False, ["edit"])
    assert secretariat.get(at).json()["allowed"] == []
    history = secretariat.get(f"{at}/history").json()["items"]
    assert [one["kind"] for one in history] == ["indicator.created"]
    for wrong, pointer in (
        ({"months": [3, 9]}, "/months"),
        ({"frequency": "half_yearly", "months": [3, 9]}, "/annual_month"),
        ({"frequency": "half_yearly", "months": [9, 3], "annual_month": 3}, "/months"),
        ({"minimum": 100}, "/maximum"),
        ({"related": ["p0", "p0"]}, "/related/1"),
        ({"related": ["p9"]}, "/related/0"),
    ):
        reply = national_administrator.put(at, json={**DEFINITION, **wrong}, headers=ANY)
        assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (422, pointer), wrong
    assert national_administrator.put("/v1/indicators/Stunting!", json=DEFINITION).status_code == 422


def test_what_an_administrator_replaced_stays(
    national_administrator: TestClient, database: OneTransaction
) -> None:
    shipped = national_administrator.get("/v1/indicators/p0").json()
    assert (shipped["shipped"], shipped["version"], shipped["months"]) == (True, 1, [3, 9])
    told = {name: shipped[name] for name in shipped if name not in ("code", "shipped", "version", "allowed")}
    told["name"] = "Tingkat kemiskinan"
    assert national_administrator.put("/v1/indicators/p0", json=told, headers=ANY).json()["version"] == 2
    with database.writing() as session:
        assert load_indicators(session, Author(CONSOLE.token, datetime.now(UTC))) == []
    assert national_administrator.get("/v1/indicators/p0").json()["name"] == "Tingkat kemiskinan"
    assert "Tingkat kemiskinan" in {
        one["name"] for one in national_administrator.get("/v1/indicators").json()["items"]
    }


@pytest.mark.both_engines
def test_frequency_stays_under_observations(national_administrator: TestClient) -> None:
    at = "/v1/indicators/stunting"
    national_administrator.put(at, json=DEFINITION)
    half = {**DEFINITION, "frequency": "half_yearly", "months": [3, 9], "annual_month": 3}
    assert national_administrator.put(at, json=half, headers=ANY).status_code == 200
    assert national_administrator.put(at, json=DEFINITION, headers=ANY).status_code == 200
    put(national_administrator, {**item("63", "2021", 30.0), "indicator": "stunting"})
    reply = national_administrator.put(at, json=half, headers=ANY)
    assert (reply.status_code, reply.json()["code"]) == (409, "indicator_in_use")


# Observations


def test_a_symbol_is_no_number(national_administrator: TestClient, secretariat: TestClient) -> None:
    at = f"{KOTABARU}/observations/2021-S1"
    made = national_administrator.put(at, json={"symbol": "...", "flags": ["*"]})
    assert made.status_code == 201
    told = secretariat.get(at).json()
    assert (told["value"], told["symbol"], told["flags"], told["region_name"], told["allowed"]) == (
        None,
        "...",
        ["*"],
        "Kabupaten Kotabaru",
        [],
    )
    for body in ({}, {"value": 4.5, "symbol": "-"}, {"symbol": "0"}, {"value": "4.5"}, {"value": True}):
        assert national_administrator.put(at, json=body, headers=ANY).status_code == 422, body
    revised = national_administrator.put(
        at, json={"value": 4.56, "flags": ["r"]}, headers={"If-Match": '"1"'}
    )
    assert (revised.status_code, revised.json()["version"]) == (200, 2)
    assert (
        national_administrator.put(at, json={"value": 4.56, "flags": ["r"]}, headers=ANY).json()["version"]
        == 2
    )
    history = secretariat.get(f"{at}/history").json()["items"]
    assert [one["changes"].get("value") for one in history] == [None, [None, 4.56]]
    assert history[1]["changes"]["symbol"] == ["...", None]


def test_zero_is_a_number(national_administrator: TestClient) -> None:
    put(national_administrator, item("63.02", "2021-S1", 0))
    told = national_administrator.get(f"{KOTABARU}/observations/2021-S1").json()
    assert (told["value"], told["symbol"]) == (0, None)


def test_many_are_written_whole_or_not_at_all(
    national_administrator: TestClient, database: OneTransaction
) -> None:
    reply = put(
        national_administrator,
        item("63.02", "2021-S1", 4.56),
        item("63.99", "2021-S1", 4.56),
        item("63", "2021", 4.83),
        item("63", "2021-S1", 101),
        item("63", "2021-S2", 4.831),
        {**item("63", "2021", 1), "indicator": "p9"},
        status=422,
    )
    assert [(error["pointer"], error["code"]) for error in reply["errors"]] == [
        ("/items/1/region_code", "unknown_reference"),
        ("/items/2/period", "wrong_observed_period"),
        ("/items/3/value", "outside_unit"),
        ("/items/4/value", "too_many_decimals"),
        ("/items/5/indicator", "unknown_reference"),
    ]
    assert national_administrator.get("/v1/observations").json()["items"] == []
    many = [item("63.02", f"{year}-S{half}", 4.5) for year in range(1950, 2050) for half in (1, 2)]
    before = len(database.statements)
    assert put(national_administrator, *many[:2])["created"] == 2
    few = len(database.statements) - before
    assert put(national_administrator, *many) | {"series": []} == {
        "created": 198,
        "updated": 0,
        "unchanged": 2,
        "series": [],
    }
    assert len(database.statements) - before - few <= few
    twice = put(national_administrator, many[0], many[0], status=422)
    assert twice["errors"][0]["pointer"] == "/items/1"


def test_who_reads_and_who_writes(
    national_administrator: TestClient, secretariat: TestClient, stranger: TestClient, connect: ConnectAs
) -> None:
    put(national_administrator, item("63.02", "2021-S1", 4.56))
    for client in (secretariat, stranger, connect(("reader", "73"))):
        assert client.get("/v1/observations").json()["items"][0]["value"] == 4.56
        assert client.get(f"{KOTABARU}/observations/2021-S1").json()["allowed"] == []
        assert (
            client.put("/v1/observations", json={"items": [item("63.02", "2021-S1", 1)]}).status_code == 403
        )
        assert client.delete(f"{KOTABARU}/observations/2021-S1", headers=ANY).status_code == 403


def test_lists(national_administrator: TestClient) -> None:
    put(
        national_administrator,
        *[
            item(region, f"{year}-S1", 5.0)
            for region in ("0", "63", "63.02", "73.22")
            for year in (2020, 2021)
        ],
        {**item("63.02", "2021", 70.0), "indicator": "hdi"},
    )

    def found(**query: str) -> list[tuple[str, str, str]]:
        items = national_administrator.get("/v1/observations", params=query).json()["items"]
        return [(one["region_code"], one["indicator"], one["period"]) for one in items]

    assert len(found()) == 9
    assert found(region="63", period="2021") == [
        ("63", "p0", "2021-S1"),
        ("63.02", "hdi", "2021"),
        ("63.02", "p0", "2021-S1"),
    ]
    assert found(period="2021-S1", level="regency") == [
        ("63.02", "p0", "2021-S1"),
        ("73.22", "p0", "2021-S1"),
    ]
    assert found(sort="-period", indicator="p0", region="73") == [
        ("73.22", "p0", "2021-S1"),
        ("73.22", "p0", "2020-S1"),
    ]
    tag = national_administrator.get("/v1/observations").headers["ETag"]
    assert national_administrator.get("/v1/observations", headers={"If-None-Match": tag}).status_code == 304
    put(national_administrator, item("63.03", "2021-S1", 5.0))
    assert national_administrator.get("/v1/observations", headers={"If-None-Match": tag}).status_code == 200


def test_the_feed_tells_everybody(national_administrator: TestClient, connect: ConnectAs) -> None:
    reader = connect(("reader", "73"))
    after = reader.get("/v1/changes", params={"after": "now"}).json()["next"]
    put(national_administrator, item("63.02", "2021-S1", 4.56))
    gone = national_administrator.delete(f"{KOTABARU}/observations/2021-S1", headers=ANY)
    assert gone.status_code == 204
    items = reader.get("/v1/changes", params={"after": after}).json()["items"]
    assert [(one["kind"], one["region_code"]) for one in items] == [
        ("observation.created", "0"),
        ("observation.deleted", "0"),
    ]
    assert items[0]["subject"] == "regions/63.02/indicators/p0/observations/2021-S1"


# Targets


TARGET = {"value": 3.9, "baseline": 4.56, "baseline_year": 2021, "document": "RPKD 2025-2029"}


def test_targets_are_the_regions(
    national_administrator: TestClient, secretariat: TestClient, connect: ConnectAs, stranger: TestClient
) -> None:
    at = f"{KOTABARU}/targets/2026"
    neighbour, reader = connect(("secretariat", "63.03")), connect(("reader", "63"))
    assert neighbour.put(at, json=TARGET).status_code == 404
    assert reader.put(at, json=TARGET).status_code == 403
    assert secretariat.put(at, json=TARGET).status_code == 201
    assert reader.get(at).json()["allowed"] == []
    for client in (neighbour, stranger):
        assert client.get(at).status_code == 404
        assert client.get("/v1/targets").json()["items"] == []
    assert (
        reader.get("/v1/targets", params={"region": "63", "year": "2026"}).json()["items"][0]["value"] == 3.9
    )
    assert (
        secretariat.put(at, json={**TARGET, "value": 3.95}, headers={"If-Match": '"1"'}).json()["version"]
        == 2
    )
    assert secretariat.delete(at, headers=ANY).status_code == 204
    kinds = [one["kind"] for one in secretariat.get(f"{at}/history").json()["items"]]
    assert kinds == ["target.created", "target.changed", "target.deleted"]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"baseline_year": 2026}, "/baseline_year"),
        ({"value": 101}, "/value"),
        ({"baseline": -1}, "/baseline"),
        ({"value": None}, "/value"),
    ],
)
def test_targets_that_are_none(secretariat: TestClient, change: dict[str, Any], pointer: str) -> None:
    reply = secretariat.put(f"{KOTABARU}/targets/2026", json={**TARGET, **change})
    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (422, pointer)


def test_addresses_that_are_none(secretariat: TestClient) -> None:
    for at in ("targets/26", "targets/2014", "targets/x", "observations/2021-Q1"):
        assert secretariat.get(f"{KOTABARU}/{at}").status_code == 404, at
    assert secretariat.put("/v1/regions/63.02/indicators/p9/targets/2026", json=TARGET).status_code == 404


def test_observations_of_what_is_not_there(national_administrator: TestClient) -> None:
    for at in ("63.99/indicators/p0/observations/2021-S1", "63.02/indicators/p9/observations/2021-S1"):
        assert national_administrator.put(f"/v1/regions/{at}", json={"value": 1}).status_code == 404
    wrong = national_administrator.put("/v1/regions/63.02/indicators/p0/observations/2021", json={"value": 1})
    assert (wrong.status_code, wrong.json()["errors"][0]["parameter"]) == (422, "period")


def test_outcome_inputs_are_one_statement(
    national_administrator: TestClient, database: OneTransaction
) -> None:
    put(
        national_administrator,
        item("63.02", "2021-S1", 4.56),
        item("63.02", "2024-S1", 4.3),
        item("63.02", "2025-S2", 4.2),
        item("63.02", "2026-S1", None, symbol="..."),
        item("63.02", "2027-S1", 1.0),
        item("63.03", "2021-S1", 3.0),
    )
    for region in ("63.02", "63.03", "73.22"):
        reply = national_administrator.put(f"/v1/regions/{region}/indicators/p0/targets/2026", json=TARGET)
        assert reply.status_code == 201
    with database.read_session() as session:
        before = len(database.statements)
        found = read_outcome_inputs(session, ["63.02", "63.03"], 2026)
        assert len(database.statements) - before == 1
    assert [(one.region_code, one.actual, one.actual_period) for one in found] == [
        ("63.02", 4.2, "2025-S2"),
        ("63.03", None, None),
    ]
    assert (found[0].baseline, found[0].target, found[0].direction) == (4.56, 3.9, "lower_is_better")
