"""The five analyses and the quadrants, by hand."""

import statistics
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.common import ConnectAs
from tests.database import OneTransaction
from tests.indicators.test_observations import ANY, TARGET, item, put

AT = "/v1/regions/63.02/indicators/p0/analysis"


@pytest.fixture
def told(national_administrator: TestClient) -> None:
    """P0 of March by year, for Kotabaru, a neighbour, the province and the nation, and two other indicators."""
    series = {
        "63.02": (4.6, 4.4, 4.5, 4.2, 4.56),
        "63.03": (5.0, 4.8, 4.7, 4.6, 4.4),
        "63": (4.9, 4.7, 4.7, 4.4, 4.83),
        "0": (10.6, 9.8, 9.4, 9.8, 10.14),
    }
    items = [
        item(region, f"{year}-S1", value)
        for region, values in series.items()
        for year, value in zip(range(2017, 2022), values, strict=True)
    ]
    items += [item("63.02", "2020-S2", 9.99), item("63.02", "2022-S1", None, symbol="...")]
    for year, value in zip(range(2017, 2022), (7.0, 7.1, 7.2, 7.3, 7.4), strict=True):
        items.append({**item("63.02", str(year), value), "indicator": "mean_years_schooling"})
    items.append({**item("63.03", "2021", 8.0), "indicator": "mean_years_schooling"})
    put(national_administrator, *items)


def analysis(client: TestClient, at: str = AT, **query: Any) -> Any:
    reply = client.get(at, params=query)
    assert reply.status_code == 200, reply.text
    return reply.json()


@pytest.mark.usefixtures("told")
def test_relative_position(secretariat: TestClient) -> None:
    found = analysis(secretariat, period="2021")
    assert (found["period"], found["value"]) == ("2021-S1", 4.56)
    position = found["relative_position"]
    assert position["province"] | {"flags": None} == {
        "region_code": "63",
        "region_name": "Kalimantan Selatan",
        "value": 4.83,
        "symbol": None,
        "flags": None,
        "difference": -0.27,
        "is_worse": False,
        "reason": None,
    }
    assert (position["nation"]["value"], position["nation"]["difference"]) == (10.14, -5.58)
    assert (position["rank"], position["ranked"]) == (2, 2)
    assert [(one["region_code"], one["value"]) for one in position["siblings"]] == [
        ("63.02", 4.56),
        ("63.03", 4.4),
    ]


@pytest.mark.usefixtures("told")
def test_change_over_time(secretariat: TestClient) -> None:
    found = analysis(secretariat)["change_over_time"]
    assert [(one["period"], one["value"], one["change"]) for one in found["series"]] == [
        ("2017-S1", 4.6, None),
        ("2018-S1", 4.4, -0.2),
        ("2019-S1", 4.5, 0.1),
        ("2020-S1", 4.2, -0.3),
        ("2021-S1", 4.56, 0.36),
    ], "March with March; a symbol is not the newest value"
    assert found["series"][1]["change_percent"] == -4.35
    assert (found["change"], found["change_percent"], found["change_per_year"], found["trend"]) == (
        -0.04,
        -0.87,
        -0.01,
        "improving",
    )
    later = analysis(secretariat, period="2022-S1")
    assert (later["value"], later["change_over_time"]["series"][-1]["symbol"]) == (None, "...")
    assert later["relative_position"]["reason"] == "no_observation"


@pytest.mark.usefixtures("told")
def test_effectiveness(secretariat: TestClient, connect: ConnectAs) -> None:
    found = analysis(secretariat, since=2019)["effectiveness"]
    assert (found["per_year_before"], found["per_year_after"], found["trend"], found["is_faster"]) == (
        -0.05,
        0.03,
        "worsening",
        False,
    )
    assert found["target"] is None
    assert analysis(secretariat)["effectiveness"]["reason"] == "no_base"
    target = {**TARGET, "baseline": 4.6, "baseline_year": 2017, "value": 4.4}
    at = "/v1/regions/63.02/indicators/p0/targets/2022"
    assert secretariat.put(at, json=target).status_code == 201
    found = analysis(secretariat)["effectiveness"]
    assert (found["since"], found["target"]["achievement_percent"]) == (2017, 20.0)
    assert analysis(connect(("reader", "73")))["effectiveness"]["target"] is None
    secretariat.put(at, json={**target, "value": 4.7}, headers=ANY)
    found = analysis(secretariat)["effectiveness"]["target"]
    assert (found["achievement_percent"], found["reason"]) == (None, "target_not_better")


