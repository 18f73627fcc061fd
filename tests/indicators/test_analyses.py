"""The five analyses and the quadrants, against figures computed by hand."""

import statistics
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.common import ConnectAs
from tests.database import OneTransaction
from tests.indicators.test_observations import ANY, TARGET, item, put

AT = "/v1/regions/63.02/indicators/p0/analysis"


@pytest.fixture
def observations(national_administrator: TestClient) -> None:
    """P0 of March by year for Kotabaru, a neighbour, the province and the nation, and a second indicator."""
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


def analyse(client: TestClient, path: str = AT, **query: Any) -> Any:
    reply = client.get(path, params=query)
    assert reply.status_code == 200, reply.text
    return reply.json()


@pytest.mark.usefixtures("observations")
def test_relative_position(secretariat: TestClient) -> None:
    result = analyse(secretariat, period="2021")
    assert (result["period"], result["value"]) == ("2021-S1", 4.56)
    position = result["relative_position"]
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
    assert [(row["region_code"], row["value"]) for row in position["siblings"]] == [
        ("63.02", 4.56),
        ("63.03", 4.4),
    ]


@pytest.mark.usefixtures("observations")
def test_change_over_time(secretariat: TestClient) -> None:
    result = analyse(secretariat)["change_over_time"]
    assert [(row["period"], row["value"], row["change"]) for row in result["series"]] == [
        ("2017-S1", 4.6, None),
        ("2018-S1", 4.4, -0.2),
        ("2019-S1", 4.5, 0.1),
        ("2020-S1", 4.2, -0.3),
        ("2021-S1", 4.56, 0.36),
    ], "March with March; a symbol is not the newest value"
    assert result["series"][1]["change_percent"] == -4.35
    assert (result["change"], result["change_percent"], result["change_per_year"], result["trend"]) == (
        -0.04,
        -0.87,
        -0.01,
        "improving",
    )
    later = analyse(secretariat, period="2022-S1")
    assert (later["value"], later["change_over_time"]["series"][-1]["symbol"]) == (None, "...")
    assert later["relative_position"]["reason"] == "no_observation"


@pytest.mark.usefixtures("observations")
def test_effectiveness(secretariat: TestClient, connect: ConnectAs) -> None:
    result = analyse(secretariat, since=2019)["effectiveness"]
    assert (result["per_year_before"], result["per_year_after"], result["trend"], result["is_faster"]) == (
        -0.05,
        0.03,
        "worsening",
        False,
    )
    assert result["target"] is None
    assert analyse(secretariat)["effectiveness"]["reason"] == "no_base"
    target = {**TARGET, "baseline": 4.6, "baseline_year": 2017, "value": 4.4}
    path = "/v1/regions/63.02/indicators/p0/targets/2022"
    assert secretariat.put(path, json=target).status_code == 201
    result = analyse(secretariat)["effectiveness"]
    assert (result["since"], result["target"]["achievement_percent"]) == (2017, 20.0)
    assert analyse(connect(("reader", "73")))["effectiveness"]["target"] is None
    secretariat.put(path, json={**target, "value": 4.7}, headers=ANY)
    result = analyse(secretariat)["effectiveness"]["target"]
    assert (result["achievement_percent"], result["reason"]) == (None, "target_not_better")


@pytest.mark.usefixtures("observations")
def test_relevance(secretariat: TestClient) -> None:
    result = analyse(secretariat)["relevance"]
    assert result["reference_code"] == "63"
    assert [(row["period"], row["change"], row["reference_change"]) for row in result["changes"]] == [
        ("2018-S1", -0.2, -0.2),
        ("2019-S1", 0.1, 0.0),
        ("2020-S1", -0.3, -0.3),
        ("2021-S1", 0.36, 0.43),
    ]
    assert result["same_direction_percent"] == 75.0
    by_library = statistics.correlation((-0.2, 0.1, -0.3, 0.36), (-0.2, 0.0, -0.3, 0.43))
    assert result["correlation"] == pytest.approx(by_library, abs=1e-4)
    nation = analyse(secretariat, "/v1/regions/0/indicators/p0/analysis")
    assert (nation["relevance"]["reason"], nation["relative_position"]["nation"]) == ("no_reference", None)
    province = analyse(secretariat, "/v1/regions/63/indicators/p0/analysis")
    assert (province["relevance"]["reference_code"], province["relative_position"]["province"]) == ("0", None)


