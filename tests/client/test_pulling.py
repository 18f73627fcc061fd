"""Pulls over bad lines: the file under its name is whole and right, or absent."""

import base64
import fcntl
import gzip
import hashlib
import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.client import (
    AlreadyRunning,
    Misused,
    Patience,
    Pulled,
    Rata,
    RataError,
    Refused,
    Unreachable,
    Unwritable,
    WrongContent,
)
from app.client.comparison import compare
from tests.client.world import IMPATIENT, BadLine, Ended, Served, client_of, run_command
from tests.plans.world import LEAN, put_many, report

pytestmark = pytest.mark.one_engine

PERIOD, PLAN = "2026-Q2", "63.02-2026"
NAME = f"rata-{PERIOD}-63.ndjson"
LINES = 60


@pytest.fixture(scope="module")
def token(served: Served) -> str:
    """A token of a reader of the province; the plan of a regency has texts of all kinds."""
    with served.writer() as writer:
        assert writer.put(f"/v1/plans/{PLAN}", json={"title": "RAT"}).status_code == 201
        put_many(
            writer,  # type: ignore[arg-type]  # a client as the test client is
            [{**LEAN, "code": f"A-{n:03}", "note": f"baris {n}\n“dua”, \\"} for n in range(LINES)],
        )
        report(writer, "A-007", 2, plan=PLAN, spent=70)  # type: ignore[arg-type]  # the same
    return served.token(("reviewer", "63"))


@pytest.fixture
def rata(served: Served, token: str) -> Iterator[Rata]:
    with client_of(served, token) as client:
        yield client


def pull(rata: Rata, folder: Path, **options: Any) -> Pulled:
    return rata.pull(PERIOD, folder, region="63", **options)


def list_names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_a_pull_equals_the_services_file(rata: Rata, tmp_path: Path) -> None:
    seen: list[int] = []
    done = pull(rata, tmp_path, shown=lambda done, total: seen.append(done))
    content = done.file.read_bytes()
    assert list_names(tmp_path) == {NAME, f"{NAME}.json"}
    assert (done.manifest.rows, len(content.splitlines())) == (LINES, LINES)
    assert hashlib.sha256(content).hexdigest() == done.manifest.sha256
    assert json.loads(content.splitlines()[7])["report"]["spent"] == 70
    assert seen
    manifest = json.loads((tmp_path / f"{NAME}.json").read_bytes())
    assert manifest["plans"] == [{"region_code": "63.02", "plan": PLAN, "revision": None, "amendment": None}]
    # the cursor belongs to the feed
    assert [page.items for page in rata.changes(manifest["cursor"], region="63")] == [[]]
    for form in ("csv", "parquet", "xlsx"):
        other = pull(rata, tmp_path, format=form)
        assert hashlib.sha256(other.file.read_bytes()).hexdigest() == other.manifest.sha256
        assert other.manifest.rows == LINES
    with pytest.raises(Misused):
        pull(rata, tmp_path, format="pdf")


@pytest.mark.parametrize(("form", "count"), [("ndjson", 20), ("csv", 5), ("parquet", 5)])
def test_a_pull_cut_anywhere_equals_the_uncut_one(
    served: Served, token: str, rata: Rata, tmp_path: Path, form: str, count: int
) -> None:
    whole = pull(rata, tmp_path / "whole", format=form)
    sizes: list[int] = []
    pull(rata, tmp_path / "size", format=form, shown=lambda done, total: sizes.append(done))
    chance = random.Random(3)
    # the reply's own head is longer than 300 bytes
    cuts = chance.sample(range(1, sizes[-1] + 300), count)
    for number, allowed in enumerate([[cut] for cut in cuts] + [cuts]):
        with (
            BadLine(served.port(), *allowed, delay=lambda: chance.random() / 500) as line,
            Rata(line.url, token, patience=IMPATIENT) as over,
        ):
            done = pull(over, tmp_path / f"{number}", format=form)
        assert done.file.read_bytes() == whole.file.read_bytes()
        assert list_names(done.file.parent) == {done.file.name, f"{done.file.name}.json"}
        assert line.connections >= 2


