"""Definitions, observations and targets over HTTP."""

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


def test_only_the_national_administrator_defines_an_indicator(
    national_administrator: TestClient, secretariat: TestClient, connect: ConnectAs
) -> None:
    path = "/v1/indicators/stunting"
    for client in (secretariat, connect(("administrator", "63"))):
        assert client.put(path, json=DEFINITION).status_code == 403
    created = national_administrator.put(path, json=DEFINITION)
    assert (created.status_code, created.json()["shipped"], created.json()["allowed"]) == (
        201,
        False,
        ["edit"],
    )
    assert secretariat.get(path).json()["allowed"] == []
    history = secretariat.get(f"{path}/history").json()["items"]
    assert [entry["kind"] for entry in history] == ["indicator.created"]
    for wrong, pointer in (
        ({"months": [3, 9]}, "/months"),
        ({"frequency": "half_yearly", "months": [3, 9]}, "/annual_month"),
        ({"frequency": "half_yearly", "months": [9, 3], "annual_month": 3}, "/months"),
        ({"minimum": 100}, "/maximum"),
        ({"related": ["p0", "p0"]}, "/related/1"),
        ({"related": ["p9"]}, "/related/0"),
    ):
        reply = national_administrator.put(path, json={**DEFINITION, **wrong}, headers=ANY)
        assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (422, pointer), wrong
    assert national_administrator.put("/v1/indicators/Stunting!", json=DEFINITION).status_code == 422


def test_loading_the_shipped_indicators_keeps_a_changed_definition(
    national_administrator: TestClient, database: OneTransaction
) -> None:
    shipped = national_administrator.get("/v1/indicators/p0").json()
    assert (shipped["shipped"], shipped["version"], shipped["months"]) == (True, 1, [3, 9])
    definition = {
        name: shipped[name] for name in shipped if name not in ("code", "shipped", "version", "allowed")
    }
    definition["name"] = "Tingkat kemiskinan"
    assert (
        national_administrator.put("/v1/indicators/p0", json=definition, headers=ANY).json()["version"] == 2
    )
    with database.writing() as session:
        assert load_indicators(session, Author(CONSOLE.token, datetime.now(UTC))) == []
    assert national_administrator.get("/v1/indicators/p0").json()["name"] == "Tingkat kemiskinan"
    assert "Tingkat kemiskinan" in {
        indicator["name"] for indicator in national_administrator.get("/v1/indicators").json()["items"]
    }


@pytest.mark.both_engines
def test_the_frequency_cannot_change_once_there_are_observations(national_administrator: TestClient) -> None:
    path = "/v1/indicators/stunting"
    national_administrator.put(path, json=DEFINITION)
    half = {**DEFINITION, "frequency": "half_yearly", "months": [3, 9], "annual_month": 3}
    assert national_administrator.put(path, json=half, headers=ANY).status_code == 200
    assert national_administrator.put(path, json=DEFINITION, headers=ANY).status_code == 200
    put(national_administrator, {**item("63", "2021", 30.0), "indicator": "stunting"})
    reply = national_administrator.put(path, json=half, headers=ANY)
    assert (reply.status_code, reply.json()["code"]) == (409, "indicator_in_use")


# Observations


def test_a_symbol_is_stored_without_a_value(
    national_administrator: TestClient, secretariat: TestClient
) -> None:
    path = f"{KOTABARU}/observations/2021-S1"
    created = national_administrator.put(path, json={"symbol": "...", "flags": ["*"]})
    assert created.status_code == 201
    observation = secretariat.get(path).json()
    assert (
        observation["value"],
        observation["symbol"],
        observation["flags"],
        observation["region_name"],
        observation["allowed"],
    ) == (
        None,
        "...",
        ["*"],
        "Kabupaten Kotabaru",
        [],
    )
    for body in ({}, {"value": 4.5, "symbol": "-"}, {"symbol": "0"}, {"value": "4.5"}, {"value": True}):
        assert national_administrator.put(path, json=body, headers=ANY).status_code == 422, body
    revised = national_administrator.put(
        path, json={"value": 4.56, "flags": ["r"]}, headers={"If-Match": '"1"'}
    )
    assert (revised.status_code, revised.json()["version"]) == (200, 2)
    assert (
        national_administrator.put(path, json={"value": 4.56, "flags": ["r"]}, headers=ANY).json()["version"]
        == 2
    )
    history = secretariat.get(f"{path}/history").json()["items"]
    assert [entry["changes"].get("value") for entry in history] == [None, [None, 4.56]]
    assert history[1]["changes"]["symbol"] == ["...", None]


def test_zero_is_stored_as_a_value(national_administrator: TestClient) -> None:
    put(national_administrator, item("63.02", "2021-S1", 0))
    observation = national_administrator.get(f"{KOTABARU}/observations/2021-S1").json()
    assert (observation["value"], observation["symbol"]) == (0, None)


