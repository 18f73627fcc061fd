"""Transfers: resumed, compressed, queued, and of one state during writes."""

import asyncio
import contextlib
import gzip
import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
import zstandard
from fastapi.testclient import TestClient
from sqlmodel import Session
from structlog.testing import capture_logs

from app.exchange.pulls import queries, writing
from app.kit.database.engine import Database, get_table
from app.kit.exports.cache import ExportCache
from app.kit.exports.range_responses import ByteRange, RangeNotSatisfiable, parse_range
from app.main import create_app
from app.plans.actions.models import ActionRow
from app.settings import Settings
from tests.common import token_for
from tests.database import ENGINES, own_database
from tests.plans.world import LEAN, furnish, put, put_many, put_plan
from tests.pulls.world import PLAIN, PULL, forget, pull, resume
from tests.quarters.world import Office

pytestmark = pytest.mark.one_engine

# Resumption


def choose_cuts(size: int) -> list[int]:
    """Return twenty places, the first and the last byte among them."""
    return [0, size - 1, *random.Random(7).sample(range(1, size - 1), 18)]


@pytest.mark.parametrize("suffix", ["", ".csv", ".parquet", ".xlsx"])
def test_a_cut_pull_resumes_in_its_own_state(office: Office, suffix: str) -> None:
    office.report("A-1", spent=5)
    url = PULL + suffix
    whole = office.secretariat.get(url, headers=PLAIN)
    put(office.secretariat, "A-2", title="Sementara itu")
    for at in choose_cuts(len(whole.content)):
        rest = resume(office.secretariat, at, whole.headers["ETag"], url)
        assert rest.status_code == 206, rest.text
        assert whole.content[:at] + rest.content == whole.content
        size = len(whole.content)
        assert rest.headers["Content-Range"] == f"bytes {at}-{size - 1}/{size}"
        assert rest.headers["ETag"] == whole.headers["ETag"]
    later = office.secretariat.get(url, headers=PLAIN)
    assert later.headers["ETag"] != whole.headers["ETag"]
    assert later.content != whole.content


def test_a_lost_file_is_rebuilt_and_another_state_sent_whole(office: Office) -> None:
    first = pull(office.secretariat)
    forget(office.secretariat)
    rest = resume(office.secretariat, 100, first.tag)
    assert (rest.status_code, rest.content) == (206, first.content[100:])
    forget(office.secretariat)
    office.report("A-1", spent=1)
    whole = resume(office.secretariat, 100, first.tag)
    assert (whole.status_code, whole.headers["ETag"] != first.tag) == (200, True)
    assert whole.content.startswith(b'{"region_code"')


def test_kept_files_serve_the_same_rights_only(office: Office, connect: Callable[..., TestClient]) -> None:
    first = pull(office.secretariat)
    put(office.secretariat, "A-2", title="Sementara itu")
    assert resume(connect(("secretariat", "63.02")), 10, first.tag).status_code == 206
    assert resume(office.province, 10, first.tag).status_code == 200
    assert resume(office.secretariat, 10, first.tag, f"{PULL}?region=63").status_code == 200
    assert resume(connect(("secretariat", "63.03")), 10, first.tag).status_code == 404


def test_ranges(office: Office) -> None:
    whole = pull(office.secretariat).content
    for sent, span in (("0-0", (0, 1)), ("5-9", (5, 10)), ("-7", (-7, None)), (f"3-{10**15}", (3, None))):
        part = office.secretariat.get(PULL, headers={**PLAIN, "Range": f"bytes={sent}"})
        assert (part.status_code, part.content) == (206, whole[slice(*span)]), sent
        assert int(part.headers["Content-Length"]) == len(part.content)
    for sent in ("bytes=0-1,4-5", "bytes=9-5", "lines=1-2", "bytes=-", "x", "bytes=a-b"):
        assert office.secretariat.get(PULL, headers={**PLAIN, "Range": sent}).content == whole, sent
    for sent in (f"{len(whole)}-", "-0"):
        refused = office.secretariat.get(PULL, headers={**PLAIN, "Range": f"bytes={sent}"})
        assert (refused.status_code, refused.json()["code"]) == (416, "range_not_satisfiable")
        assert refused.headers["Content-Range"] == f"bytes */{len(whole)}"
    head = office.secretariat.head(PULL, headers={**PLAIN, "Range": "bytes=5-9"})
    assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(whole)))
    assert parse_range("bytes=2-4", 3) == ByteRange(2, 3)
    with pytest.raises(RangeNotSatisfiable):
        parse_range("bytes=0-", 0)


