"""The migrations of both engines: up, check, down, and up again with data in every table."""

import io
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import CommandLine, Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from cryptography.fernet import Fernet
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.access.models import TokenPosition
from app.changes.webhooks.rules import Sealer
from app.changes.webhooks.sending import Sender
from app.changes.webhooks.worker import Worker
from app.kit.database.engine import Database, get_table, make_alembic_config
from app.main import create_app
from app.plans.amendments.models import AmendmentActionRow
from app.plans.core.models import PlanRow
from app.settings import Settings
from app.startup.configuration import CannotStart
from app.startup.database import check_schema
from app.startup.schema import Table
from tests.common import token_for
from tests.coverage.world import SEKAPUNG
from tests.coverage.world import put as put_coverage
from tests.database import ENGINES, own_url, prepare, sqlite_url
from tests.exchange.office import line, sheet
from tests.findings.world import CLEAN, OTHER
from tests.meetings.world import commit, put_meeting, step
from tests.plans.test_actions import WHOLE
from tests.plans.test_plans import WHOLE as WHOLE_PLAN
from tests.plans.world import ACTION, ANY, AT, PARTNER, SOCIAL, WORKS, furnish, put, put_plan, report
from tests.quarters.world import ACCEPTED, PART_ACCEPTED
from tests.scorecards.world import settle
from tests.steps.world import grade, show
from tests.test_migration_rules import RELEASED, list_complaints
from tests.workflow.moves import CODED, Movers
from tests.workflow.moves import PLAN as ADOPTED

pytestmark = pytest.mark.both_engines

INI = Path(__file__).parents[1] / "alembic.ini"


@pytest.fixture(params=ENGINES)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield sqlite_url(tmp_path, "empty")
        return
    from tests.postgres import worker_database

    with worker_database() as url:
        yield url


def run_alembic(*words: str) -> str:
    """Run the command line of Alembic and return its standard output."""
    out = io.StringIO()
    line = CommandLine()
    options = line.parser.parse_args(["-c", str(INI), *words])
    line.run_cmd(Config(INI, stdout=out, cmd_opts=options), options)
    return out.getvalue()