def test_a_run_resumes_where_an_earlier_one_stopped(
    served: Served, token: str, rata: Rata, tmp_path: Path
) -> None:
    whole = pull(rata, tmp_path / "whole")
    with BadLine(served.port(), 1200) as line:
        with (
            Rata(line.url, token, patience=Patience(total=0)) as once,
            pytest.raises(Unreachable) as failed,
        ):
            pull(once, tmp_path)
        assert failed.value.exit_code == 4
        assert list_names(tmp_path) == {"whole", f"{NAME}.part", f"{NAME}.part.json"}
        size = (tmp_path / f"{NAME}.part").stat().st_size
        assert 0 < size < 1200
        with Rata(line.url, token, patience=IMPATIENT) as again:
            done = pull(again, tmp_path)
    assert (done.resumed_at, done.file.read_bytes()) == (size, whole.file.read_bytes())


def test_a_damaged_part_is_fetched_again(rata: Rata, served: Served, token: str, tmp_path: Path) -> None:
    whole = pull(rata, tmp_path / "whole")
    for harm in (lambda data: b"\0" * len(data), lambda data: data * 99):
        with (
            BadLine(served.port(), 1500) as line,
            Rata(line.url, token, patience=Patience(total=0)) as once,
            pytest.raises(Unreachable),
        ):
            pull(once, tmp_path)
        part, state = tmp_path / f"{NAME}.part", tmp_path / f"{NAME}.part.json"
        part.write_bytes(harm(part.read_bytes()))
        state.write_text(state.read_text().replace(json.loads(state.read_text())["address"], rata.base_url))
        # of another address: not a part of this file
        assert pull(rata, tmp_path).file.read_bytes() == whole.file.read_bytes()
        part.write_bytes(harm(b"12345678"))
        content = {
            "etag": whole.manifest.etag,
            "coding": "gzip",
            "digest": None,
            "rows": LINES,
            "cursor": None,
        }
        state.write_text(json.dumps({**content, "address": whole.manifest.address}))
        assert pull(rata, tmp_path).file.read_bytes() == whole.file.read_bytes()


def test_since_last(served: Served, rata: Rata, tmp_path: Path) -> None:
    first = pull(rata, tmp_path, since_last=True)
    again = pull(rata, tmp_path, since_last=True)
    assert (first.is_unchanged, again.is_unchanged, again.manifest) == (False, True, first.manifest)
    assert list_names(tmp_path) == {NAME, f"{NAME}.json"}
    with served.writer() as writer:
        report(writer, "A-008", 2, plan=PLAN, spent=random.randrange(100))  # type: ignore[arg-type]  # see above
    other = pull(rata, tmp_path, since_last=True)
    assert (other.is_unchanged, other.manifest.etag == first.manifest.etag) == (False, False)
    # a changed file is pulled again
    other.file.write_bytes(b"{}\n")
    assert pull(rata, tmp_path, since_last=True).is_unchanged is False
    other.file.unlink()
    assert pull(rata, tmp_path, since_last=True).file.exists()


def test_two_runs_do_not_work_on_the_same_file(rata: Rata, tmp_path: Path) -> None:
    with (tmp_path / f"{NAME}.part").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(AlreadyRunning):
            pull(rata, tmp_path)
    pull(rata, tmp_path)


def test_digests_show_where_a_file_differs(served: Served, rata: Rata, tmp_path: Path) -> None:
    file = pull(rata, tmp_path).file
    assert compare(rata, file, PERIOD, "63") == []
    file.write_bytes(file.read_bytes().replace(b"baris 9", b"baris 0", 1))
    assert compare(rata, file, PERIOD, "63") == [f"{PLAN} {LEAN['lead_agency']}"]
    file.write_bytes(b"\x93")
    with pytest.raises(WrongContent):
        compare(rata, file, PERIOD, "63")


# A service that misbehaves


def make_client(*replies: httpx.Response | Exception, waits: list[float] | None = None) -> Rata:
    """Return a client whose service gives these replies in turn."""
    left = list(replies)

    def answer(request: httpx.Request) -> httpx.Response:
        item = left.pop(0)
        if isinstance(item, Exception):
            raise item
        return item

    slept: list[float] = [] if waits is None else waits
    patience = Patience(total=100, sleep=slept.append, chance=lambda low, high: high)
    return Rata("https://rata.example", "rata_x", patience=patience, transport=httpx.MockTransport(answer))


def make_ndjson(*lines: str, **fields: Any) -> bytes:
    data = "".join(f"{line}\n" for line in lines).encode()
    end = {"rows": len(lines), "sha256": hashlib.sha256(data).hexdigest(), "period": PERIOD, "region": "63"}
    return data + json.dumps({"end": {**end, "cursor": "c", "plans": [], **fields}}).encode() + b"\n"