@pytest.mark.usefixtures("observations")
def test_linkage(secretariat: TestClient) -> None:
    result = analyse(secretariat, related=["mean_years_schooling", "gini"])["linkage"]
    assert [(link["indicator"], link["expected"]) for link in result] == [
        ("mean_years_schooling", "negative"),
        ("gini", "positive"),
    ]
    years = result[0]["across_time"]
    assert [pair["key"] for pair in years["pairs"]] == ["2017", "2018", "2019", "2020", "2021"]
    by_library = statistics.correlation((4.6, 4.4, 4.5, 4.2, 4.56), (7.0, 7.1, 7.2, 7.3, 7.4))
    assert years["correlation"] == pytest.approx(by_library, abs=1e-4)
    regions = result[0]["across_siblings"]
    assert regions["pairs"][1] == {"key": "63.03", "value": 4.4, "related_value": 8.0}
    assert (regions["correlation"], regions["reason"]) == (None, "too_few")
    assert result[1]["across_time"]["reason"] == "too_few"
    assert secretariat.get(AT, params={"related": "p9"}).status_code == 400
    assert len(analyse(secretariat)["linkage"]) == 5


@pytest.mark.usefixtures("observations")
def test_quadrants(secretariat: TestClient) -> None:
    def find_quadrants(**query: str) -> dict[str, Any]:
        result = analyse(secretariat, "/v1/indicators/p0/quadrants", region="63", **query)
        return {item["region_code"]: item for item in result["items"]} | {"": result}

    result = find_quadrants(**{"from": "2020", "to": "2021"})
    assert (result[""]["from"], result[""]["to"], result[""]["reference"]["value"]) == (
        "2020-S1",
        "2021-S1",
        4.83,
    )
    assert (result["63.02"]["quadrant"], result["63.02"]["difference"], result["63.02"]["change"]) == (
        3,
        -0.27,
        0.36,
    )
    assert result["63.03"]["quadrant"] == 4
    assert find_quadrants()[""]["to"] == "2021-S1"
    earlier = find_quadrants(**{"from": "2017", "to": "2018"})
    assert (earlier["63.02"]["quadrant"], earlier["63.03"]["quadrant"]) == (4, 2)
    assert find_quadrants(to="2022")["63.02"]["reason"] == "no_observation"
    nation = analyse(secretariat, "/v1/indicators/p0/quadrants")
    assert [item["region_code"] for item in nation["items"]] == ["18", "63", "73"]


def test_an_indicator_without_observations_has_no_analysis(secretariat: TestClient) -> None:
    result = analyse(secretariat)
    assert (result["period"], result["value"]) == (None, None)
    assert result["relative_position"]["reason"] == result["change_over_time"]["reason"] == "no_observation"
    assert analyse(secretariat, "/v1/indicators/p0/quadrants", region="63")["to"] is None
    for path in ("/v1/regions/63.99/indicators/p0/analysis", "/v1/regions/63.02/indicators/p9/analysis"):
        assert secretariat.get(path).status_code == 404
    assert secretariat.get("/v1/indicators/p0/quadrants", params={"region": "63.99"}).status_code == 404


@pytest.mark.usefixtures("observations")
def test_an_analysis_costs_few_statements_and_is_304_until_a_write(
    secretariat: TestClient, database: OneTransaction
) -> None:
    before = len(database.statements)
    reply = secretariat.get(AT)
    assert len(database.statements) - before <= 5
    unchanged = secretariat.get(AT, headers={"If-None-Match": reply.headers["ETag"]})
    assert unchanged.status_code == 304
    secretariat.put("/v1/regions/63.02/indicators/p0/targets/2026", json=TARGET)
    assert secretariat.get(AT, headers={"If-None-Match": reply.headers["ETag"]}).status_code == 200


@pytest.mark.usefixtures("observations")
def test_a_neutral_indicator_has_no_rank_trend_or_quadrant(national_administrator: TestClient) -> None:
    for year, value in ((2020, 500_000), (2021, 520_000)):
        put(national_administrator, {**item("63.02", f"{year}-S1", value), "indicator": "poverty_line"})
    result = analyse(national_administrator, "/v1/regions/63.02/indicators/poverty_line/analysis")
    assert result["relative_position"]["rank"] is None
    assert (result["change_over_time"]["change"], result["change_over_time"]["trend"]) == (20_000, None)
    quadrants = analyse(national_administrator, "/v1/indicators/poverty_line/quadrants", region="63")
    assert {item["reason"] for item in quadrants["items"]} == {"neutral"}
