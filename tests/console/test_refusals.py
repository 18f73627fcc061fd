"""Commands on unusable databases and places: one sentence, exit code 1, nothing created."""

import contextlib
import errno
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from app import cli
from app.startup import serving
from app.startup.configuration import CannotStart
from app.startup.signals import STOPPED
from tests.database import ENGINES
from tests.docs.server import free_port
from tests.forked import python_with_service
from tests.postgres import create_database, drop_database, postgres_server
from tests.test_cli import PLAN, Rata, environment, prepared, rata

__all__ = ["prepared", "rata"]  # fixtures

on_postgres = pytest.mark.skipif("postgres" not in ENGINES, reason="RATA_TEST_ENGINES leaves PostgreSQL out")

# Command → arguments, for all commands that open a database.
CALLS: dict[str, list[str]] = {
    "serve": [],
    "deliver": ["--once"],
    "reseal": [],
    "migrate": [],
    "verify": [],
    "check": ["personal-data"],
    "backup": ["rata.backup"],
    "reference": ["load"],
    "import": ["matrix.csv", "--plan", PLAN],
    "import-observations": ["matrix.csv", "--code-system", "bps"],
    "principal": ["list"],
    "token": ["list"],
}
WITHOUT_DATABASE = {"openapi", "pull", "follow"}
CREATING = {"migrate", "demo"}


def call(rata: Rata, command: str, **settings: str) -> tuple[str, str]:
    """Run a refused command; return its last line on standard error and all of standard output."""
    Path("matrix.csv").write_text("x\n")
    done = rata(command, *CALLS[command], **settings)
    assert done.returncode == 1, (command, done)
    assert "Traceback" not in done.stderr
    lines = [
        line
        for line in done.stderr.splitlines()
        if not line.startswith("Database ") and " starting " not in line
    ]
    assert len(lines) == 1, (command, lines)
    assert lines[0].endswith((".", "rata migrate", "NAME")), lines
    return lines[0], done.stdout


def test_all_commands_that_open_a_database_are_tested() -> None:
    assert CALLS.keys() | WITHOUT_DATABASE | CREATING == cli.MODULES.keys()


@pytest.mark.parametrize("command", sorted(cli.MODULES.keys() - {"pull", "follow"}))
def test_no_command_works_with_a_misspelt_setting(rata: Rata, tmp_path: Path, command: str) -> None:
    (tmp_path / "matrix.csv").write_text("x\n")
    done = rata(command, *CALLS.get(command, []), RATA_DATABSE_URL="sqlite:///other.db")
    assert done.returncode == 1
    assert done.stderr == "RATA_DATABSE_URL is not a setting; the nearest is RATA_DATABASE_URL.\n"
    assert done.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["matrix.csv"]


@pytest.mark.parametrize("command", sorted(CALLS.keys() - CREATING))
def test_no_command_makes_an_empty_database(rata: Rata, tmp_path: Path, command: str) -> None:
    for file in ("rata.db", "none/rata.db"):
        message, printed = call(rata, command, RATA_DATABASE_URL=f"sqlite:///{file}")
        assert message == f"There is no database {tmp_path / file}. Run: rata migrate"
        assert printed == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["matrix.csv"]


@pytest.mark.parametrize("command", sorted(CALLS))
def test_a_file_that_is_no_database_is_refused(rata: Rata, tmp_path: Path, command: str) -> None:
    (tmp_path / "rata.db").write_bytes(b"of something else " * 100)
    message, _ = call(rata, command, RATA_DATABASE_URL="sqlite:///rata.db")
    assert "is not a database" in message
    assert (tmp_path / "rata.db").read_bytes() == b"of something else " * 100


