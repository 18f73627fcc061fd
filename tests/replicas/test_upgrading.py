"""An upgrade under load, as docs/operating.md describes it: no request fails, no write is lost or done twice.

`make proofs GROUP=upgrade-rehearsal` does it with processes of their own and SIGTERM, the suite with threads.
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

from app.kit.database.engine import Database, make_alembic_config
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
from tests.replicas.standby import PATIENCE, until

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
from app.kit.database.migrations import add_index_concurrently
from alembic import op
revision, down_revision = "0018_works_with_0016", "0017_works_with_0016"
def upgrade():
    add_index_concurrently("ix_action_title", "action", ["title"])
def downgrade():
    op.drop_index("ix_action_title", table_name="action")
'''


@pytest.fixture(params=[one for one in ENGINES if one == "postgres"])
def url() -> Iterator[str]:
    with own_url("postgres") as url:
        fill(url)
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
    config = make_alembic_config(url)
    config.set_main_option("script_location", str(tree / "migrations"))
    command.upgrade(config, "head")


class Service:
    """A service on a port of its own."""

    def __init__(self) -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"

    def is_ready(self, asking: httpx.Client) -> bool:
        """Return whether it says that it is ready. On a busy machine the answer may take a while."""
        try:
            return asking.get(f"{self.address}/ready", timeout=60).status_code == 200
        except httpx.HTTPError:
            return False


class InProcess(Service):
    """`rata serve` of the version in that folder."""

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

    def leave(self) -> None:
        self._process.terminate()
        assert self._process.wait(60) == 0


class InThread(Service):
    """The same in a thread of ours; whoever stops it tells the balancer first."""

    def __init__(self, tree: Path, url: str, balancer: "Balancer") -> None:
        super().__init__()
        self._balancer = balancer
        app = create_app(Settings(_env_file=None, database_url=url))
        self._server = uvicorn.Server(uvicorn.Config(app, port=self.port, log_config=None, access_log=False))
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()

    def leave(self) -> None:
        self._balancer.known.remove(self)
        until(lambda: self.address not in self._balancer.ready, "nobody is sent here")
        until(lambda: not self._balancer.under_way[self.address], "what was sent here is answered")
        self._server.should_exit = True
        self._thread.join(60)
        assert not self._thread.is_alive()


@dataclass
class Balancer:
    """What stands in front: it sends to who said a moment ago that it is ready, and asks all of them all the time."""

    known: list[Service] = field(default_factory=list)
    ready: list[str] = field(default_factory=list)
    turn: int = 0
    guard: threading.Condition = field(default_factory=threading.Condition)
    under_way: Counter[str] = field(default_factory=Counter)

    def look(self, asking: httpx.Client) -> None:
        ready = [one.address for one in self.known if one.is_ready(asking)]
        with self.guard:
            self.ready = ready
            self.guard.notify_all()

    @contextmanager
    def address(self) -> Iterator[str]:
        """Of whom to send the next request to, once a service is ready; it is under way as long as the block lasts."""
        with self.guard:
            assert self.guard.wait_for(lambda: self.ready, PATIENCE), "never: a service is ready"
            self.turn += 1
            address = self.ready[self.turn % len(self.ready)]
            self.under_way[address] += 1
        try:
            yield address
        finally:
            with self.guard:
                self.under_way[address] -= 1


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
        with self.balancer.address() as address:
            reply = client.request(method, address + path, **more)
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
        row = connection.execute(WAITING).fetchone()
    return bool(row and row[0])


def test_nobody_notices(url: str, next_version: Path) -> None:
    upgrade_under_load(url, next_version, InThread)


def upgrade_under_load(
    url: str, next_version: Path, start: Callable[[Path, str, Balancer], InThread | InProcess]
) -> None:
    """Migrate and replace a service while others read and write; hold that no request fails, no write is lost."""
    database = Database(url)
    balancer = Balancer()
    load = Load(balancer, token_for(database, ("administrator", "63.02")))
    with httpx.Client() as asking, ThreadPoolExecutor(1) as threads:
        old = start(ROOT, url, balancer)
        balancer.known.append(old)
        until(lambda: old.is_ready(asking), "the old one serves")
        balancer.look(asking)
        with load.running():
            load.go_on(20)
            # a pull that takes its time: it has read the table that the migration wants
            with database.snapshot_session() as pull:
                pull.execute(sa.text("SELECT count(*) FROM action")).all()
                migrating = threads.submit(migrate, next_version, url)
                until(lambda: waits(url), "the migration waits for the pull")
                load.go_on(20)
                assert not migrating.done()
            migrating.result(60)
            load.go_on(10)
            young = start(next_version, url, balancer)
            balancer.known.append(young)
            until(lambda: young.address in balancer.ready, "the new one serves")
            load.go_on(20)
            old.leave()
            load.go_on(20)
    assert load.failed == []
    kept = (
        "SELECT a.code, count(*), max(a.version) FROM agency a JOIN journal j"
        " ON j.subject = 'regions/63.02/agencies/' || a.code WHERE starts_with(a.code, 'UJI-') GROUP BY a.code"
    )
    with database.read_session() as session:
        rows = session.connection().exec_driver_sql(kept).all()
    assert {row[0]: tuple(row[1:]) for row in rows} == dict.fromkeys(load.made, (2, 2))
    balancer.ready = []
    # an old one that is started again, as by its supervisor, finds tables that say that it works with them
    assert database.read_schema_state() == ("0018_works_with_0016", "0016")
    check_schema(database)
    upgrade_schema(database)
    young.leave()
    database.close()
