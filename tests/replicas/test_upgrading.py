"""An upgrade under load, as docs/upgrading.md tells it: no request fails, no write is lost or done twice."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2 as httpx
import psycopg
import pytest
import sqlalchemy as sa
from alembic import command

from app.kit.db import Database, alembic_config
from app.main import check_schema
from app.setup import upgrade_schema
from tests.conftest import token_for
from tests.database import ENGINES, prepare
from tests.docs.server import free_port
from tests.plans.world import ANY, AT, LEAN, furnish, put_many, put_plan
from tests.postgres import worker_database
from tests.pulls.test_transfers import client_of
from tests.pulls.world import PULL
from tests.replicas.standby import until

ROOT = Path(__file__).parents[2]
REGION = "/v1/regions/63.02/agencies"

#: What the next version brings: a column, and an index built beside who writes.
COLUMN = '''
"""a column"""
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0017_works_with_0016", "0016"
def upgrade():
    op.add_column("action", sa.Column("remark", sa.Text(), nullable=True))
def downgrade():
    op.drop_column("action", "remark")
'''
INDEX = '''
"""an index"""
from app.kit.migrating import add_index_beside_writers
from alembic import op
revision, down_revision = "0018_works_with_0016", "0017_works_with_0016"
def upgrade():
    add_index_beside_writers("ix_action_title", "action", ["title"])
def downgrade():
    op.drop_index("ix_action_title", table_name="action")
'''


@pytest.fixture(params=[one for one in ENGINES if one == "postgres"])
def url() -> Iterator[str]:
    with worker_database() as url:
        database = prepare(url)
        furnish(database)
        writer = client_of(database)
        put_plan(writer)
        put_many(writer, [{**LEAN, "code": f"L-{n:02d}"} for n in range(40)])
        database.close()
        yield url


@pytest.fixture
def next_version(tmp_path: Path) -> Path:
    """The code as it is, with two more migrations."""
    for name in ("app", "openapi"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "migrations", tmp_path / "migrations")
    for name, text in (("0017_column", COLUMN), ("0018_index", INDEX)):
        (tmp_path / "migrations" / "versions" / f"{name}.py").write_text(text.strip())
    return tmp_path


def migrate(tree: Path, url: str) -> None:
    """`rata migrate` of the version in that folder."""
    config = alembic_config(url)
    config.set_main_option("script_location", str(tree / "migrations"))
    command.upgrade(config, "head")


class Service:
    """`rata serve` on a port of its own."""

    def __init__(self, tree: Path, url: str) -> None:
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        settings = {"DATABASE_URL": url, "PORT": port, "LEAVE_SECONDS": 1}
        environment = {name: value for name, value in os.environ.items() if name != "RATA_DATABASE_READ_URL"}
        environment |= {f"RATA_{name}": str(value) for name, value in settings.items()}
        self.log: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from app.cli import main; main()", "serve"],
            cwd=tree / "openapi",
            env={**environment, "PYTHONPATH": str(tree), "PYTHONSAFEPATH": "1"},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as out:
            self.log.extend(out)

    def is_ready(self, asking: httpx.Client) -> bool:
        try:
            return asking.get(f"{self.address}/ready").status_code == 200
        except httpx.HTTPError:
            return False

    def leave(self) -> int:
        self.process.terminate()
        self._reader.join(60)
        return self.process.wait(60)


@dataclass
class Balancer:
    """What stands in front: it sends to who said a moment ago that it is ready, and asks all of them all the time."""

    known: list[Service] = field(default_factory=list)
    ready: list[str] = field(default_factory=list)
    turn: int = 0

    def look(self, asking: httpx.Client) -> None:
        self.ready = [one.address for one in self.known if one.is_ready(asking)]

    def address(self) -> str:
        self.turn += 1
        ready = self.ready
        return ready[self.turn % len(ready)]


class Load:
    """Readers and writers that go on until they are told to stop; whatever is no success is kept."""

    def __init__(self, balancer: Balancer, secret: str) -> None:
        self.balancer, self.headers = balancer, {"Authorization": f"Bearer {secret}"}
        self.failed: list[str] = []
        self.made: list[str] = []
        self.done = 0
        self._stopped = threading.Event()
        work = [self.read, self.write, self.write, self.pull]
        self._threads = [
            threading.Thread(target=self._run, args=(act, name))
            for name, act in zip("abcd", work, strict=True)
        ]
        self._watch = threading.Thread(target=self._look)

    def _run(self, act: Callable[[httpx.Client, str], None], name: str) -> None:
        with httpx.Client(headers=self.headers, timeout=60) as client:
            number = 0
            while not self._stopped.wait(0.1):  # the others want the machine too
                number += 1
                try:
                    act(client, f"{name}{number}")
                except Exception as error:
                    self.failed.append(repr(error))

    def _look(self) -> None:
        with httpx.Client() as asking:
            while not self._stopped.is_set():
                self.balancer.look(asking)
                self._stopped.wait(0.05)

    def sent(self, client: httpx.Client, method: str, path: str, **more: Any) -> httpx.Response:
        reply = client.request(method, self.balancer.address() + path, **more)
        self.done += 1
        if reply.status_code not in (200, 201):
            self.failed.append(f"{method} {path} {reply.status_code} {reply.text[:300]}")
        return reply

    def read(self, client: httpx.Client, name: str) -> None:
        for path in (f"{AT}/actions?limit=20", f"{AT}/actions/L-07", "/v1/changes?region=63.02&limit=5"):
            self.sent(client, "GET", path)

    def write(self, client: httpx.Client, name: str) -> None:
        code = f"UJI-{name.upper()}"
        self.sent(client, "PUT", f"{REGION}/{code}", json={"name": code, "kind": "dinas"})
        headers = {**ANY, "Idempotency-Key": name}
        self.sent(client, "POST", f"{REGION}/{code}/retire", headers=headers)
        self.made.append(code)
        title = {"title": f"Ke-{name}"}
        self.sent(client, "PATCH", f"{AT}/actions/L-07", json=title, headers=ANY)

    def pull(self, client: httpx.Client, name: str) -> None:
        found = self.sent(client, "GET", f"{PULL}?region=63.02")
        if b'{"end"' not in found.content:
            self.failed.append("a pull without its end")

    def go_on(self, more: int) -> None:
        enough = self.done + more
        until(lambda: self.done >= enough or self.failed, f"{more} further replies")

    @contextmanager
    def running(self) -> Iterator[None]:
        for thread in (self._watch, *self._threads):
            thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            for thread in (self._watch, *self._threads):
                thread.join()


def waits(url: str) -> bool:
    """Whether somebody stands in line for a table."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        row = connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
    return bool(row and row[0])