@pytest.mark.parametrize("command", sorted(CALLS))
def test_an_unreachable_server_is_reported_without_its_password(rata: Rata, command: str) -> None:
    away = "postgresql+psycopg://rata:hidden@127.0.0.1:1/rata"
    message, printed = call(rata, command, RATA_DATABASE_URL=away)
    assert message.startswith("The database cannot be used: ")
    assert "hidden" not in message + printed


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("sqlite:////proc/none/rata.db", "/proc/none/rata.db"),
        ("sqlite:////dev/null/rata.db", "/dev/null/rata.db"),
        ("sqlite:////tmp", "names /tmp, which is a folder or a device"),
        ("sqlite:////dev/zero", "names /dev/zero, which is a folder or a device"),
        ("sqlite:///file:x.db?uri=true", "leave out options"),
        ("sqlite:///x.db?mode=ro", "leave out options"),
        ("sqlite:///\udcff.db", "RATA_DATABASE_URL is not UTF-8 text"),
        ("sqlite://", "in memory"),
        ("postgresql+psycopg://rata@/rata?unknown=1", "unknown"),
        ("postgresql+psycopg://rata@no.such.host.invalid/rata", "cannot be used"),
    ],
)
def test_an_unusable_address_is_refused(rata: Rata, tmp_path: Path, url: str, reason: str) -> None:
    message, _ = call(rata, "migrate", RATA_DATABASE_URL=url)
    assert reason in message
    assert [path.name for path in tmp_path.iterdir()] == ["matrix.csv"]


@pytest.mark.parametrize("command", ["serve", "deliver", "openapi"])
@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_missing_authorities_are_named(rata: Rata, prepared: object, command: str, variable: str) -> None:
    issuer = {"RATA_OIDC_ISSUER": "https://issuer.example", "RATA_OIDC_AUDIENCE": "rata"}
    done = rata(command, *CALLS.get(command, []), **issuer, **{variable: "none"})
    assert done.returncode == 1
    assert done.stdout == ""
    sentence = f"{variable} names none, which has no readable certificates: "
    assert done.stderr.splitlines()[-1].lower().startswith(sentence.lower())
    assert "Traceback" not in done.stderr


