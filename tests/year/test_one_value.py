"""One value of each figure: all operations that show a figure of a region's quarter agree."""

import csv
import io
import json
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.kit.openapi.document import COMMITTED
from tests.database import OneTransaction
from tests.plans.world import SOCIAL, furnish
from tests.scorecards.world import measure_fairly
from tests.year.figures import FIGURES, NO_FIGURES, Key, find_meanings, list_numbers, read_figures
from tests.year.played import PLAN, QUARTERS, REGION, VILLAGES, YEAR, PlayedYear

NEIGHBOUR = "63.03"
SHARED = "lines,expected,reported,missing,with report,allocated,spent,coverage,balance,reach_percent,spending"
SEEDS = [int(text) for text in os.environ.get("RATA_YEAR_SEEDS", "1 2").split()]


def list_shapes() -> Iterator[tuple[str, str, Any]]:
    """Yield (method, operation, shape) of every successful reply of the document."""
    document = json.loads(COMMITTED.read_bytes())
    for operation, methods in document["paths"].items():
        for method, described in methods.items():
            for status, reply in (
                described.get("responses", {}).items() if isinstance(described, dict) else ()
            ):
                for media, content in reply.get("content", {}).items() if status.startswith("2") else ():
                    is_list = media == "application/x-ndjson"
                    schema = content.get("schema", {})
                    yield method, operation, {"type": "array", "items": schema} if is_list else schema


def test_every_number_of_the_document_has_a_meaning() -> None:
    schemas = json.loads(COMMITTED.read_bytes())["components"]["schemas"]
    shapes = list(list_shapes())
    read = [schema for method, _, schema in shapes if method == "get"]
    unclassified = [
        (method, operation, path)
        for method, operation, schema in shapes
        # A write replies as the reading operation does.
        if method == "get" or schema not in read or operation in FIGURES
        for path in list_numbers(schema, schemas)
        if path.rpartition(".")[2].removesuffix("[]") not in NO_FIGURES and not find_meanings(operation, path)
    ]
    assert not unclassified


def list_names() -> set[str]:
    """Return the names of all figures of the document."""
    schemas = json.loads(COMMITTED.read_bytes())["components"]["schemas"]
    paths = (path for _, _, schema in list_shapes() for path in list_numbers(schema, schemas))
    return {path.rpartition(".")[2] for path in paths} - NO_FIGURES


def read_content(text: str, kind: str) -> Any:
    """Return a reply's body, of a file its lines."""
    if "ndjson" in kind:
        return [json.loads(line) for line in text.splitlines()]
    if "json" in kind:
        return json.loads(text)
    if "xml" in kind:
        return [{"allocation": int(value)} for value in re.findall(r"<budget .*?<value[^>]*>(\d+)<", text)]
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
    if text.removeprefix("\ufeff").startswith("LAPORAN"):
        lines = [row for row in rows[6:] if row[0].isdigit() and row[1]]
        return [{"allocation": int(row[10]), "spent": int(row[20] or 0)} for row in lines]
    return {"items": [dict(zip(rows[0], map(read_cell, row), strict=True)) for row in rows[1:]]}


def read_cell(cell: str) -> Any:
    try:
        return float(cell)
    except ValueError:
        return cell or None