@pytest.mark.usefixtures("told")
def test_relevance(secretariat: TestClient) -> None:
    found = analysis(secretariat)["relevance"]
    assert found["reference_code"] == "63"
    assert [(one["period"], one["change"], one["reference_change"]) for one in found["changes"]] == [
        ("2018-S1", -0.2, -0.2),
        ("2019-S1", 0.1, 0.0),
        ("2020-S1", -0.3, -0.3),
        ("2021-S1", 0.36, 0.43),
    ]
    assert found["same_direction_percent"] == 75.0
    by_library = statistics.correlation((-0.2, 0.1, -0.3, 0.36), (-0.2, 0.0, -0.3, 0.43))
    assert found["correlation"] == pytest.approx(by_library, abs=1e-4)
    nation = analysis(secretariat, "/v1/regions/0/indicators/p0/analysis")
    assert (nation["relevance"]["reason"], nation["relative_position"]["nation"]) == ("no_reference", None)
    province = analysis(secretariat, "/v1/regions/63/indicators/p0/analysis")
    assert (province["relevance"]["reference_code"], province["relative_position"]["province"]) == ("0", None)


@pytest.mark.usefixtures("told")
def test_linkage(secretariat: TestClient) -> None:
    found = analysis(secretariat, related=["mean_years_schooling", "gini"])["linkage"]
    assert [(one["indicator"], one["expected"]) for one in found] == [
        ("mean_years_schooling", "negative"),
        ("gini", "positive"),
    ]
    years = found[0]["across_time"]
    assert [pair["key"] for pair in years["pairs"]] == ["2017", "2018", "2019", "2020", "2021"]
    by_library = statistics.correlation((4.6, 4.4, 4.5, 4.2, 4.56), (7.0, 7.1, 7.2, 7.3, 7.4))
    assert years["correlation"] == pytest.approx(by_library, abs=1e-4)
    regions = found[0]["across_siblings"]
    assert regions["pairs"][1] == {"key": "63.03", "value": 4.4, "related_value": 8.0}
    assert (regions["correlation"], regions["reason"]) == (None, "too_few")
    assert found[1]["across_time"]["reason"] == "too_few"
    assert secretariat.get(AT, params={"related": "p9"}).status_code == 400
    assert len(analysis(secretariat)["linkage"]) == 5


@pytest.mark.usefixtures("told")
def test_quadrants(secretariat: TestClient) -> None:
    def placed(**query: str) -> dict[str, Any]:
        found = analysis(secretariat, "/v1/indicators/p0/quadrants", region="63", **query)
        return {one["region_code"]: one for one in found["items"]} | {"": found}

    found = placed(**{"from": "2020", "to": "2021"})
    assert (found[""]["from"], found[""]["to"], found[""]["reference"]["value"]) == (
        "2020-S1",
        "2021-S1",
        4.83,
    )
    assert (found["63.02"]["quadrant"], found["63.02"]["difference"], found["63.02"]["change"]) == (
        3,
        -0.27,
        0.36,
    )
    assert found["63.03"]["quadrant"] == 4
    assert placed()[""]["to"] == "2021-S1"
    earlier = placed(**{"from": "2017", "to": "2018"})
    assert (earlier["63.02"]["quadrant"], earlier["63.03"]["quadrant"]) == (4, 2)
    assert placed(to="2022")["63.02"]["reason"] == "no_observation"
    nation = analysis(secretariat, "/v1/indicators/p0/quadrants")
    assert [one["region_code"] for one in nation["items"]] == ["18", "63", "73"]


def test_nothing_was_published(secretariat: TestClient) -> None:
    found = analysis(secretariat)
    assert (found["period"], found["value"]) == (None, None)
    assert found["relative_position"]["reason"] == found["change_over_time"]["reason"] == "no_observation"
    assert analysis(secretariat, "/v1/indicators/p0/quadrants", region="63")["to"] is None
    for at in ("/v1/regions/63.99/indicators/p0/analysis", "/v1/regions/63.02/indicators/p9/analysis"):
        assert secretariat.get(at).status_code == 404
    assert secretariat.get("/v1/indicators/p0/quadrants", params={"region": "63.99"}).status_code == 404


@pytest.mark.usefixtures("told")
def test_number_of_statements_and_304(secretariat: TestClient, database: OneTransaction) -> None:
    before = len(database.statements)
    reply = secretariat.get(AT)
    assert len(database.statements) - before <= 5
    again = secretariat.get(AT, headers={"If-None-Match": reply.headers["ETag"]})
    assert again.status_code == 304
    secretariat.put("/v1/regions/63.02/indicators/p0/targets/2026", json=TARGET)
    assert secretariat.get(AT, headers={"If-None-Match": reply.headers["ETag"]}).status_code == 200


@pytest.mark.usefixtures("told")
def test_neutral_indicator_is_not_judged(national_administrator: TestClient) -> None:
    for year, value in ((2020, 500_000), (2021, 520_000)):
        put(national_administrator, {**item("63.02", f"{year}-S1", value), "indicator": "poverty_line"})
    found = analysis(national_administrator, "/v1/regions/63.02/indicators/poverty_line/analysis")
    assert found["relative_position"]["rank"] is None
    assert (found["change_over_time"]["change"], found["change_over_time"]["trend"]) == (20_000, None)
    quadrants = analysis(national_administrator, "/v1/indicators/poverty_line/quadrants", region="63")
    assert {one["reason"] for one in quadrants["items"]} == {"neutral"}