def test_commands_name_database_and_settings_file(rata: Rata, prepared: object, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("RATA_DATABASE_URL=sqlite:///var/rata.db\n")
    done = rata("token", "list", "--json")
    assert done.stdout == "[]\n"
    database, file = f"sqlite:///{tmp_path}/var/rata.db", tmp_path / ".env"
    assert done.stderr == f"Database {database}, settings of {file}.\n"
    (tmp_path / ".env").unlink()
    assert "settings of the environment alone" in rata("verify").stderr


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@contextlib.contextmanager
def run_on_server(server: str, *statements: str) -> Iterator[None]:
    """Run statements as the server's administrator."""
    with psycopg.connect(server.replace("+psycopg", ""), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())
    yield


@on_postgres
@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_in_another_encoding_is_refused(rata: Rata, server: str, encoding: str) -> None:
    name = f"rata_{encoding.lower()}"
    make = f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'"
    with run_on_server(server, make):
        try:
            url = urlsplit(server)._replace(path=f"/{name}").geturl()
            for command in ("migrate", "serve", "verify"):
                message, _ = call(rata, command, RATA_DATABASE_URL=url)
                assert f"has the encoding {encoding}" in message
                assert "createdb --template=template0 --encoding=UTF8" in message
        finally:
            drop_database(server, name)


@on_postgres
def test_a_role_without_rights_is_refused(rata: Rata, server: str) -> None:
    role, name = f"guest_{os.getpid()}", f"rata_guest_{os.getpid()}"
    url = create_database(server, name)
    guest = url.replace("//postgres@", f"//{role}@")
    try:
        with run_on_server(server, f"CREATE ROLE {role} LOGIN"):
            message, _ = call(rata, "migrate", RATA_DATABASE_URL=guest)
            assert "lacks a right in the database: permission denied for schema public" in message
        assert rata("migrate", RATA_DATABASE_URL=url).returncode == 0
        for command in ("verify", "serve"):
            message, _ = call(rata, command, RATA_DATABASE_URL=guest)
            assert "lacks a right in the database: permission denied for table alembic_version" in message
        elsewhere = urlsplit(server)._replace(path="/no_such_database").geturl()
        message, _ = call(rata, "migrate", RATA_DATABASE_URL=elsewhere)
        assert 'database "no_such_database" does not exist' in message
    finally:
        drop_database(server, name)
        with run_on_server(server, f"DROP ROLE {role}"):
            pass


def test_an_unavailable_port_is_refused(rata: Rata, prepared: object) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        message, _ = call(rata, "serve", RATA_PORT=port)
        assert message == f"127.0.0.1:{port} is taken by another program; choose another port in RATA_PORT."
        message, _ = call(
            rata, "serve", RATA_METRICS="port", RATA_METRICS_PORT=port, RATA_PORT=str(free_port())
        )
        assert "RATA_METRICS_PORT" in message
    for host in ("192.0.2.7", "no.such.host.invalid", "x" * 70, ""):
        message, _ = call(rata, "serve", RATA_HOST=host)
        assert message == f"RATA_HOST is {host!r}, which is not an address of this machine."


def test_a_port_that_needs_rights_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: socket.socket, address: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(CannotStart, match="Port 80 needs rights of root; choose one from 1024 in RATA_PORT"):
        serving.check_port("127.0.0.1", 80, "RATA_PORT")


def test_an_unwritable_spool_is_refused_at_the_start(rata: Rata, prepared: object, tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file")
    for folder in (tmp_path / "spool", Path("/proc/none"), Path("/dev/null/spool")):
        message, _ = call(rata, "serve", RATA_SPOOL_FOLDER=str(folder))
        assert f"Exports cannot be written to {folder}: " in message
        assert "RATA_SPOOL_FOLDER" in message


def test_an_unknown_revision_is_refused(rata: Rata, prepared: object, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "var" / "rata.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'of another program'")
    for command in ("migrate", "verify"):
        message, _ = call(rata, command)
        assert message == (
            "The database is at revision of another program, which no version of Rata has. "
            "It is a database of another program."
        )


@pytest.mark.parametrize("words", [["--version"], ["token", "create", "dasbor", "--role", "reader@63"]])
def test_a_secret_that_cannot_be_printed_is_no_token(
    rata: Rata, prepared: object, tmp_path: Path, words: list[str]
) -> None:
    code = f"import sys; from app.cli import main; sys.argv = ['rata', *{words}]; main()"
    buffered = {name: value for name, value in environment().items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [python_with_service(), "-c", code],
            cwd=tmp_path, env=buffered, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "No space left on device.")
    assert rata("token", "list", "--json").stdout == "[]\n"


def test_only_its_owner_can_read_a_database(rata: Rata, tmp_path: Path) -> None:
    assert rata("migrate").returncode == 0
    assert (tmp_path / "var" / "rata.db").stat().st_mode & 0o077 == 0


# Stopping


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_that_python_would_drop_ends_the_command(number: int) -> None:
    code = f"""
import signal
from app.startup.signals import end_when_stopped
class Dropping:
    def __del__(self):
        signal.raise_signal({int(number)})
with end_when_stopped():
    Dropping()
    print("it went on", flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr.strip()) == (1, "", STOPPED)


def test_nohup_is_respected() -> None:
    code = """
import signal
from app.startup.signals import end_when_stopped
with end_when_stopped():
    signal.raise_signal(signal.SIGHUP)
    print("it went on")
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(), capture_output=True, text=True, check=False,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "it went on\n", "")


def test_a_migration_that_is_stopped_leaves_nothing_half_done(rata: Rata, tmp_path: Path) -> None:
    code = """
import signal
from sqlalchemy import event
from sqlalchemy.engine import Engine
from app.cli import main
def stop_half_way(connection, cursor, statement, *rest):
    if statement.startswith("\\nCREATE TABLE membership"):
        signal.raise_signal(signal.SIGTERM)
event.listen(Engine, "after_cursor_execute", stop_half_way)
main()
"""
    done = subprocess.run(
        [python_with_service(), "-c", code, "migrate"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, STOPPED)
    assert "Traceback" not in done.stderr
    with contextlib.closing(sqlite3.connect(tmp_path / "var" / "rata.db")) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    assert rata("migrate").returncode == 0
