"""Where villages lie, told one by one or by a table, and the map that comes of it."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.findings.world import at
from tests.plans.world import ANY, put, report
from tests.villages.test_villages import ASKED, FIRST, SECOND, THIRD, village

pytestmark = pytest.mark.one_engine

MAP = "/v1/convergence/villages.geojson"
POINT = {"longitude": 116.218, "latitude": -3.2889, "source": "Bappeda"}


def address(code: str = FIRST) -> str:
    return f"/v1/regions/{code}/coordinates"


def send(client: TestClient, table: str, **params: Any) -> Any:
    params = {"code_system": "kemendagri", **params}
    return client.post("/v1/coordinates/import", params=params, files={"file": ("titik.csv", table.encode())})


def cells(reply: Any) -> list[tuple[str, str]]:
    """(cell, code) of everything that is wrong."""
    assert reply.status_code == 422, reply.text
    return [
        (f"{error['cell']['column']}{error['cell']['row']}", error["code"])
        for error in reply.json()["errors"]
    ]


def test_a_point_is_told_changed_and_taken_back(provincial_administrator: TestClient, connect: Any) -> None:
    assert provincial_administrator.get(address()).status_code == 404
    made = provincial_administrator.put(address(), json={**POINT, "longitude": 116.21800049})
    assert (made.status_code, made.headers["Location"]) == (201, address())
    assert made.json()["longitude"] == 116.218
    assert provincial_administrator.put(address(), json=POINT).status_code == 428
    again = provincial_administrator.put(address(), json=POINT, headers={"If-Match": made.headers["ETag"]})
    assert (again.status_code, again.json()["version"]) == (200, 1)
    moved = provincial_administrator.put(address(), json={**POINT, "latitude": -3.3}, headers=ANY).json()
    assert (moved["version"], moved["allowed"]) == (2, ["edit", "delete"])
    reader = connect(("reader", "73"))
    assert reader.get(address()).json()["allowed"] == []
    (listed,) = reader.get("/v1/coordinates", params={"region": "63", "level": "village"}).json()["items"]
    assert (listed["region_code"], listed["latitude"]) == (FIRST, -3.3)
    assert provincial_administrator.delete(address(), headers=ANY).status_code == 204
    kinds = [one["kind"] for one in reader.get(f"{address()}/history").json()["items"]]
    assert sorted(kinds) == ["coordinates.changed", "coordinates.created", "coordinates.deleted"]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"longitude": -3.2889, "latitude": 116.218}, "/longitude"),
        ({"longitude": 94.99}, "/longitude"),
        ({"longitude": 141.11}, "/longitude"),
        ({"latitude": 6.11}, "/latitude"),
        ({"latitude": -11.11}, "/latitude"),
    ],
)
def test_a_point_outside_of_indonesia_is_refused(
    provincial_administrator: TestClient, change: dict[str, float], pointer: str
) -> None:
    reply = provincial_administrator.put(address(), json={**POINT, **change})
    assert reply.status_code == 422
    error = reply.json()["errors"][0]
    assert (error["pointer"], error["code"]) == (pointer, "out_of_range")
    assert error["allowed"]


def test_who_tells_where_a_region_lies(
    provincial_administrator: TestClient, secretariat: TestClient, connect: Any
) -> None:
    assert secretariat.put(address(), json=POINT).status_code == 403
    assert connect(("administrator", "63.03")).put(address(), json=POINT).status_code == 403
    assert connect(("administrator", "63.02")).put(address(), json=POINT).status_code == 201
    assert (
        send(connect(("administrator", "73")), f"kode,bujur,lintang,sumber\n{SECOND},116,-3,x\n").status_code
        == 403
    )
    for code in ("0", "63.99"):
        nation = connect(("administrator", "0"))
        assert nation.put(address(code), json=POINT).status_code == 404


def test_a_table_as_offices_keep_it(provincial_administrator: TestClient) -> None:
    """Codes without dots, decimal commas, titles above, names that are checked."""
    table = (
        "Titik desa;;;\n"
        "No;Kode Desa;Desa;Bujur;Lintang\n"
        f"1;{FIRST.replace('.', '')};Desa Bungkukan;116,3461;−3,0021\n"
        f"2;{SECOND};;116.35;-3.01\n"
    )
    first_name = provincial_administrator.get(f"/v1/regions/{FIRST}").json()["name"]
    table = table.replace("Bungkukan", first_name)
    trial = send(provincial_administrator, table, source="PODES 2024", dry_run=True)
    assert trial.json() == {"created": 2, "updated": 0, "unchanged": 0}
    assert provincial_administrator.get(address()).status_code == 404
    assert send(provincial_administrator, table, source="PODES 2024").json() == trial.json()
    assert send(provincial_administrator, table, source="PODES 2024").json() == {
        "created": 0,
        "updated": 0,
        "unchanged": 2,
    }
    stored = provincial_administrator.get(address()).json()
    assert (stored["longitude"], stored["latitude"], stored["source"]) == (116.3461, -3.0021, "PODES 2024")


def test_a_table_with_mistakes_is_refused_cell_by_cell(provincial_administrator: TestClient) -> None:
    table = (
        "kode,nama,lon,lat,sumber\n"
        f"{FIRST},Bukan Ini,116.2,-3.2,x\n"
        f"{SECOND},,-3.2,116.2,x\n"
        f'{THIRD},,"116° 13\'",-3.2,\n'
        "63.2.1,,116.2,-3.2,x\n"
        f"{THIRD},,116.2,-3.2,x\n"
        f"{THIRD},,116.2,,x\n"
    )
    assert cells(send(provincial_administrator, table)) == [
        ("C3", "out_of_range"),
        ("D3", "out_of_range"),
        ("C4", "not_degrees"),
        ("E4", "unfilled"),
        ("A5", "malformed_region_code"),
        ("D7", "unfilled"),
    ]
    named = f"kode,nama,lon,lat,sumber\n{FIRST},Bukan Ini,116.2,-3.2,x\n63.02.01.2999,,116.2,-3.2,x\n"
    assert cells(send(provincial_administrator, named)) == [
        ("B2", "name_of_other_region"),
        ("A3", "unknown_reference"),
    ]
    twice = f"kode,lon,lat,sumber\n{FIRST},116,-3,x\n{FIRST},116,-3,x\n"
    assert cells(send(provincial_administrator, twice)) == [("A3", "duplicate_key")]
    assert cells(send(provincial_administrator, "kode,lon,tinggi\n")) == [
        ("C1", "unknown_value"),
        ("A1", "no_such_column"),
    ]
    assert cells(send(provincial_administrator, "a,b\n1,2\n")) == [("A1", "no_such_column")]
    assert send(provincial_administrator, table, code_system="bps").status_code == 400
    assert provincial_administrator.get("/v1/coordinates").json()["items"] == []


def test_a_map_shows_what_the_list_has(
    secretariat: TestClient, provincial_administrator: TestClient, connect: Any
) -> None:
    put(secretariat, "A-1", **at(FIRST, THIRD))
    report(secretariat, "A-1", 2, spent=1)
    for code in (FIRST, SECOND):
        assert provincial_administrator.put(address(code), json=POINT).status_code == 201
    reply = secretariat.get(MAP, params=ASKED)
    assert reply.headers["Content-Type"] == "application/geo+json"
    shown = reply.json()
    assert shown["type"] == "FeatureCollection"
    assert [one["id"] for one in shown["features"]] == [FIRST, SECOND]
    assert shown["features"][0]["geometry"] == {"type": "Point", "coordinates": [116.218, -3.2889]}
    assert shown["features"][0]["properties"] == village(secretariat)
    assert (shown["totals"]["villages"], shown["totals"]["without_coordinates"]) == (3, 1)
    headers = {"If-None-Match": reply.headers["ETag"]}
    assert secretariat.get(MAP, params=ASKED, headers=headers).status_code == 304
    late = secretariat.get(MAP, params={**ASKED, "late": True}).json()
    assert [one["id"] for one in late["features"]] == [FIRST]
    assert connect(("secretariat", "63.03")).get(MAP, params=ASKED).status_code == 404
    assert connect(("secretariat", "63.02")).get(MAP, params={**ASKED, "region": "63"}).status_code == 200
    refused = secretariat.get(MAP, params={**ASKED, "region": "0"})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, "province_at_most")