def test_up_check_down_and_up(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alembic takes the database of the settings; the service requires the newest revision."""
    monkeypatch.setenv("RATA_DATABASE_URL", empty_url)
    database = Database(empty_url, creates=True)
    with pytest.raises(CannotStart, match="rata migrate"):
        check_schema(database)
    run_alembic("upgrade", "0002")
    assert run_alembic("current") == "0002\n"
    run_alembic("upgrade", "head")
    run_alembic("check")
    assert "0015 -> 0016" in run_alembic("history", "-r", "0015:")
    check_schema(database)
    run_alembic("downgrade", "base")
    assert list_tables(database) == set()
    run_alembic("upgrade", "head")
    assert list_tables(database) == set(Table.metadata.tables)
    database.close()


@pytest.mark.parametrize("words", [("current",), ("history",), ("stamp", "head")])
def test_only_an_upgrade_creates_the_file(
    words: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "missing.db"
    monkeypatch.setenv("RATA_DATABASE_URL", f"sqlite:///{file}")
    run_alembic(*words)
    assert f"There is no database {file}" in capsys.readouterr().err
    assert not file.exists()


def test_alembic_names_new_revisions_by_the_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATA_DATABASE_URL", sqlite_url(tmp_path, "empty"))
    config = Config(shutil.copy(INI, tmp_path), stdout=io.StringIO())
    shutil.copytree(INI.parent / "migrations", tmp_path / "migrations")
    newest = ScriptDirectory.from_config(config).get_current_head()
    assert newest is not None
    for number, message in enumerate(("Add a note", "Drop nothing"), start=int(newest[:4]) + 1):
        command.revision(config, message)
        (file,) = (tmp_path / "migrations" / "versions").glob(f"{number:04}_*.py")
        assert file.stem == f"{number:04}_{message.lower().replace(' ', '_')}"
        assert list_complaints(file.stem, file.read_text(), RELEASED) == []
    with pytest.raises(CommandError, match="leave out --sql"):
        command.upgrade(config, "head", sql=True)


STEPS: int | None = 3
"""Number of downgrades with data; `make proofs GROUP=migrations` goes back all of them."""


@pytest.fixture(params=ENGINES)
def prepared_url(request: pytest.FixtureRequest) -> Iterator[str]:
    with own_url(request.param) as url:
        yield url


def test_downgrades_and_upgrades_keep_the_rows_of_every_table(prepared_url: str) -> None:
    config = make_alembic_config(prepared_url)
    fill(Database(prepared_url))
    database = Database(prepared_url)
    before = count_rows(database)
    assert [table for table, number in before.items() if number == 0] == []
    assert set(before) == set(Table.metadata.tables)
    for _ in islice(ScriptDirectory.from_config(config).walk_revisions(), STEPS):
        database.engine.dispose()
        command.downgrade(config, "-1")
        kept = count_rows(database)
        # A downgrade may drop tables; it keeps all rows of the others.
        assert kept == {table: before[table] for table in kept}
        assert_no_orphans(database)
    command.upgrade(config, "head")
    command.check(config)
    assert_no_orphans(database)
    database.close()
    if STEPS is None:
        again = prepare(prepared_url)
        fill(again)
        assert_no_orphans(again)
        again.close()


def fill(database: Database) -> None:
    """Write at least one row to every table over HTTP."""
    furnish(database)
    key = Fernet.generate_key().decode()
    app = create_app(Settings(_env_file=None, database_url=str(database.url), secrets_key=key), database)
    secret = token_for(database, ("secretariat", "63.02"))
    with TestClient(app, headers={"Authorization": f"Bearer {secret}"}) as client:
        region = "/v1/regions/63.02/indicators/p0"
        target = {"value": 3.9, "baseline": 4.56, "baseline_year": 2021}
        assert client.put(f"{region}/targets/2026", json=target).status_code == 201
        put_plan(client, **{name: value for name, value in WHOLE_PLAN.items() if name != "title"})
        put(client, "A-1", base=WHOLE)
        put(client, "A-2")
        report(
            client,
            "A-2",
            1,
            spent=1,
            components=[{"component_class": "direct", "amount": 1}],
            outputs=[{"code": "O1", "achieved": 1}],
            recipients=[{"code": "R1", "reached": 1}],
            milestones=[{"code": "M1", "state": "done"}],
        )
        imported = client.post(f"{AT}/imports", files={"file": ("matriks.xlsx", sheet(line()))})
        assert imported.json()["created"] == 1, imported.text
        for code, base in (("B-1", CLEAN), ("B-2", OTHER)):
            put(client, code, base=base)
        why = {"verdict": "complementary", "text": "…"}
        assert client.put(f"{AT}/overlaps/B-1~B-2/explanation", json=why).status_code == 201
        freeze_quarter(client, database, app)
        put_coverage(client, SEKAPUNG)
        show(client, "team_decree", "regulation")
        put_meeting(client, "R-1")
        linked = [{"plan": "63.02-2026", "action": "A-2"}]
        commit(client, "K-1", meeting="R-1", supporting_agencies=[PARTNER], linked_actions=linked)
        step(client, "start")
        merge = f"/v1/regions/63.02/agencies/{WORKS}/merge"
        done = client.post(merge, json={"into": PARTNER}, headers={**ANY, "Idempotency-Key": "once"})
        assert done.status_code == 200
        assert client.get(f"{AT}/actions/A-2").json()["title"] == ACTION["title"]
        assert client.get("/v1/scorecards/63.02?period=2026-Q2").status_code == 200
        app.state.figures_cache.write(database)
        settle(database, "2026-Q1")
        put_plan(client, ADOPTED)
        put(client, "A-1", plan=ADOPTED, base=CODED)
    opened: list[TestClient] = []

    def connect(*roles: tuple[str, str]) -> TestClient:
        opened.append(TestClient(app, headers={"Authorization": f"Bearer {token_for(database, *roles)}"}))
        return opened[-1]

    grade(connect(("reviewer", "63")), "regulation", "decrees", "B")
    movers = Movers(connect)
    for verb in ("submit", "return", "submit", "endorse", "adopt", "amend"):
        assert movers.move(verb).status_code == 200
    for mover in opened:
        mover.close()
    with database.writing() as session:  # a line of the open amendment
        amended = {"code": "A-1", "content": None, "reasons": [], "updated_at": datetime.now(UTC)}
        plan = (
            sa.select(get_table(PlanRow).c.id).where(get_table(PlanRow).c.code == ADOPTED).scalar_subquery()
        )
        session.execute(sa.insert(get_table(AmendmentActionRow)).values(plan_id=plan, version=1, **amended))
        session.execute(
            sa.insert(get_table(TokenPosition)).values(token="o1", from_sequence=1, principal="opd")
        )
    deliver_to_webhook(database, app, key)
    nation = {"Authorization": f"Bearer {token_for(database, ('administrator', '0'))}"}
    with TestClient(app, headers=nation) as client:
        assert client.put(f"{region}/observations/2021-S1", json={"value": 4.56}).status_code == 201
        point = {"longitude": 116.218, "latitude": -3.2889, "source": "…"}
        assert client.put(f"/v1/regions/{SEKAPUNG}/coordinates", json=point).status_code == 201
    database.close()


def deliver_to_webhook(database: Database, app: FastAPI, key: str) -> None:
    """Create a webhook with a secret and attempt a delivery to an address that does not answer."""
    secret = token_for(database, ("administrator", "63.02"))
    with TestClient(app, headers={"Authorization": f"Bearer {secret}"}) as client:
        content = {"address": "https://127.0.0.1.example/", "region_code": "63.02"}
        assert client.put("/v1/webhooks/w", json=content).status_code == 201
        assert client.put("/v1/webhooks/w/secrets/s", json={}).status_code == 201
        put_agency = client.put("/v1/regions/63.02/agencies/Z-1", json={"name": "Z", "kind": "dinas"})
        assert put_agency.status_code == 201
    sender = Sender(allow_loopback=False, resolve=lambda host, port: ["127.0.0.1"])
    assert Worker(database, Sealer([key]), sender).send_all_due() == 1


def freeze_quarter(secretariat: TestClient, database: Database, app: FastAPI) -> None:
    """Freeze a quarter with a calendar, an extension and a part of an agency."""
    quarter, days = "/v1/regions/63.02/quarters/2026-Q1", "/v1/regions/63.02/calendar/2026-Q1"
    secret = token_for(database, ("reviewer", "63"), ("administrator", "0"))
    with TestClient(app, headers={"Authorization": f"Bearer {secret}"}) as above:
        content = {"opens_on": "2026-01-01", "due_on": "2026-04-15", "issued_by": "Gubernur"}
        done = [
            above.put(days, json=content),
            above.put(f"{quarter}/extensions/banjir", json={"until": "2026-04-30", "reason": "Banjir"}),
            secretariat.post(f"{quarter}/{PART}", json=PART_ACCEPTED, headers=ANY),
            secretariat.post(f"{quarter}/submit", json=ACCEPTED, headers=ANY),
            *[above.post(f"{quarter}/{verb}", headers=ANY) for verb in ("verify", "freeze")],
        ]
    assert [reply.status_code for reply in done] == [201, 201, 200, 200, 200, 200]


PART = f"agencies/{SOCIAL}/submit"


def list_tables(database: Database) -> set[str]:
    return set(sa.inspect(database.engine).get_table_names()) - {"alembic_version"}


def count_rows(database: Database) -> dict[str, int]:
    """Return the number of rows of each table, in one statement."""
    names = sorted(list_tables(database))
    if not names:
        return {}
    sizes = [sa.select(sa.func.count()).select_from(sa.table(name)).scalar_subquery() for name in names]
    with database.engine.connect() as connection:
        return dict(zip(names, connection.execute(sa.select(*sizes)).one(), strict=True))


def assert_no_orphans(database: Database) -> None:
    """Check that every foreign key of the existing tables refers to a row."""
    orphans = {}
    for (_, name), keys in sa.inspect(database.engine).get_multi_foreign_keys().items():
        for key in keys:
            if key["referred_schema"]:  # of a partition; its table has the key too
                continue
            child = sa.table(name, *map(sa.column, key["constrained_columns"])).alias("child")
            parent = sa.table(key["referred_table"], *map(sa.column, key["referred_columns"])).alias("parent")
            pairs = list(zip(child.c, parent.c, strict=True))
            orphans[f"{name} {key['constrained_columns']}"] = (
                sa.select(sa.func.count())
                .select_from(child)
                .where(*[own.is_not(None) for own, _ in pairs])
                .where(~sa.exists().select_from(parent).where(*[own == other for own, other in pairs]))
                .scalar_subquery()
            )
    if not orphans:
        return
    with database.engine.connect() as connection:
        numbers = dict(zip(orphans, connection.execute(sa.select(*orphans.values())).one(), strict=True))
    assert {key: number for key, number in numbers.items() if number} == {}
