"""The PostgreSQL server of the suite: its version, its templates, and its end with the run."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from tests.postgres import OLDEST_VERSION, create_database, drop_database, ensure_template, postgres_server

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def admin_url() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture
def name(admin_url: str) -> Iterator[str]:
    name = f"rata_self_check_{os.getpid()}"
    yield name
    drop_database(admin_url, f"{name}_copy")
    drop_database(admin_url, name)


def connect(url: str) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def test_server_is_recent_enough(admin_url: str) -> None:
    with connect(admin_url) as connection:
        assert connection.info.server_version >= OLDEST_VERSION * 10000


def test_text_sorts_by_code_point_as_on_sqlite(admin_url: str, name: str) -> None:
    with connect(create_database(admin_url, name)) as connection:
        rows = connection.execute(
            "SELECT v FROM unnest(ARRAY['b', 'A', 'a', 'É', 'B']) v ORDER BY v"
        ).fetchall()
        assert [row[0] for row in rows] == sorted("AaBbÉ")


def test_template_is_built_once_and_copied(admin_url: str, name: str) -> None:
    built: list[str] = []

    def build(url: str) -> None:
        built.append(url)
        with connect(url) as connection:
            connection.execute("CREATE TABLE kept (id int)")

    assert ensure_template(admin_url, name, build) == ensure_template(admin_url, name, build)
    assert len(built) == 1
    with connect(create_database(admin_url, f"{name}_copy", template=name)) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_template_whose_build_fails_is_dropped(admin_url: str, name: str) -> None:
    def fail(_: str) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ensure_template(admin_url, name, fail)
    create_database(admin_url, name)


def test_killed_run_leaves_no_server_and_no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RATA_TEST_POSTGRES_URL", raising=False)
    program = """
import time
from tests.postgres import postgres_server
with postgres_server() as url:
    print(url, flush=True)
    time.sleep(60)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as run:
        assert run.stdout is not None
        url = run.stdout.readline().strip()
        (home,) = parse_qs(urlsplit(url).query)["host"]
        with connect(url) as connection:
            row = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"
            ).fetchone()
        run.send_signal(signal.SIGKILL)
    assert row is not None
    deadline = time.monotonic() + 20
    while Path(home).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(home).exists()
    with pytest.raises(ProcessLookupError):
        os.kill(int(str(row[0])), 0)