def test_a_batch_is_written_as_a_whole_or_refused(
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
    many = [item("63.02", f"{year}-S{half}", 4.5) for year in range(1920, 2020) for half in (1, 2)]
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


def test_all_users_read_but_only_the_national_administrator_writes(
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


def test_lists_filter_and_sort_observations(national_administrator: TestClient) -> None:
    put(
        national_administrator,
        *[
            item(region, f"{year}-S1", 5.0)
            for region in ("0", "63", "63.02", "73.22")
            for year in (2020, 2021)
        ],
        {**item("63.02", "2021", 70.0), "indicator": "hdi"},
    )

    def list_keys(**query: str) -> list[tuple[str, str, str]]:
        items = national_administrator.get("/v1/observations", params=query).json()["items"]
        return [(row["region_code"], row["indicator"], row["period"]) for row in items]

    assert len(list_keys()) == 9
    assert list_keys(region="63", period="2021") == [
        ("63", "p0", "2021-S1"),
        ("63.02", "hdi", "2021"),
        ("63.02", "p0", "2021-S1"),
    ]
    assert list_keys(period="2021-S1", level="regency") == [
        ("63.02", "p0", "2021-S1"),
        ("73.22", "p0", "2021-S1"),
    ]
    assert list_keys(sort="-period", indicator="p0", region="73") == [
        ("73.22", "p0", "2021-S1"),
        ("73.22", "p0", "2020-S1"),
    ]
    tag = national_administrator.get("/v1/observations").headers["ETag"]
    assert national_administrator.get("/v1/observations", headers={"If-None-Match": tag}).status_code == 304
    put(national_administrator, item("63.03", "2021-S1", 5.0))
    assert national_administrator.get("/v1/observations", headers={"If-None-Match": tag}).status_code == 200


@pytest.mark.both_engines
def test_the_feed_shows_observations_to_all_users(
    national_administrator: TestClient, connect: ConnectAs
) -> None:
    reader = connect(("reader", "73"))
    after = reader.get("/v1/changes", params={"after": "now"}).json()["next"]
    put(national_administrator, item("63.02", "2021-S1", 4.56))
    gone = national_administrator.delete(f"{KOTABARU}/observations/2021-S1", headers=ANY)
    assert gone.status_code == 204
    items = reader.get("/v1/changes", params={"after": after}).json()["items"]
    assert [(entry["kind"], entry["region_code"]) for entry in items] == [
        ("observation.created", "0"),
        ("observation.deleted", "0"),
    ]
    assert items[0]["subject"] == "regions/63.02/indicators/p0/observations/2021-S1"


# Targets


TARGET = {"value": 3.9, "baseline": 4.56, "baseline_year": 2021, "document": "RPKD 2025-2029"}


def test_targets_belong_to_their_region(
    national_administrator: TestClient, secretariat: TestClient, connect: ConnectAs, stranger: TestClient
) -> None:
    path = f"{KOTABARU}/targets/2026"
    neighbour, reader = connect(("secretariat", "63.03")), connect(("reader", "63"))
    assert neighbour.put(path, json=TARGET).status_code == 404
    assert reader.put(path, json=TARGET).status_code == 403
    assert secretariat.put(path, json=TARGET).status_code == 201
    assert reader.get(path).json()["allowed"] == []
    for client in (neighbour, stranger):
        assert client.get(path).status_code == 404
        assert client.get("/v1/targets").json()["items"] == []
    assert (
        reader.get("/v1/targets", params={"region": "63", "year": "2026"}).json()["items"][0]["value"] == 3.9
    )
    assert (
        secretariat.put(path, json={**TARGET, "value": 3.95}, headers={"If-Match": '"1"'}).json()["version"]
        == 2
    )
    assert secretariat.delete(path, headers=ANY).status_code == 204
    kinds = [entry["kind"] for entry in secretariat.get(f"{path}/history").json()["items"]]
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
def test_invalid_targets_are_refused(secretariat: TestClient, change: dict[str, Any], pointer: str) -> None:
    reply = secretariat.put(f"{KOTABARU}/targets/2026", json={**TARGET, **change})
    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (422, pointer)


def test_malformed_addresses_are_404(secretariat: TestClient) -> None:
    for path in ("targets/26", "targets/2014", "targets/x", "observations/2021-Q1"):
        assert secretariat.get(f"{KOTABARU}/{path}").status_code == 404, path
    assert secretariat.put("/v1/regions/63.02/indicators/p9/targets/2026", json=TARGET).status_code == 404


def test_observations_of_unknown_regions_or_indicators_are_404(national_administrator: TestClient) -> None:
    for path in ("63.99/indicators/p0/observations/2021-S1", "63.02/indicators/p9/observations/2021-S1"):
        assert national_administrator.put(f"/v1/regions/{path}", json={"value": 1}).status_code == 404
    wrong = national_administrator.put("/v1/regions/63.02/indicators/p0/observations/2021", json={"value": 1})
    assert (wrong.status_code, wrong.json()["errors"][0]["parameter"]) == (422, "period")


def test_reading_outcome_inputs_costs_one_statement(
    national_administrator: TestClient, database: OneTransaction
) -> None:
    put(
        national_administrator,
        item("63.02", "2021-S1", 4.56),
        item("63.02", "2022-S1", 4.3),
        item("63.02", "2023-S2", 4.2),
        item("63.02", "2024-S1", None, symbol="..."),
        item("63.02", "2025-S1", 1.0),
        item("63.03", "2021-S1", 3.0),
    )
    for region in ("63.02", "63.03", "73.22"):
        reply = national_administrator.put(f"/v1/regions/{region}/indicators/p0/targets/2024", json=TARGET)
        assert reply.status_code == 201
    with database.read_session() as session:
        before = len(database.statements)
        inputs = read_outcome_inputs(session, ["63.02", "63.03"], 2024)
        assert len(database.statements) - before == 1
    assert [(row.region_code, row.actual, row.actual_period) for row in inputs] == [
        ("63.02", 4.2, "2023-S2"),
        ("63.03", None, None),
    ]
    assert (inputs[0].baseline, inputs[0].target, inputs[0].direction) == (4.56, 3.9, "lower_is_better")
