"""Coordinates of villages, written one by one or from a table, and the map drawn from them."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.findings.world import make_locations
from tests.plans.world import ANY, put, report
from tests.villages.test_villages import FIRST, QUERY, SECOND, THIRD, find_village

pytestmark = pytest.mark.one_engine

MAP = "/v1/convergence/villages.geojson"
POINT = {"longitude": 116.218, "latitude": -3.2889, "source": "Bappeda"}


def get_address(code: str = FIRST) -> str:
    return f"/v1/regions/{code}/coordinates"


def import_table(client: TestClient, table: str, **params: Any) -> Any:
    params = {"code_system": "kemendagri", **params}
    return client.post("/v1/coordinates/import", params=params, files={"file": ("titik.csv", table.encode())})


def list_error_cells(reply: Any) -> list[tuple[str, str]]:
    """Return (cell, code) of the errors in a refusal."""
    assert reply.status_code == 422, reply.text
    return [
        (f"{error['cell']['column']}{error['cell']['row']}", error["code"])
        for error in reply.json()["errors"]
    ]


@pytest.mark.both_engines
def test_coordinates_are_created_changed_and_deleted(
    provincial_administrator: TestClient, connect: Any
) -> None:
    assert provincial_administrator.get(get_address()).status_code == 404
    created = provincial_administrator.put(get_address(), json={**POINT, "longitude": 116.21800049})
    assert (created.status_code, created.headers["Location"]) == (201, get_address())
    assert created.json()["longitude"] == 116.218
    assert provincial_administrator.put(get_address(), json=POINT).status_code == 428
    repeated = provincial_administrator.put(
        get_address(), json=POINT, headers={"If-Match": created.headers["ETag"]}
    )
    assert (repeated.status_code, repeated.json()["version"]) == (200, 1)
    moved = provincial_administrator.put(get_address(), json={**POINT, "latitude": -3.3}, headers=ANY).json()
    assert (moved["version"], moved["allowed"]) == (2, ["edit", "delete"])
    reader = connect(("reader", "73"))
    assert reader.get(get_address()).json()["allowed"] == []
    (entry,) = reader.get("/v1/coordinates", params={"region": "63", "level": "village"}).json()["items"]
    assert (entry["region_code"], entry["latitude"]) == (FIRST, -3.3)
    assert provincial_administrator.delete(get_address(), headers=ANY).status_code == 204
    kinds = [item["kind"] for item in reader.get(f"{get_address()}/history").json()["items"]]
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
def test_coordinates_outside_indonesia_are_refused(
    provincial_administrator: TestClient, change: dict[str, float], pointer: str
) -> None:
    reply = provincial_administrator.put(get_address(), json={**POINT, **change})
    assert reply.status_code == 422
    error = reply.json()["errors"][0]
    assert (error["pointer"], error["code"]) == (pointer, "out_of_range")
    assert error["allowed"]


def test_only_administrators_of_the_region_write_its_coordinates(
    provincial_administrator: TestClient, secretariat: TestClient, connect: Any
) -> None:
    assert secretariat.put(get_address(), json=POINT).status_code == 403
    assert connect(("administrator", "63.03")).put(get_address(), json=POINT).status_code == 403
    assert connect(("administrator", "63.02")).put(get_address(), json=POINT).status_code == 201
    assert (
        import_table(
            connect(("administrator", "73")), f"kode,bujur,lintang,sumber\n{SECOND},116,-3,x\n"
        ).status_code
        == 403
    )
    for code in ("0", "63.99"):
        nation = connect(("administrator", "0"))
        assert nation.put(get_address(code), json=POINT).status_code == 404


def list_counts(reply: Any) -> list[int]:
    return [reply.json()[name] for name in ("created", "updated", "unchanged")]


def test_an_import_reads_the_tables_of_offices(provincial_administrator: TestClient) -> None:
    """Titles above the heading, codes without dots, decimal commas, names to check."""
    table = (
        "Titik desa;;;\n"
        "No;Kode Desa;Desa;Bujur;Lintang\n"
        f"1;{FIRST.replace('.', '')};Desa Bungkukan;116,3461;−3,0021\n"
        f"2;{SECOND};;116.35;-3.01\n"
    )
    first_name = provincial_administrator.get(f"/v1/regions/{FIRST}").json()["name"]
    table = table.replace("Bungkukan", first_name)
    trial = import_table(provincial_administrator, table, source="PODES 2024", dry_run=True)
    assert list_counts(trial) == [2, 0, 0]
    assert provincial_administrator.get(get_address()).status_code == 404
    assert import_table(provincial_administrator, table, source="PODES 2024").json() == trial.json()
    assert list_counts(import_table(provincial_administrator, table, source="PODES 2024")) == [0, 0, 2]
    point = provincial_administrator.get(get_address()).json()
    assert (point["longitude"], point["latitude"], point["source"]) == (116.3461, -3.0021, "PODES 2024")


def test_a_table_with_errors_is_refused_cell_by_cell(provincial_administrator: TestClient) -> None:
    table = (
        "kode,nama,lon,lat,sumber\n"
        f"{FIRST},Bukan Ini,116.2,-3.2,x\n"
        f"{SECOND},,-3.2,116.2,x\n"
        f'{THIRD},,"116° 13\'",-3.2,\n'
        "63.2.1,,116.2,-3.2,x\n"
        f"{THIRD},,116.2,-3.2,x\n"
        f"{THIRD},,116.2,,x\n"
    )
    assert list_error_cells(import_table(provincial_administrator, table)) == [
        ("B2", "name_of_another"),
        ("C3", "out_of_range"),
        ("D3", "out_of_range"),
        ("C4", "not_degrees"),
        ("E4", "blank_cell"),
        ("A5", "malformed_region_code"),
        ("D7", "blank_cell"),
        ("A7", "duplicate_key"),
    ]
    named = f"kode,nama,lon,lat,sumber\n{FIRST},Bukan Ini,116.2,-3.2,x\n63.02.01.2999,,116.2,-3.2,x\n"
    assert list_error_cells(import_table(provincial_administrator, named)) == [
        ("B2", "name_of_another"),
        ("A3", "unknown_reference"),
    ]
    twice = f"kode,lon,lat,sumber\n{FIRST},116,-3,x\n{FIRST},116,-3,x\n"
    assert list_error_cells(import_table(provincial_administrator, twice)) == [("A3", "duplicate_key")]
    headed = import_table(provincial_administrator, f"kode,lon,tinggi\n{FIRST},116,5\n")
    assert list_error_cells(headed) == [("A1", "missing_column"), ("A1", "missing_column")]
    assert [error["allowed"] for error in headed.json()["errors"]] == ["lintang", "sumber"]
    near = import_table(provincial_administrator, f"kode,bujur,lintanng,sumber\n{FIRST},116,-3,x\n")
    assert list_error_cells(near) == [("C1", "doubtful_column")]
    other = import_table(provincial_administrator, "a,b\n1,2\n")
    assert (other.status_code, other.json()["errors"][0]["code"]) == (422, "no_table")
    assert import_table(provincial_administrator, table, code_system="bps").status_code == 400
    assert provincial_administrator.get("/v1/coordinates").json()["items"] == []


def test_names_are_read_within_the_region(provincial_administrator: TestClient) -> None:
    names = {
        code: provincial_administrator.get(f"/v1/regions/{code}").json()["name"]
        for code in (FIRST, SECOND, THIRD, FIRST[:8])
    }
    table = (
        "Kecamatan;Desa;Bujur;Lintang;Ketinggian\n"
        f"{names[FIRST[:8]]};;116,1;-3,1;5\n"
        f";Desa {names[FIRST]};116,2;-3,2;\n\n"
        f";{names[SECOND]};116,3;-3,3;\n"
        "Sumber: GPS;;;;\n"
    )
    assert SECOND.startswith(FIRST[:8])
    nameless = import_table(provincial_administrator, table, source="GPS")
    assert (nameless.status_code, nameless.json()["errors"][0]["code"]) == (400, "region_needed")
    reply = import_table(provincial_administrator, table, source="GPS", region="63.02")
    assert list_counts(reply) == [3, 0, 0]
    assert [item["code"] for item in reply.json()["warnings"]] == ["unknown_column"]
    assert provincial_administrator.get(get_address(FIRST)).json()["longitude"] == 116.2
    assert provincial_administrator.get(get_address(FIRST[:8])).json()["longitude"] == 116.1
    wrong = import_table(
        provincial_administrator, f"nama;bujur;lintang;sumber\n{names[THIRD]}x;116;-3;x\n", region="63.02"
    )
    (error,) = wrong.json()["errors"]
    assert (error["code"], error["candidates"][0]["code"]) == ("unclear_area", THIRD)
    choice = error["resolution"] | {"code": THIRD}
    settled = provincial_administrator.post(
        "/v1/coordinates/import",
        params={"code_system": "kemendagri", "region": "63.02"},
        files={"file": ("a.csv", f"nama;bujur;lintang;sumber\n{names[THIRD]}x;116;-3;x\n".encode())},
        data={"resolutions": json.dumps([choice])},
    )
    assert list_counts(settled) == [1, 0, 0]


def test_the_map_shows_the_villages_of_the_list(
    secretariat: TestClient, provincial_administrator: TestClient, connect: Any
) -> None:
    put(secretariat, "A-1", **make_locations(FIRST, THIRD))
    report(secretariat, "A-1", 2, spent=1)
    for code in (FIRST, SECOND):
        assert provincial_administrator.put(get_address(code), json=POINT).status_code == 201
    reply = secretariat.get(MAP, params=QUERY)
    assert reply.headers["Content-Type"] == "application/geo+json"
    collection = reply.json()
    assert collection["type"] == "FeatureCollection"
    assert [feature["id"] for feature in collection["features"]] == [FIRST, SECOND]
    assert collection["features"][0]["geometry"] == {"type": "Point", "coordinates": [116.218, -3.2889]}
    assert collection["features"][0]["properties"] == find_village(secretariat)
    assert (collection["totals"]["villages"], collection["totals"]["without_coordinates"]) == (3, 1)
    headers = {"If-None-Match": reply.headers["ETag"]}
    assert secretariat.get(MAP, params=QUERY, headers=headers).status_code == 304
    late = secretariat.get(MAP, params={**QUERY, "late": True}).json()
    assert [feature["id"] for feature in late["features"]] == [FIRST]
    assert connect(("secretariat", "63.03")).get(MAP, params=QUERY).status_code == 404
    assert connect(("secretariat", "63.02")).get(MAP, params={**QUERY, "region": "63"}).status_code == 200
    refused = secretariat.get(MAP, params={**QUERY, "region": "0"})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, "province_at_most")


def test_a_table_with_the_number_of_a_person_is_refused_by_cell(
    provincial_administrator: TestClient,
) -> None:
    table = f"kode,bujur,lintang,sumber\n{FIRST},116,-3,Bappeda\n{SECOND},116,-3,NIK 7322014505850001\n"
    reply = import_table(provincial_administrator, table)
    assert reply.status_code == 422
    (error,) = reply.json()["errors"]
    assert (error["code"], error["cell"]["column"], error["cell"]["row"]) == ("person_number", "D", 3)