def make_reply(content: bytes, status: int = 200, **headers: str) -> httpx.Response:
    all_headers = {"ETag": '"1"', "Content-Length": str(len(content)), **headers}
    return httpx.Response(status, stream=httpx.ByteStream(content), headers=all_headers)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}\n",
        make_ndjson("{}", rows=2),
        make_ndjson("{}", sha256="0" * 64),
        make_ndjson("{}", period="2026-Q1"),
        make_ndjson("{}", region=None),
        make_ndjson("{}").removesuffix(b"\n"),
        b"{}\n" + make_ndjson("{}"),
        make_ndjson("{}") + b"{}\n",
        make_ndjson("{}").replace(b'"cursor"', b'"cruiser"'),
        b'["end"]\n',
    ],
)
def test_wrong_content_is_never_left_under_the_name(content: bytes, tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("what was there")
    rata = make_client(make_reply(content), make_reply(content))
    with pytest.raises(WrongContent) as wrong:
        pull(rata, tmp_path)
    assert wrong.value.exit_code == 5
    assert (tmp_path / NAME).read_text() == "what was there"
    assert list_names(tmp_path) == {NAME}
    assert pull(make_client(make_reply(make_ndjson("{}", "{}"))), tmp_path).file.read_bytes() == b"{}\n{}\n"


def test_other_formats_are_compared_with_their_digest(tmp_path: Path) -> None:
    table = b'a,b\r\n1,"x\ny"\r\n'
    digest = base64.b64encode(hashlib.sha256(table).digest()).decode()
    good = {"Repr-Digest": f"sha-256=:{digest}:", "Rata-Rows": "1"}
    assert pull(make_client(make_reply(table, **good)), tmp_path, format="csv").manifest.rows == 1
    for bad in ({**good, "Rata-Rows": "2"}, {"Repr-Digest": good["Repr-Digest"]}, {"Rata-Rows": "1"}):
        with pytest.raises(WrongContent):
            pull(make_client(make_reply(table, **bad), make_reply(table, **bad)), tmp_path, format="csv")
    with pytest.raises(WrongContent):
        pull(make_client(*[make_reply(table + b"2,3\r\n", **good) for _ in "ab"]), tmp_path, format="csv")
    # a coding cut at a seeming end
    packed = gzip.compress(make_ndjson("{}"))[:-4]
    with pytest.raises(WrongContent):
        pull(make_client(*[make_reply(packed, **{"Content-Encoding": "gzip"}) for _ in "ab"]), tmp_path)


def test_transient_failures_are_retried_after_these_waits(tmp_path: Path) -> None:
    waits: list[float] = []
    busy = httpx.Response(503, headers={"Retry-After": "7"})
    rata = make_client(
        httpx.ConnectError("no"),
        busy,
        httpx.Response(429),
        httpx.Response(502),
        make_reply(make_ndjson()),
        waits=waits,
    )
    assert pull(rata, tmp_path).manifest.rows == 0
    assert waits == [0.5, 8.0, 2.0, 4.0]
    waits.clear()
    rata = make_client(
        httpx.ReadTimeout("slow"), httpx.Response(200, text="{"), httpx.Response(200, json={}), waits=waits
    )
    assert rata.get("/v1/me").content == {}
    assert waits == [0.5, 1.0]
    with pytest.raises(Unreachable, match="3 attempts"):
        make_client(*[httpx.Response(504)] * 2, httpx.Response(503, headers={"Retry-After": "99"})).get(
            "/v1/me"
        )


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 409, 422, 500])
def test_permanent_failures_are_not_retried(status: int, tmp_path: Path) -> None:
    problem = {"code": "x", "title": "T", "detail": "D", "errors": [{"message": "M"}]}
    for call in (lambda rata: rata.get("/v1/me"), lambda rata: pull(rata, tmp_path)):
        with pytest.raises(Refused, match="T – D – M") as refused:
            call(make_client(httpx.Response(status, json=problem)))
        assert (refused.value.status, refused.value.exit_code, refused.value.is_missing) == (status, 3, False)
    assert list_names(tmp_path) == set()