def test_nobody_notices(url: str, next_version: Path) -> None:
    database = Database(url)
    balancer = Balancer()
    load = Load(balancer, token_for(database, ("administrator", "63.02")))
    with httpx.Client() as asking, ThreadPoolExecutor(1) as threads:
        old = Service(ROOT, url)
        balancer.known.append(old)
        until(lambda: old.is_ready(asking) or old.process.poll() is not None, "the old one serves")
        balancer.look(asking)
        with load.running():
            load.go_on(20)
            # a pull that takes its time: it has read the table that the migration wants
            with database.one_state() as pull:
                pull.execute(sa.text("SELECT count(*) FROM action")).all()
                migrating = threads.submit(migrate, next_version, url)
                until(lambda: waits(url), "the migration waits for the pull")
                load.go_on(20)
                assert not migrating.done()
            migrating.result(60)
            load.go_on(10)
            young = Service(next_version, url)
            balancer.known.append(young)
            until(lambda: young.address in balancer.ready, "\n".join(young.log))
            load.go_on(20)
            assert old.leave() == 0
            load.go_on(20)
    assert load.failed == []
    kept = (
        "SELECT a.code, count(*), max(a.version) FROM agency a JOIN journal j"
        " ON j.subject = 'regions/63.02/agencies/' || a.code WHERE starts_with(a.code, 'UJI-') GROUP BY a.code"
    )
    with database.read_session() as session:
        rows = session.connection().exec_driver_sql(kept).all()
    assert {row[0]: tuple(row[1:]) for row in rows} == dict.fromkeys(load.made, (2, 2))
    # an old one that is started again, as by its supervisor, finds tables that say that it works with them
    assert database.schema_state() == ("0018_works_with_0016", "0016")
    check_schema(database)
    upgrade_schema(database)
    assert young.leave() == 0
    database.close()
