"""An upgrade under load, as docs/operating.md describes it: no request fails, no write is lost or done twice.

`make proofs GROUP=upgrade-rehearsal` uses processes and SIGTERM, the suite threads.
"""

import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
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
import uvicorn
from alembic import command
from alembic.script import ScriptDirectory

from app.kit.database.engine import Database, make_alembic_config
from app.kit.database.migrations import name_next_revision
from app.main import create_app
from app.settings import Settings
from app.startup.bootstrap import upgrade_schema
from app.startup.database import check_schema
from tests.common import token_for
from tests.database import ENGINES, own_url
from tests.docs.server import free_port
from tests.plans.world import ANY, AT
from tests.postgres import WAITING
from tests.pulls.world import PULL
from tests.replicas.conftest import fill
from tests.replicas.standby import PATIENCE, wait_until

ROOT = Path(__file__).parents[2]
REGION = "/v1/regions/63.02/agencies"

HEAD = str(ScriptDirectory.from_config(make_alembic_config("sqlite://")).get_current_head())
COLUMN_REVISION = name_next_revision(HEAD)
INDEX_REVISION = name_next_revision(COLUMN_REVISION)
#: Migrations of the next version: a column, and an index built concurrently.
COLUMN = f'''
"""a column"""
import sqlalchemy as sa
from alembic import op
revision, down_revision = "{COLUMN_REVISION}", "{HEAD}"
def upgrade():
    op.add_column("action", sa.Column("remark", sa.Text(), nullable=True))
def downgrade():
    op.drop_column("action", "remark")
'''
INDEX = f'''
"""an index"""
from app.kit.database.migrations import add_index_concurrently
from alembic import op
revision, down_revision = "{INDEX_REVISION}", "{COLUMN_REVISION}"
def upgrade():
    add_index_concurrently("ix_action_title", "action", ["title"])
def downgrade():
    op.drop_index("ix_action_title", table_name="action")
'''


@pytest.fixture(params=[engine for engine in ENGINES if engine == "postgres"])
def url() -> Iterator[str]:
    with own_url("postgres") as url:
        fill(url)
        yield url


@pytest.fixture
def next_version(tmp_path: Path) -> Path:
    """A folder with the current code and two more migrations."""
    for name in ("app", "openapi"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "migrations", tmp_path / "migrations")
    for name, text in ((f"{COLUMN_REVISION}_column", COLUMN), (f"{INDEX_REVISION}_index", INDEX)):
        (tmp_path / "migrations" / "versions" / f"{name}.py").write_text(text.strip())
    return tmp_path


def migrate(tree: Path, url: str) -> None:
    """Migrate a database with the version in a folder."""
    config = make_alembic_config(url)
    config.set_main_option("script_location", str(tree / "migrations"))
    command.upgrade(config, "head")


class Service:
    """A service on its own port."""

    def __init__(self) -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"

    def is_ready(self, client: httpx.Client) -> bool:
        """Return whether `/ready` is 200, with a time-out for a busy machine."""
        try:
            return client.get(f"{self.address}/ready", timeout=60).status_code == 200
        except httpx.HTTPError:
            return False


class InProcess(Service):
    """`rata serve` of the version in a folder."""

    def __init__(self, tree: Path, url: str, balancer: "Balancer") -> None:
        super().__init__()
        settings = {"DATABASE_URL": url, "PORT": self.port, "LEAVE_SECONDS": 1}
        environment = {name: value for name, value in os.environ.items() if name != "RATA_DATABASE_READ_URL"}
        environment |= {f"RATA_{name}": str(value) for name, value in settings.items()}
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from app.cli import main; main()", "serve"],
            cwd=tree / "openapi",
            env={**environment, "PYTHONPATH": str(tree), "PYTHONSAFEPATH": "1"},
            stderr=subprocess.DEVNULL,
        )

    def stop(self) -> None:
        self._process.terminate()
        assert self._process.wait(60) == 0


class InThread(Service):
    """A service in a thread, which leaves the balancer before it stops."""

    def __init__(self, tree: Path, url: str, balancer: "Balancer") -> None:
        super().__init__()
        self._balancer = balancer
        app = create_app(Settings(_env_file=None, database_url=url))
        self._server = uvicorn.Server(uvicorn.Config(app, port=self.port, log_config=None, access_log=False))
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()

    def stop(self) -> None:
        self._balancer.known.remove(self)
        wait_until(lambda: self.address not in self._balancer.ready, "no new requests")
        wait_until(lambda: not self._balancer.running_requests[self.address], "no running requests")
        self._server.should_exit = True
        self._thread.join(60)
        assert not self._thread.is_alive()


@dataclass
class Balancer:
    """A load balancer that polls the known services and sends requests to those that are ready."""

    known: list[Service] = field(default_factory=list)
    ready: list[str] = field(default_factory=list)
    turn: int = 0
    guard: threading.Condition = field(default_factory=threading.Condition)
    running_requests: Counter[str] = field(default_factory=Counter)

    def poll(self, client: httpx.Client) -> None:
        ready = [service.address for service in self.known if service.is_ready(client)]
        with self.guard:
            self.ready = ready
            self.guard.notify_all()

    @contextmanager
    def choose(self) -> Iterator[str]:
        """Yield the address of the next ready service; the request counts as running in the block."""
        with self.guard:
            assert self.guard.wait_for(lambda: self.ready, PATIENCE), "never: a service is ready"
            self.turn += 1
            address = self.ready[self.turn % len(self.ready)]
            self.running_requests[address] += 1
        try:
            yield address
        finally:
            with self.guard:
                self.running_requests[address] -= 1