def test_odd_replies_of_a_proxy_end_in_a_whole_file_or_none(tmp_path: Path) -> None:
    content = make_ndjson("{}", "{}")
    size = len(content)
    rest = {"ETag": '"1"', "Content-Range": f"bytes 9-{size - 1}/{size}"}
    beyond = {"Content-Range": f"bytes */{size}"}

    def unframed(data: bytes) -> httpx.Response:
        return httpx.Response(200, stream=httpx.ByteStream(data), headers={"ETag": '"1"'})

    for number, replies in enumerate(
        (
            [make_reply(content, 206), make_reply(content)],  # a part of a transfer that never began
            [unframed(content[:9]), make_reply(content[9:], 206, **rest)],  # a seeming end
            [unframed(content), make_reply(b"", 416, **beyond)],
            [
                unframed(content[:9]),
                make_reply(content[9:], 206, **{**rest, "ETag": '"2"'}),
                make_reply(content),
            ],
            [unframed(content * 2), make_reply(b"", 416, **beyond), make_reply(content)],
            [unframed(content[:9]), make_reply(content, 200)],  # it knows no ranges, or has another state
        )
    ):
        done = pull(make_client(*replies), tmp_path / f"{number}")
        assert (done.file.read_bytes(), done.resumed_at) == (b"{}\n{}\n", 0)
    with pytest.raises(Refused):
        pull(make_client(httpx.Response(304)), tmp_path / "x")


# The command


@pytest.fixture
def run(served: Served, token: str, tmp_path: Path) -> Callable[..., Ended]:
    def call(*words: object, **environment: str | None) -> Ended:
        settings = {"RATA_SERVER": served.url, "RATA_TOKEN": token, "LANG": "id_ID.UTF-8", "LC_ALL": None}
        return run_command("pull", *words, **{**settings, **environment})

    return call


def test_the_command_reports_by_exit_code_and_message(run: Callable[..., Ended], tmp_path: Path) -> None:
    into = (PERIOD, "--region", "63", "--out", tmp_path)
    done = run(*into)
    assert (done.exit_code, f"{LINES} baris" in done.stderr) == (0, True)
    again = run(*into, "--since-last", LANG="en_US.UTF-8")
    assert (again.exit_code, "unchanged" in again.stderr) == (0, True)
    same = run(*into, "--verify")
    assert (same.exit_code, "sama dengan layanan" in same.stderr) == (0, True)
    (tmp_path / NAME).write_bytes(b"")
    other = run(*into, "--verify", "--lang", "en")
    assert (other.exit_code, "not the same" in other.stderr) == (5, True)
    assert f"{PLAN} {LEAN['lead_agency']}\n" in other.stdout
    for words, code, text in (
        (["2026-Q7", "--out", tmp_path], 3, "404"),
        ([PERIOD, "--format", "pdf"], 2, "parquet"),
        ([], 2, "PERIOD"),
        ([PERIOD, "--out", tmp_path / NAME / "x"], 7, "tidak dapat ditulis"),
        ([PERIOD, "--server", "rata.example"], 2, "bukan alamat"),
        ([PERIOD, "--server", "http://127.0.0.1:9", "--deadline", "1"], 4, "tidak terjangkau"),
    ):
        failed = run(*words)
        assert (failed.exit_code, text.lower() in failed.stderr.lower()) == (code, True), failed.stderr
        assert "Traceback" not in failed.stderr
    with (tmp_path / f"{NAME}.part").open("wb") as part:
        fcntl.flock(part, fcntl.LOCK_EX)
        assert run(*into).exit_code == 6


def test_the_token_comes_from_the_environment_or_a_file(
    run: Callable[..., Ended], token: str, tmp_path: Path
) -> None:
    into = (PERIOD, "--out", tmp_path)
    assert run(*into, RATA_TOKEN=None).exit_code == 2
    file = tmp_path / "token"
    file.write_text(f"{token}\n")
    assert run(*into, "--token-file", file, RATA_TOKEN=None).exit_code == 0
    assert run(*into, RATA_TOKEN=None, RATA_TOKEN_FILE=str(file)).exit_code == 0
    assert run(*into, "--token-file", tmp_path / "none", RATA_TOKEN=None).exit_code == 2
    wrong = run(*into, RATA_TOKEN="rata_wrong")
    assert (wrong.exit_code, "401" in wrong.stderr, "rata_wrong" in wrong.stderr) == (3, True, False)


def test_every_cause_has_an_exit_code_of_its_own() -> None:
    kinds: list[type[RataError]] = [
        Misused,
        Refused,
        Unreachable,
        WrongContent,
        AlreadyRunning,
        Unwritable,
    ]
    assert [kind.exit_code for kind in kinds] == [2, 3, 4, 5, 6, 7]
    assert os.EX_OK == 0