@pytest.mark.parametrize(("coding", "decoded"), [("gzip", gzip.decompress), ("zstd", None)])
def test_codings_have_tags_and_ranges_of_their_own(
    office: Office, coding: str, decoded: Callable[[bytes], bytes] | None
) -> None:
    plain = pull(office.secretariat)
    accepts = {"Accept-Encoding": coding}

    def raw(**headers: str) -> tuple[Any, bytes]:
        with office.secretariat.stream("GET", PULL, headers={**accepts, **headers}) as reply:
            return reply, b"".join(reply.iter_raw())

    reply, packed = raw()
    unpack = decoded or zstandard.ZstdDecompressor().decompressobj().decompress
    assert (reply.headers["Content-Encoding"], unpack(packed)) == (coding, plain.content)
    tag = reply.headers["ETag"]
    assert tag == f'{plain.tag[:-1]}-{coding}"'
    again, _ = raw(**{"If-None-Match": tag})
    assert (again.status_code, again.headers["ETag"]) == (304, tag)
    put(office.secretariat, "A-2", title="Sementara itu")
    rest, tail = raw(**{"Range": "bytes=33-", "If-Range": tag})
    assert (rest.status_code, packed[:33] + tail) == (206, packed)
    for headers, whole in (({"If-Range": plain.tag}, plain.content), ({}, pull(office.secretariat).content)):
        other, tail = raw(Range="bytes=33-", **headers)
        assert (other.status_code, tail) == (206, whole[33:]), "a piece of coded bytes would be of no use"
    for format in ("parquet", "xlsx"):
        assert "Content-Encoding" not in office.secretariat.get(f"{PULL}.{format}").headers


# One state, with real commits