class ComparedYear(PlayedYear):
    """A year with a frozen, a corrected, a submitted and an open quarter, and all figures that operations show."""

    def observe(self, nation: TestClient) -> None:
        """Give the region an outcome and a village a place on the map."""
        target = {"value": 3.5, "baseline": 4.56, "baseline_year": 2021}
        self.send(self.team, "PUT", f"/v1/regions/{REGION}/indicators/p0/targets/{YEAR}", target, new=True)
        at = f"/v1/regions/{REGION}/indicators/p0/observations/{YEAR - 1}-S1"
        self.send(nation, "PUT", at, {"value": 4.03}, new=True)
        point = {"longitude": 116.218, "latitude": -3.2889, "source": "Bappeda"}
        self.send(nation, "PUT", f"/v1/regions/{VILLAGES[0]}/coordinates", point, new=True)

    def add_neighbour(self, chair: TestClient, team: TestClient, database: OneTransaction) -> None:
        """Adopt the plan of another regency, so that the figures of the province are sums."""
        furnish(database, NEIGHBOUR)
        at = f"/v1/plans/{NEIGHBOUR}-{YEAR}"
        line = self.build_line("A-900") | {"lead_agency": SOCIAL, "locations": [{"region_code": NEIGHBOUR}]}
        self.send(team, "PUT", at, {"title": "RAT"}, new=True)
        self.send(team, "PUT", f"{at}/actions", {"items": [line]})
        self.send(chair, "POST", f"{at}/submit", {})
        self.send(self.reviewer, "POST", f"{at}/endorse", {})
        decree = {"instrument": "decree", "number": "7", "date": f"{YEAR - 1}-12-20"}
        self.send(chair, "POST", f"{at}/adopt", decree)
        for quarter in QUARTERS[:2]:
            path = f"{at}/actions/A-900/progress/{quarter}"
            self.send(team, "PUT", path, {"spent": 700_000}, new=True)

    def play(self) -> None:
        first, second, third, fourth = QUARTERS
        self.draft()
        self.adopt()
        for _ in range(3):
            self.report(first)
        self.finish(first)
        self.report(second, leave=1)
        while not self.ended:
            self.amend()
        self.merge()
        self.finish(second)
        self.amend()
        self.correct(first)
        self.finish(first)
        self.report(third)
        self.cover(third)
        assert self.submit(third)
        self.report(fourth)
        assert self.ask(
            f"/v1/scorecards/63?period={fourth}"
        ).is_success  # later figures replace the cached ones
        while self.team.get(f"/v1/coverage/{fourth}/{VILLAGES[0]}").status_code == 404:
            self.cover(fourth)
        self.amend()

    def finish(self, quarter: str) -> None:
        self.cover(quarter)
        assert self.submit(quarter)
        self.move(quarter, "verify")
        self.move(quarter, "freeze")

    def read(self) -> dict[Key, dict[Any, list[str]]]:
        """Return the addresses that show each value of each figure."""
        rows = self.team.get(f"/v1/regions/{REGION}/quarters?year={YEAR}").json()["items"]
        amendments = {row["period"]: row["amendment"] for row in rows}
        figures: dict[Key, dict[Any, list[str]]] = defaultdict(lambda: defaultdict(list))
        silent, names = set(), list_names()
        for operation, (queries, _) in FIGURES.items():
            addresses = [] if queries is None else list(self.list_addresses(operation, queries, amendments))
            replies = [(path, quarter, self.ask(path)) for path, quarter in addresses]
            if addresses and not any(reply.is_success for *_, reply in replies):
                silent.add(operation)
            for path, quarter, reply in replies:
                assert reply.status_code in (200, 404), (path, reply.text)
                if reply.is_success:
                    content = read_content(reply.text, reply.headers["content-type"])
                    for key, values in read_figures(operation, content, REGION, quarter, names).items():
                        for value in values:
                            figures[key][value].append(path)
        assert silent <= {"/v1/regions/{region}/yardsticks/{period}"}  # a row of fair methods alone
        return figures

    def ask(self, path: str) -> Any:
        return self.reviewer.post(path, json={}) if "what-if" in path else self.reviewer.get(path)

    def list_addresses(
        self, operation: str, queries: str, amendments: Mapping[str, int | None]
    ) -> Iterator[tuple[str, str]]:
        """Yield the addresses of an operation with their quarter."""
        for query in queries.split(" "):
            address = query if query.startswith("/") else operation + query
            for quarter in QUARTERS if "{period}" in address or "{semester}" in address else QUARTERS[-1:]:
                half = {"Q2": f"{YEAR}-S1", "Q4": f"{YEAR}-S2"}.get(quarter[-2:])
                amendment = amendments[quarter]
                is_newest = ("{amendment}" in address) == bool(amendment)
                if ("{semester}" in address and half is None) or (
                    "/v1/snapshots/{" in address and not is_newest
                ):
                    continue
                path = address.format(
                    region=REGION,
                    period=quarter,
                    semester=half,
                    year=YEAR,
                    plan=PLAN,
                    agency=SOCIAL,
                    village=VILLAGES[0],
                    action="A-001",
                    step="activity_plan",
                    revision=self.revision,
                    amendment=amendment,
                )
                yield path, quarter


@pytest.mark.parametrize("seed", SEEDS)
def test_no_figure_has_two_values(
    connect: Callable[..., TestClient], database: OneTransaction, seed: int
) -> None:
    year = ComparedYear(connect, database, seed)
    year.observe(connect(("administrator", "0")))
    if seed % 2:
        year.add_neighbour(connect(("chair", NEIGHBOUR)), connect(("secretariat", NEIGHBOUR)), database)
    else:
        measure_fairly(database)
    year.play()
    figures = year.read()
    assert not {key: dict(values) for key, values in figures.items() if len(values) > 1}
    for (place, time, name), (absorption, *_) in {
        key: list(values) for key, values in figures.items()
    }.items():
        if name.startswith("absorption"):
            spent, allocated = (
                next(iter(figures[place, time, name.replace("absorption", other)]))
                for other in ("spent", "allocated")
            )
            assert absorption == (round(100 * spent / allocated, 2) if allocated else None), (
                place,
                time,
                name,
            )
    # Each of these is a figure of a closed quarter that several operations show, and none is empty.
    for name in SHARED.split(","):
        (value,) = figures[REGION, QUARTERS[1], name]
        assert value is not None, name
        assert len(figures[REGION, QUARTERS[1], name][value]) > 2, name
    assert '"carried":{' in year.reviewer.get(f"/v1/pulls/{QUARTERS[1]}?region={REGION}").text
