"""The variants of the benchmark return and write the same on its generated data."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.kit.database.engine import Database, get_table
from app.kit.database.journal import JournalRow
from app.main import create_app
from app.plans.actions.models import ActionOut
from app.reference.nomenclature.models import SubactivityRow
from app.settings import Settings
from app.tracking.progress.models import ProgressOut
from benchmarks import calls, data, naive, pulls, raw
from benchmarks.load import build_request
from tests.database import ENGINES, sqlite_url
from tests.postgres import worker_database
from tests.reference import check_whole_regions

SIZE = data.Size(plans=2, actions=6, quarters=2, big_plan=8)


class Variants:
    """The three variants over one database."""

    def __init__(self, url: str, patch: pytest.MonkeyPatch) -> None:
        self.database = Database(url)
        secret = data.create_secret(self.database)
        patch.setenv("RATA_BENCH_SECRET", secret)
        headers = {"Authorization": f"Bearer {secret}", "If-Match": "*"}
        settings = Settings(_env_file=None, database_url=url)
        self.service = TestClient(create_app(settings, self.database), headers=headers)
        self.naive = TestClient(naive.create_app(url), headers=headers)
        self.raw = TestClient(raw.application(), headers=headers)
        self.world = calls.World.read(self.database, SIZE, secret)

    def count_journal(self) -> int:
        with self.database.read_session() as session:
            return session.scalar(sa.select(sa.func.count()).select_from(get_table(JournalRow))) or 0


@pytest.fixture(scope="module", params=ENGINES[-1:])
def variants(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Variants]:
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        if request.param == "sqlite":
            url = sqlite_url(tmp_path_factory.mktemp("benchmarks"), "bench")
        else:
            url = stack.enter_context(worker_database())
        data.build(url, SIZE)
        patch.setenv("RATA_DATABASE_URL", url)
        variants = Variants(url, patch)
        with variants.raw:
            yield variants
        variants.naive.app.state.engine.dispose()
        variants.database.close()


def get_json(client: TestClient, path: str) -> Any:
    reply = client.get(path)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_the_benchmark_has_all_reference_data(variants: Variants) -> None:
    with variants.database.read_session() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(get_table(SubactivityRow))) == 7581
    check_whole_regions(variants.service)


def test_variants_return_the_same_page(variants: Variants) -> None:
    path = calls.build_page_path(variants.world)
    items = get_json(variants.service, path)["items"]
    assert len(items) == SIZE.actions
    assert all(
        items[0][part]
        for part in ("components", "budget_lines", "outputs", "recipients", "locations", "tags")
    )
    assert get_json(variants.raw, path)["items"] == items
    shown = [ActionOut.model_validate(item) for item in get_json(variants.naive, path)["items"]]
    assert shown == [ActionOut.model_validate(item) for item in items]


def test_variants_write_one_report_alike(variants: Variants) -> None:
    world = variants.world
    plan = world.plans[0]
    line = world.lines[plan][0]
    path, content = calls.build_progress_path(world, plan, line), calls.build_new_report(world, line)
    rows = variants.count_journal()
    theirs = variants.naive.put(path, json=content)
    assert theirs.status_code == 200, theirs.text
    assert variants.count_journal() == rows + 1
    ours = get_json(variants.service, path)
    same = {name: ours[name] for name in ProgressOut.model_fields}
    assert ProgressOut.model_validate(same) == ProgressOut.model_validate(theirs.json())
    again = variants.service.put(path, json=content)
    assert again.json()["version"] == ours["version"], "the report of the other variant needs no change"
    assert (
        variants.service.put(path, json=calls.build_new_report(world, line)).json()["version"]
        == ours["version"] + 1
    )
    assert variants.count_journal() == rows + 2


def test_variants_write_many_reports_alike(variants: Variants) -> None:
    world = variants.world
    path, body = calls.build_batch_path(world), calls.build_batch(world)
    rows = variants.count_journal()
    count = len(body["items"])
    theirs = variants.naive.put(path, json=body)
    assert theirs.status_code == 200, theirs.text
    assert theirs.json()["updated"] == count
    assert variants.service.put(path, json=body).json()["unchanged"] == count
    assert variants.service.put(path, json=calls.build_batch(world)).json()["updated"] == count
    assert variants.count_journal() == rows + 2 * count


def test_the_summary_covers_all_plans(variants: Variants) -> None:
    path = calls.build_summary_path(variants.world)
    summary = get_json(variants.service, path)
    assert summary["actions"] == SIZE.plans * SIZE.actions + SIZE.big_plan
    assert summary["reported"] == summary["actions"]
    assert summary["spent"] > 0
    assert get_json(variants.raw, path) > 0


def test_the_benchmark_prints_query_plans(variants: Variants) -> None:
    if variants.database.is_sqlite:
        pytest.skip("measured and explained on PostgreSQL alone")
    sent = build_request("GET", calls.build_ranking_path(variants.world), variants.world.secret)
    lines = raw.explain(variants.database, {"ranking": sent})["ranking"]
    assert any("scorecard_figures" in line for line in lines)
    assert any("Execution Time" in line for line in lines)


def test_variants_return_the_same_lines_of_a_pull(variants: Variants) -> None:
    path = f"/v1/pulls/{SIZE.quarter}?region={data.PROVINCE}"
    reply = variants.service.get(path)
    *lines, end = [json.loads(line) for line in reply.content.splitlines()]
    assert end["end"]["rows"] == len(lines) == SIZE.plans * SIZE.actions + SIZE.big_plan
    theirs = [json.loads(line) for line in variants.naive.get(path).content.splitlines()]
    keys = [(line["plan"], line["action"]) for line in lines]
    assert [(item["line"]["plan"], item["line"]["code"]) for item in theirs] == keys
    assert [item["report"]["spent"] for item in theirs] == [line["report"]["spent"] for line in lines]
    assert [item["line"]["locations"] for item in theirs] == [line["locations"] for line in lines]
    if not variants.database.is_sqlite:
        copied = pulls.copy_with_psql(variants.database, SIZE.quarter, data.PROVINCE)
        assert copied.rows == len(lines)
    pulls.touch(variants.database)
    assert variants.service.get(path).headers["ETag"] != reply.headers["ETag"]


def test_the_service_computes_the_generated_figures(variants: Variants) -> None:
    """Writing a report again leaves its derived figures unchanged."""
    world = variants.world
    line = world.lines[world.plans[1]][0]
    path = calls.build_progress_path(world, world.plans[1], line)
    before = get_json(variants.service, path)
    content = {name: before[name] for name in calls.build_new_report(world, line)}
    after = variants.service.put(path, json={**content, "obstacle": "lain"}).json()
    assert after["physical_percent"] == before["physical_percent"]
    assert after["physical_basis"] == before["physical_basis"]
    assert Path(path).name == SIZE.quarter


def test_scorecards_cover_all_planned_regencies(variants: Variants) -> None:
    path = calls.build_ranking_path(variants.world)
    regencies = get_json(variants.service, path)["regencies"]
    planned = {plan[:5] for plan in variants.world.plans}
    measured = {row["region_code"] for row in regencies if row["spending_percent"] is not None}
    assert measured == planned
    assert all(row["coverage_percent"] for row in regencies if row["region_code"] in planned)
    for address in (path, calls.build_scorecard_path(variants.world)):
        assert get_json(variants.raw, address) > 0