class Load:
    """Readers and writers in threads until the block ends; it records failures."""

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
        self._watch = threading.Thread(target=self._poll)

    def _run(self, act: Callable[[httpx.Client, str], None], name: str) -> None:
        with httpx.Client(headers=self.headers, timeout=60) as client:
            number = 0
            while not self._stopped.wait(0.1):  # leaves processor time to others
                number += 1
                try:
                    act(client, f"{name}{number}")
                except Exception as error:
                    self.failed.append(repr(error))

    def _poll(self) -> None:
        with httpx.Client() as client:
            while not self._stopped.is_set():
                self.balancer.poll(client)
                self._stopped.wait(0.05)

    def send(self, client: httpx.Client, method: str, path: str, **more: Any) -> httpx.Response:
        with self.balancer.choose() as address:
            reply = client.request(method, address + path, **more)
        self.done += 1
        if reply.status_code not in (200, 201):
            self.failed.append(f"{method} {path} {reply.status_code} {reply.text[:300]}")
        return reply

    def read(self, client: httpx.Client, name: str) -> None:
        for path in (f"{AT}/actions?limit=20", f"{AT}/actions/L-07", "/v1/changes?region=63.02&limit=5"):
            self.send(client, "GET", path)

    def write(self, client: httpx.Client, name: str) -> None:
        code = f"UJI-{name.upper()}"
        self.send(client, "PUT", f"{REGION}/{code}", json={"name": code, "kind": "dinas"})
        headers = {**ANY, "Idempotency-Key": name}
        self.send(client, "POST", f"{REGION}/{code}/retire", headers=headers)
        self.made.append(code)
        title = {"title": f"Ke-{name}"}
        self.send(client, "PATCH", f"{AT}/actions/L-07", json=title, headers=ANY)

    def pull(self, client: httpx.Client, name: str) -> None:
        reply = self.send(client, "GET", f"{PULL}?region=63.02")
        if b'{"end"' not in reply.content:
            self.failed.append("a pull without its end")

    def wait_for_replies(self, more: int) -> None:
        enough = self.done + more
        wait_until(lambda: self.done >= enough or self.failed, f"{more} further replies")

    @contextmanager
    def run(self) -> Iterator[None]:
        for thread in (self._watch, *self._threads):
            thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            for thread in (self._watch, *self._threads):
                thread.join()


def has_waiting(url: str) -> bool:
    """Return whether a connection waits for a lock."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        row = connection.execute(WAITING).fetchone()
    return bool(row and row[0])


def test_an_upgrade_under_load_fails_no_request(url: str, next_version: Path) -> None:
    upgrade_under_load(url, next_version, InThread)


def upgrade_under_load(
    url: str, next_version: Path, start: Callable[[Path, str, Balancer], InThread | InProcess]
) -> None:
    """Migrate and replace a service under load; check that no request fails and no write is lost or repeated."""
    database = Database(url)
    balancer = Balancer()
    load = Load(balancer, token_for(database, ("administrator", "63.02")))
    with httpx.Client() as client, ThreadPoolExecutor(1) as threads:
        old = start(ROOT, url, balancer)
        balancer.known.append(old)
        wait_until(lambda: old.is_ready(client), "the old one serves")
        balancer.poll(client)
        with load.run():
            load.wait_for_replies(20)
            # a slow pull holds a lock on the table of the migration
            with database.snapshot_session() as pull:
                pull.execute(sa.text("SELECT count(*) FROM action")).all()
                migrating = threads.submit(migrate, next_version, url)
                wait_until(lambda: has_waiting(url), "the migration waits for the pull")
                load.wait_for_replies(20)
                assert not migrating.done()
            migrating.result(60)
            load.wait_for_replies(10)
            young = start(next_version, url, balancer)
            balancer.known.append(young)
            wait_until(lambda: young.address in balancer.ready, "the new one serves")
            load.wait_for_replies(20)
            old.stop()
            load.wait_for_replies(20)
    assert load.failed == []
    kept = (
        "SELECT a.code, count(*), max(a.version) FROM agency a JOIN journal j"
        " ON j.subject = 'regions/63.02/agencies/' || a.code WHERE starts_with(a.code, 'UJI-') GROUP BY a.code"
    )
    with database.read_session() as session:
        rows = session.connection().exec_driver_sql(kept).all()
    assert {row[0]: tuple(row[1:]) for row in rows} == dict.fromkeys(load.made, (2, 2))
    balancer.ready = []
    # a restarted old service accepts the schema, which declares that the old code works with it
    assert database.read_schema_state() == (INDEX_REVISION, HEAD)
    check_schema(database)
    upgrade_schema(database)
    young.stop()
    database.close()
