"""A committed world, and `rata serve` in a process over a copy of it."""

import io
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx2 as httpx
from cryptography.fernet import Fernet

from tests.common import token_for
from tests.contract.world import World
from tests.database import prepare, sqlite_url
from tests.docs.server import free_port
from tests.fuzz.rules import CALLERS
from tests.postgres import create_database, drop_database, postgres_server
from tests.test_cli import environment

SECONDS = 120


@dataclass(frozen=True)
class PreparedWorld:
    """A database with every kind of row, and a token for each caller."""

    url: str
    tokens: dict[str, str]


def build_world(url: str) -> PreparedWorld:
    database = prepare(url)
    with redirect_stdout(io.StringIO()), World(database):  # hides its log
        # the prefix sorts them last: along links an administrator deletes the first item of a list
        tokens = {name: token_for(database, *roles, prefix="zz-") for name, roles in CALLERS.items()}
    database.close()
    return PreparedWorld(url, tokens)


@contextmanager
def prepare_engine(name: str, folder: Path) -> Iterator["Copies"]:
    if name == "sqlite":
        yield Copies(build_world(sqlite_url(folder, "world")), folder)
        return
    with postgres_server() as admin:
        yield Copies(build_world(create_database(admin, "world")), folder, admin)


@dataclass(frozen=True)
class Copies:
    """Copies of a prepared world."""

    world: PreparedWorld
    folder: Path
    admin: str | None = None

    @contextmanager
    def serve(self, name: str) -> Iterator[str]:
        """Yield the address of a service over a new copy."""
        with self._copy(name) as url:
            port = free_port()
            log = self.folder / f"{name}.log"
            settings = environment(
                RATA_DATABASE_URL=url, RATA_PORT=str(port), RATA_READS_PER_MINUTE="0", RATA_WRITES_PER_MINUTE="0",
                RATA_FAILURES_PER_MINUTE="0",
                RATA_SPOOL_FOLDER=str(self.folder / f"{name}-spool"), RATA_SECRETS_KEY=Fernet.generate_key().decode(),
            )  # fmt: skip
            with log.open("w") as out:
                process = subprocess.Popen(
                    [sys.executable, "-c", "from app.cli import main; main()", "serve"],
                    cwd=self.folder, env=settings, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
                )  # fmt: skip
            address = f"http://127.0.0.1:{port}"
            try:
                wait_until_ready(process, address, log)
                yield address
                assert process.poll() is None, f"the service ended by itself:\n{log.read_text()[-3000:]}"
            finally:
                process.terminate()
                process.wait(SECONDS)

    @contextmanager
    def _copy(self, name: str) -> Iterator[str]:
        if self.admin is None:
            copy = self.folder / f"{name}.db"
            shutil.copyfile(self.world.url.removeprefix("sqlite:///"), copy)
            yield f"sqlite:///{copy}"
            return
        try:
            yield create_database(self.admin, name, urlsplit(self.world.url).path[1:])
        finally:
            drop_database(self.admin, name)


def wait_until_ready(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(f"{address}/ready").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"the service does not answer:\n{log.read_text()[-3000:]}")