@pytest.fixture(scope="module", params=ENGINES)
def committed(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database with a plan of 40 lines."""
    with own_database(request.param) as database:
        furnish(database)
        writer = client_of(database)
        put_plan(writer)
        put_many(writer, [{**LEAN, "code": f"L-{n:02d}"} for n in range(40)])
        yield database


def client_of(
    database: Database, role: tuple[str, str] = ("secretariat", "63.02"), **settings: Any
) -> TestClient:
    app = create_app(Settings(_env_file=None, database_url=str(database.url), **settings), database)
    secret = token_for(database, role)
    return TestClient(app, headers={"Authorization": f"Bearer {secret}"}, raise_server_exceptions=False)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read every pull in pieces of five lines and stream it."""
    monkeypatch.setattr(queries, "CHUNK", 5)
    monkeypatch.setattr(queries, "BATCH_LINES", 10)
    monkeypatch.setattr(writing, "STREAMED_ROWS", 0)


def between_pieces(monkeypatch: pytest.MonkeyPatch, act: Callable[[int], None]) -> None:
    """Call `act` after each piece that a pull reads."""
    real = queries.read_lines

    def lines(session: Session, *rest: Any) -> Iterator[list[str]]:
        for number, part in enumerate(real(session, *rest)):
            yield part
            act(number)

    monkeypatch.setattr(writing, "read_lines", lines)


@pytest.mark.usefixtures("small_pieces")
def test_all_lines_are_of_one_state_during_writes(
    committed: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, actions = client_of(committed), get_table(ActionRow)
    before = pull(client)
    put(client, "L-00", base=LEAN, title="Baru")

    def write(number: int) -> None:
        with committed.writing() as session:
            session.execute(sa.update(actions).values(title=f"Diubah {number}"))

    between_pieces(monkeypatch, write)
    result = pull(client)
    assert [row["title"] for row in result.rows] == ["Baru"] + ["Baris"] * 39
    assert result.tag != before.tag
    monkeypatch.setattr(writing, "read_lines", queries.read_lines)
    forget(client)
    assert {row["title"] for row in pull(client).rows} == {"Diubah 7"}


@pytest.mark.usefixtures("small_pieces")
def test_a_pull_that_fails_in_transfer_is_cut_and_not_kept(
    committed: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(committed)
    put(client, "L-00", base=LEAN, title="Akan gagal")

    def fail(number: int) -> None:
        if number == 1:
            raise OSError("the connection went")

    between_pieces(monkeypatch, fail)
    got = b""
    with capture_logs(), contextlib.suppress(Exception), client.stream("GET", PULL, headers=PLAIN) as reply:
        for piece in reply.iter_raw():
            got += piece
    assert b'{"end"' not in got
    monkeypatch.setattr(writing, "read_lines", queries.read_lines)
    assert len(pull(client).rows) == 40


@pytest.mark.usefixtures("small_pieces")
def test_a_client_that_disconnects_leaves_no_connection_and_can_return(
    committed: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(committed)
    put(client, "L-00", base=LEAN, title="Terputus")
    spool: ExportCache = client.app.state.export_cache  # type: ignore[attr-defined]  # an ASGI application has it
    gone = threading.Event()
    between_pieces(monkeypatch, lambda number: gone.wait(10))
    heads: list[Any] = []

    async def cut() -> None:
        """Read the first piece and disconnect."""
        went = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await went.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                heads.append(message)
            elif message["type"] == "http.response.body":
                went.set()

        scope = {
            "type": "http",
            "method": "GET",
            "path": PULL,
            "raw_path": PULL.encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "http_version": "1.1",
            "server": ("testserver", 80),
            "client": ("testclient", 1),
            "headers": [
                (b"authorization", client.headers["authorization"].encode()),
                (b"accept-encoding", b"identity"),
            ],
        }
        await client.app(scope, receive, send)  # type: ignore[arg-type]

    asyncio.run(cut())
    (head,) = heads
    gone.set()
    spool.close()  # waits for the writer of the file
    assert committed.engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # every pool of ours has it
    monkeypatch.setattr(writing, "read_lines", queries.read_lines)
    put(client, "L-00", base=LEAN, title="Sementara itu")
    rest = resume(client, 10, dict(head["headers"])[b"etag"].decode())
    assert rest.status_code == 206
    assert b"Sementara itu" not in rest.content
    assert rest.content.endswith(b"}]}}\n")


def test_a_pull_that_waits_too_long_gets_retry_after(committed: Database) -> None:
    client = client_of(committed, exports_at_once=1, exports_wait_seconds=1)
    put(client, "L-00", base=LEAN, title="Ramai")
    spool: ExportCache = client.app.state.export_cache  # type: ignore[attr-defined]
    done = threading.Event()
    spool.make("another", lambda making: str(done.wait(10)))
    reply = client.get(PULL, headers=PLAIN)
    assert (reply.status_code, reply.json()["code"]) == (503, "busy")
    assert reply.headers["Retry-After"] == "1"
    done.set()
    assert len(pull(client).rows) == 40


@pytest.mark.usefixtures("small_pieces")
def test_many_at_once_all_finish(committed: Database) -> None:
    client = client_of(committed, exports_at_once=1)
    addresses = [f"{PULL}?region={region}" for region in ("0", "63", "63.02")] * 4
    counts: list[int] = []
    threads = [
        threading.Thread(target=lambda at=at: counts.append(len(pull(client, at).rows))) for at in addresses
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [40] * len(addresses)


def test_the_folder_is_bounded(committed: Database) -> None:
    client = client_of(committed, spool_max_bytes=2**20)
    spool: ExportCache = client.app.state.export_cache  # type: ignore[attr-defined]
    spool.limit = 1
    first = pull(client)
    assert client.get(f"{PULL}.csv").status_code == 200
    names = [file.name for file in spool.folder.iterdir() if file.suffix != ".json"]
    assert len(names) == 1, "the newest stays, however large"
    assert pull(client) == first
