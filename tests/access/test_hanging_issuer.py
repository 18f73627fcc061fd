"""An issuer that accepts connections and never answers: neither requests nor the shutdown wait for it."""

import socket
import threading
from collections.abc import Iterator

import jwt
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.access.issuer import FIRST_FETCH_PAUSE, Issuer, IssuerUnreachable, create_issuer
from app.settings import Settings
from tests.access.issuer import AUDIENCE
from tests.common import ConnectAs

pytestmark = pytest.mark.one_engine

FORGED = 100


class Hanging:
    """A listening socket, and the connection of the issuer's thread to it."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        settings = Settings(
            _env_file=None, oidc_issuer=self.address, oidc_audience=AUDIENCE, oidc_algorithms="ES256"
        )
        issuer = create_issuer(settings)
        assert issuer is not None
        self.issuer: Issuer = issuer
        self.connection: socket.socket | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def start(self) -> None:
        """Start the issuer's thread and wait until it hangs."""
        self.issuer.start()
        self._listener.settimeout(60)
        self.connection, _ = self._listener.accept()
        self.connection.setblocking(False)

    def is_waited_for(self) -> bool:
        """Return True if the fetching thread still waits for an answer."""
        assert self.connection is not None
        try:
            while self.connection.recv(65536):
                pass
        except BlockingIOError:
            return True
        return False


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        hanging = Hanging(listener)
        yield hanging
        hanging.issuer.stop()
        if hanging.connection is not None:
            hanging.connection.close()


def forge_token(address: str, number: int) -> str:
    claims = {"iss": address, "aud": AUDIENCE, "sub": "x", "iat": 1, "exp": 2**31}
    # The signature uses another algorithm than the header names; the service checks the key first.
    token = jwt.encode(claims, "x" * 32, algorithm="HS256", headers={"kid": f"forged-{number}"})
    header = jwt.api_jws.base64url_encode(
        f'{{"alg":"ES256","typ":"JWT","kid":"forged-{number}"}}'.encode()
    ).decode()
    return f"{header}.{token.partition('.')[2]}"


def test_a_hundred_forged_tokens_hold_no_thread(hanging: Hanging) -> None:
    hanging.start()
    answers: list[str] = []

    def ask(number: int) -> None:
        with pytest.raises(IssuerUnreachable) as error:
            hanging.issuer.verify_token(forge_token(hanging.address, number))
        answers.append(error.value.headers["Retry-After"])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(FORGED)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["1"] * FORGED
    assert hanging.is_waited_for(), "the requests ended because the fetch did"
    assert [thread.name for thread in threading.enumerate()].count("issuer") == 1


def test_service_tokens_need_no_issuer(app: FastAPI, connect: ConnectAs, hanging: Hanging) -> None:
    hanging.start()
    before, app.state.issuer = app.state.issuer, hanging.issuer
    try:
        office = connect(("reader", "63"))
        for number in range(FORGED // 10):
            token = forge_token(hanging.address, number)
            reply = TestClient(app, headers={"Authorization": f"Bearer {token}"}).get("/v1/me")
            assert (reply.status_code, reply.json()["code"]) == (503, "issuer_unreachable")
            assert reply.headers["Retry-After"] == "1"
            assert office.get("/v1/me").status_code == 200
    finally:
        app.state.issuer = before
    assert hanging.is_waited_for()


def test_the_end_of_the_process_does_not_wait(hanging: Hanging) -> None:
    hanging.start()
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "issuer")
    hanging.issuer.stop()
    assert thread.daemon
    assert thread.is_alive()
    assert hanging.is_waited_for(), "stopping waited for the issuer"


def test_a_failed_fetch_delays_the_next(hanging: Hanging) -> None:
    now = 1000.0
    hanging.issuer._clock = lambda: now
    hanging.issuer._fetch = lambda: None  # type: ignore[method-assign]  # as after its time-out
    hanging.issuer.refresh_if_due()
    with pytest.raises(IssuerUnreachable) as error:
        hanging.issuer.verify_token(forge_token(hanging.address, 0))
    assert error.value.headers == {"Retry-After": f"{FIRST_FETCH_PAUSE:.0f}"}
