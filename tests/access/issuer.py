"""The real issuer of `issuer_process` for tests: logins, rotation of keys, stop, count of requests.

Tokens that no issuer gives (expired, or of another key) are signed here with the issuer's own key.
"""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx2 as httpx
import jwt
from joserfc.jwk import RSAKey

from app.settings import Settings

AUDIENCE = "https://rata.example"
PERSON, OTHER = "5d0c1f52", "e81b07aa"
PASSWORD = "correct horse battery staple"


class RealIssuer:
    """A running issuer."""

    def __init__(self, address: str, keys: list[dict[str, Any]], process: subprocess.Popen[str], log: Path):
        self.address, self.keys, self.process, self._log = address, keys, process, log

    @property
    def settings(self) -> Settings:
        return Settings(
            _env_file=None,
            database_url="sqlite://",
            oidc_issuer=self.address,
            oidc_audience=AUDIENCE,
            oidc_algorithms="RS512,ES256",
        )

    def log_in(self, person: str = PERSON, *, client: str = "office") -> str:
        """Return the access token of a person who logged in at this client."""
        form = {"grant_type": "password", "username": person, "password": PASSWORD, "scope": "openid"}
        reply = httpx.post(f"{self.address}/oauth/token", data=form, auth=(client, "of-this-run"), timeout=60)
        assert reply.status_code == 200, reply.text
        return str(reply.json()["access_token"])

    def sign(self, *, header: dict[str, Any] | None = None, key: int = 0, **claims: Any) -> str:
        """Return a token signed with the issuer's key and usual claims, changed by these (None: without)."""
        now = int(time.time())
        usual = {"iss": self.address, "aud": [AUDIENCE], "sub": PERSON, "iat": now, "exp": now + 300}
        present = {name: value for name, value in (usual | claims).items() if value is not None}
        headers = {"kid": self.keys[key]["kid"]} | (header or {})
        return jwt.encode(present, _read_key(json.dumps(self.keys[key])), algorithm="RS512", headers=headers)

    def rotate(self) -> None:
        """Make the second key sign, and publish both."""
        assert self.process.stdin is not None
        self.process.stdin.write("rotate\n")
        self.process.stdin.flush()
        _wait_for(self.process, self._log, "rotated")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def times_asked(self, path: str = "/oauth/jwks.json") -> int:
        return self._log.read_text().splitlines().count(path)


@cache
def _make_keys() -> list[Any]:
    """Make the two keys of this run's issuers."""
    return [RSAKey.generate_key(2048, auto_kid=True).as_dict(private=True) for _ in range(2)]


@cache
def _read_key(text: str) -> Any:
    """Read a private key once: checking it takes as long as ten requests."""
    return jwt.PyJWK(json.loads(text), "RS512").key


@contextmanager
def running_issuer(folder: Path) -> Iterator[RealIssuer]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    keys = _make_keys()
    log = folder / "issuer.log"
    script = Path(__file__).with_name("issuer_process.py")
    command = [sys.executable, "-W", "ignore", str(script), str(port), json.dumps(keys), AUDIENCE]
    with (
        log.open("w") as out,
        (folder / "issuer.err").open("w") as err,
        subprocess.Popen(
            command, cwd=folder, stdin=subprocess.PIPE, stdout=out, stderr=err, text=True
        ) as process,
    ):
        try:
            _wait_for(process, log, "ready")
            yield RealIssuer(f"http://127.0.0.1:{port}", keys, process, log)
        finally:
            process.kill()


def _wait_for(process: subprocess.Popen[str], log: Path, word: str) -> None:
    end = time.monotonic() + 60
    while word not in log.read_text().splitlines():
        assert process.poll() is None, log.with_suffix(".err").read_text()[-3000:]
        assert time.monotonic() < end, f"the issuer is not {word}"
        time.sleep(0.05)
