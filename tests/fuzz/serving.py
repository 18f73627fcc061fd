"""A world committed once, and `rata serve` over a copy of it: a process of its own, as an operator starts it."""

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
class Made:
    """A database with one of everything, and a token for each caller."""

    url: str
    tokens: dict[str, str]


def make(url: str) -> Made:
    database = prepare(url)
    with redirect_stdout(io.StringIO()), World(database):  # its log
        # last of all in a list: an administrator who goes along the links deletes who is first in it
        tokens = {name: token_for(database, *roles, prefix="zz-") for name, roles in CALLERS.items()}
    database.close()
    return Made(url, tokens)


@contextmanager
def engine(name: str, folder: Path) -> Iterator["Copies"]:
    if name == "sqlite":
        yield Copies(make(sqlite_url(folder, "world")), folder)
        return
    with postgres_server() as admin:
        yield Copies(make(create_database(admin, "world")), folder, admin)


@dataclass(frozen=True)
class Copies:
    made: Made
    folder: Path
    admin: str | None = None

    @contextmanager
    def serve(self, name: str) -> Iterator[str]:
        """The address of a service over a copy of its own, so that nothing depends on who came before."""
        with self._copy(name) as url:
            port = free_port()
            said = self.folder / f"{name}.log"
            settings = environment(
                RATA_DATABASE_URL=url, RATA_PORT=str(port), RATA_READS_PER_MINUTE="0", RATA_WRITES_PER_MINUTE="0",
                RATA_FAILURES_PER_MINUTE="0",
                RATA_SPOOL_FOLDER=str(self.folder / f"{name}-spool"), RATA_SECRETS_KEY=Fernet.generate_key().decode(),
            )  # fmt: skip
            with said.open("w") as out:
                process = subprocess.Popen(
                    [sys.executable, "-c", "from app.cli import main; main()", "serve"],
                    cwd=self.folder, env=settings, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
                )  # fmt: skip
            address = f"http://127.0.0.1:{port}"
            try:
                wait_for(process, address, said)
                yield address
                assert process.poll() is None, f"the service ended by itself:\n{said.read_text()[-3000:]}"
            finally:
                process.terminate()
                process.wait(SECONDS)

    @contextmanager
    def _copy(self, name: str) -> Iterator[str]:
        if self.admin is None:
            copy = self.folder / f"{name}.db"
            shutil.copyfile(self.made.url.removeprefix("sqlite:///"), copy)
            yield f"sqlite:///{copy}"
            return
        try:
            yield create_database(self.admin, name, urlsplit(self.made.url).path[1:])
        finally:
            drop_database(self.admin, name)


def wait_for(process: subprocess.Popen[bytes], address: str, said: Path) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(f"{address}/ready").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"the service does not answer:\n{said.read_text()[-3000:]}")
