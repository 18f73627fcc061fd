"""The sender connects to the address that it checked, ends every attempt, and keeps nothing of the reply."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import assume, given
from hypothesis import strategies as st

from app.changes.webhooks import sending
from app.changes.webhooks.rules import AttemptResult, Failure, parse_address
from app.changes.webhooks.sending import Sender
from app.client import Patience, Rata, Unreachable

Talk = Callable[[socket.socket], None]
TRUSTED = ssl.create_default_context()


@contextmanager
def serve(talk: Talk) -> Iterator[int]:
    """Yield the port of a server that talks to each connection by this function."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def work() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    try:
                        talk(connection)
                    except OSError:
                        continue

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        yield int(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


def read_request(connection: socket.socket) -> bytes:
    """Read a whole request: a reply and a close before its end would cut the sender off."""
    heard = b""
    while not heard.endswith(b"{}"):
        part = connection.recv(65536)
        if not part:
            return heard
        heard += part
    return heard


def post(
    address: str, *numbers: str, allow_loopback: bool = True, **options: ssl.SSLContext
) -> AttemptResult:
    """Make one attempt; every name resolves to these numbers."""
    sender = Sender(allow_loopback=allow_loopback, resolve=lambda host, port: list(numbers), **options)
    return sender.post(address, {"webhook-id": "msg_1"}, b"{}")


def test_each_attempt_resolves_the_name_and_connects_to_the_checked_address() -> None:
    lookups: list[tuple[str, int]] = []
    answers = [["127.0.0.1"], ["10.0.0.1"], ["8.8.8.8", "169.254.169.254"]]
    heard: list[bytes] = []

    def resolve(host: str, port: int) -> list[str]:
        lookups.append((host, port))
        return answers[len(lookups) - 1]

    def talk(connection: socket.socket) -> None:
        heard.append(read_request(connection))
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    with serve(talk) as port:
        sender = Sender(allow_loopback=True, resolve=resolve)
        failures = [sender.post(f"http://localhost:{port}/x", {}, b"{}").failure for _ in answers]
    assert failures == [None, Failure.refused_address, Failure.refused_address]
    assert lookups == [("localhost", port)] * 3
    assert len(heard) == 1
    assert b"Host: localhost" in heard[0]


def test_loopback_needs_permission() -> None:
    result = post("http://localhost:9/", "127.0.0.1", allow_loopback=False)
    assert result.failure == Failure.refused_address


def test_every_failure_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(host: str, port: int) -> list[str]:
        raise socket.gaierror

    sender = Sender(allow_loopback=True, resolve=nowhere)
    assert sender.post("https://nowhere.example/", {}, b"").failure == Failure.unresolved
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert post(f"http://localhost:{port}/", "127.0.0.1").failure == Failure.unreachable

    def mail(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"220 mail\r\n")
        connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):  # a close with unread bytes would reset instead
            while connection.recv(65536):
                pass

    with serve(mail) as port:
        assert post(f"http://localhost:{port}/", "127.0.0.1").failure == Failure.malformed_reply
        assert post(f"https://localhost:{port}/", "127.0.0.1").failure == Failure.insecure
    # A trickle of bytes hits the deadline of the whole attempt.
    monkeypatch.setattr(sending, "ATTEMPT_SECONDS", 0.2)
    over = threading.Event()

    def drip(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not over.wait(0.02):
            connection.sendall(b"x: y\r\n")

    with serve(drip) as port:
        result = post(f"http://localhost:{port}/", "127.0.0.1")
        over.set()
    assert (result.failure, result.status) == (Failure.timed_out, None)


def test_an_endless_reply_is_not_read() -> None:
    def talk(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 202 Accepted\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    with serve(talk) as port:
        assert post(f"http://localhost:{port}/", "127.0.0.1").status == 202


def make_certificate(folder: Path, name: str) -> Path:
    """Make a self-signed certificate for a name, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + made.public_bytes(Encoding.PEM))
    return file


def test_tls_verifies_the_name_although_the_connection_uses_the_address(tmp_path: Path) -> None:
    file = make_certificate(tmp_path, "penerima.example")
    own, names = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), list[str | None]()
    own.load_cert_chain(file)
    own.sni_callback = lambda connection, name, context: names.append(name)
    trusted = ssl.create_default_context(cafile=file)

    def talk(connection: socket.socket) -> None:
        with own.wrap_socket(connection, server_side=True) as secure:
            read_request(secure)
            secure.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with serve(talk) as port:
        right = post(f"https://penerima.example:{port}/", "127.0.0.1", trusted=trusted)
        other = post(f"https://lain.example:{port}/", "127.0.0.1", trusted=trusted)
        unknown = post(f"https://penerima.example:{port}/", "127.0.0.1")
    assert (right.failure, right.status) == (None, 204)
    assert (other.failure, unknown.failure) == (Failure.insecure, Failure.insecure)
    assert names == ["penerima.example", "lain.example", "penerima.example"]


def test_a_file_of_authorities_replaces_the_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = make_certificate(tmp_path, "penerima.example")
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(file)

    def talk(connection: socket.socket) -> None:
        with own.wrap_socket(connection, server_side=True) as secure:
            read_request(secure)
            secure.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with serve(talk) as port:
        address = f"https://penerima.example:{port}/"
        before = post(address, "127.0.0.1")
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        after = post(address, "127.0.0.1")
        with (
            Rata(f"https://localhost:{port}", "rata_x", patience=Patience(total=0)) as rata,
            pytest.raises(Unreachable, match="Hostname mismatch"),  # trusted, but of another name
        ):
            rata.get("/v1/me")
    assert (before.failure, after.failure) == (Failure.insecure, None)


@pytest.mark.parametrize("place", ["http://[", "https://x:99999/", "javascript:1", "https://\u2028/"])
def test_redirects_are_not_followed(place: str) -> None:
    def talk(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(f"HTTP/1.1 302 Found\r\nlocation: {place}\r\ncontent-length: 0\r\n\r\n".encode())

    with serve(talk) as port:
        result = post(f"http://localhost:{port}/", "127.0.0.1")
    assert (result.failure, result.status) == (Failure.redirected, 302)


def test_receiver_gets_the_headers_of_the_hint_and_no_others() -> None:
    heard: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        heard.append(read_request(connection))
        connection.sendall(b"HTTP/1.1 204 No Content\r\nset-cookie: a=b\r\n\r\n")

    with serve(talk) as port:
        assert post(f"http://localhost:{port}/x?y=1", "127.0.0.1").failure is None
        assert post(f"http://localhost:{port}/x?y=1", "127.0.0.1").failure is None
    for request in heard:
        first, *rest = request.partition(b"\r\n\r\n")[0].split(b"\r\n")
        assert first == b"POST /x?y=1 HTTP/1.1"
        names = {line.partition(b":")[0].lower() for line in rest}
        assert names == {
            b"host",
            b"content-type",
            b"user-agent",
            b"connection",
            b"webhook-id",
            b"content-length",
        }


@given(
    st.builds(
        "{}://{}{}/{}".format,
        st.sampled_from(["https", "http", "HTTPS"]),
        st.text(min_size=1, max_size=20) | st.sampled_from(["localhost", "[::1]", "8.8.8.8", "a_b.example"]),
        st.sampled_from(["", ":1", ":443", ":65535"]),
        st.text(max_size=20),
    )
)
def test_any_accepted_address_gives_a_result(address: str) -> None:
    """The sender looks up the host that it checked, however the address spells it."""
    parsed = parse_address(address)
    assume(parsed is not None)
    assert parsed is not None
    hosts: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        hosts.append(host)
        return []

    sender = Sender(allow_loopback=True, resolve=resolve, trusted=TRUSTED)
    result = sender.post(address, {"webhook-id": "msg_1"}, b"{}")
    assert result.failure in (Failure.unresolved, Failure.unreachable)
    if parsed.host.isascii():
        assert hosts in ([], [parsed.host.lower()])
