"""Misuse of the client: one sentence, exit code 2, and no foreign file changed."""

import os
import re
import shutil
import sqlite3
import string
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.client import Patience, Rata, RataError
from app.client.copy import Copy
from app.client.environment import VARIABLES, Misspelt, check_names
from app.client.problems import BadAddress, ForeignCopy
from app.client.tls import BadAuthorities
from app.startup.configuration import KNOWN, REMOVED
from app.startup.database import check_authorities
from tests.client.world import run_command

PULL = ("pull", "2025-Q2", "--lang", "en")
WORKING = {"RATA_SERVER": "http://127.0.0.1:9", "RATA_TOKEN": "rata_x"}
LEAK = re.compile(r"Traceback|Error\b|<class|_parse|\bNone\b")
OURS = ("resource", "cursor", "pending")


def read_refusal(*words: object, **environment: str | None) -> str:
    """Run a command and return the sentence of its refusal."""
    ended = run_command(*words, **{**WORKING, **environment})
    assert (ended.exit_code, ended.stdout) == (2, ""), ended
    assert ended.stderr.count("\n") == 1
    assert not LEAK.search(ended.stderr)
    return ended.stderr.strip()


# Databases of other programs


def read_state(folder: Path) -> dict[str, bytes | None]:
    return {path.name: path.read_bytes() if path.is_file() else None for path in folder.iterdir()}


def check_refused(folder: Path, name: str) -> None:
    """Assert that the client refuses this file as a copy and leaves no trace of looking."""
    before = read_state(folder)
    with pytest.raises(ForeignCopy):
        Copy(str(folder / name))
    assert read_state(folder) == before


def check_taken(file: Path) -> None:
    """Assert that this file becomes a copy, or is one, and stays one."""
    for _ in range(2):
        with closing(Copy(str(file))) as copy:
            assert copy.cursor("https://rata.example", "63") is None


NAMES = st.sampled_from(["t", "Resource", "order", "alembic_version", 'a"b', *OURS])


@given(
    mode=st.sampled_from(["DELETE", "WAL", "TRUNCATE", "PERSIST"]),
    tables=st.lists(NAMES, max_size=4, unique_by=str.lower),
    view=st.booleans(),
    rows=st.integers(0, 50),
    is_killed=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_a_file_of_another_program_stays_unchanged(
    mode: str, tables: list[str], view: bool, rows: int, is_killed: bool
) -> None:
    assume(tables or view)
    with TemporaryDirectory() as own, TemporaryDirectory() as other:
        file, killed = Path(own, "own.db"), Path(other, "own.db")
        with closing(sqlite3.connect(file, isolation_level=None)) as db:
            db.execute(f"PRAGMA journal_mode = {mode}")
            db.execute("PRAGMA synchronous = OFF")
            for name in tables:
                quoted = '"' + name.replace('"', '""') + '"'
                db.execute(f"CREATE TABLE {quoted} (id INTEGER PRIMARY KEY, x)")
                db.executemany(f"INSERT INTO {quoted} (x) VALUES (?)", [("y" * 200,)] * rows)
            if view:
                db.execute("CREATE VIEW v AS SELECT 1")
            # as a killed program leaves it: its writes wait in the -wal file
            for path in Path(own).iterdir():
                shutil.copyfile(path, killed.with_name(path.name))
        check_refused(Path(other) if is_killed else Path(own), "own.db")


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_a_file_without_tables_becomes_the_copy(tmp_path: Path, mode: str) -> None:
    (tmp_path / "empty.db").touch()
    with closing(sqlite3.connect(tmp_path / "vacuumed.db")) as db:
        db.execute(f"PRAGMA journal_mode = {mode}")
        db.execute("VACUUM")
    for name in ("new.db", "empty.db", "vacuumed.db"):
        check_taken(tmp_path / name)


def test_a_copy_to_which_a_user_added_tables_stays_a_copy(tmp_path: Path) -> None:
    file = tmp_path / "a?b%20#.db"
    check_taken(file)
    with closing(sqlite3.connect(file)) as db:
        db.executescript(
            "PRAGMA journal_mode = WAL; CREATE TABLE own (x); CREATE VIEW v AS SELECT * FROM own"
        )
    check_taken(file)
    assert {path.name for path in tmp_path.iterdir()} == {file.name}


@pytest.mark.parametrize("made", range(4))
def test_a_run_killed_while_creating_tables_goes_on(tmp_path: Path, made: int) -> None:
    check_taken(tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as db:
        for name in OURS[made:]:
            db.execute(f"DROP TABLE {name}")
    check_taken(tmp_path / "copy.db")


def test_writes_of_a_killed_transaction_do_not_count(tmp_path: Path) -> None:
    for name, first in (("foreign", "CREATE TABLE t (x)"), ("empty", "VACUUM")):
        source, killed = tmp_path / f"{name}.db", tmp_path / name / "copy.db"
        killed.parent.mkdir()
        with closing(sqlite3.connect(source, isolation_level=None)) as db:
            db.execute(first)
            db.execute("PRAGMA cache_size = 1")
            db.execute("BEGIN")
            db.execute("CREATE TABLE u (x)" if first == "VACUUM" else "DROP TABLE t")
            db.execute("CREATE TABLE filler (x)")
            db.executemany("INSERT INTO filler VALUES (?)", [("y" * 900,)] * 400)
            for ending in ("", "-journal"):
                shutil.copyfile(f"{source}{ending}", f"{killed}{ending}")
        assert killed.with_name("copy.db-journal").stat().st_size
    check_refused(tmp_path / "foreign", "copy.db")
    check_taken(tmp_path / "empty" / "copy.db")


@pytest.mark.parametrize("kind", ["text", "cut", "folder", "pipe", "header", "garbage"])
def test_a_file_that_is_no_database_stays_unchanged(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "other.db"
    if kind == "folder":
        file.mkdir()
    elif kind == "pipe":
        os.mkfifo(file)
    else:
        with closing(sqlite3.connect(file)) as db:
            db.execute("CREATE TABLE t (x)")
        whole = file.read_bytes()
        content = {
            "text": b"SQLite\n" * 99, "cut": whole[:50], "header": whole[:16],
            "garbage": whole[:100] + os.urandom(4000),
        }  # fmt: skip
        file.write_bytes(content[kind])
    before = read_state(tmp_path)
    sentence = read_refusal("follow", file, "--once", "--lang", "en")
    assert sentence == f"{file} is not a copy of a Rata service; use another one."
    assert read_state(tmp_path) == before


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "rata-2025-Q2.csv").mkdir()
    for words in (
        ["follow", tmp_path / "file" / "copy.db", "--once"],
        ["follow", tmp_path / "none" / "copy.db", "--once"],
        ["pull", "2025-Q2", "--out", tmp_path, "--format", "csv"],
    ):
        ended = run_command(*words, "--lang", "en", **WORKING)
        assert (ended.exit_code, ended.stderr.count("\n")) == (7, 1)
        assert "cannot be written: " in ended.stderr
    assert read_state(tmp_path) == {"file": b"", "rata-2025-Q2.csv": None}


# Addresses and packages


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:hidden@h/x", "postgresql+psycopg2://u:hidden@h/x", "postgres://h/x", "nothing://x", "://",
        "postgresql+psycopg://u:hidden@h:port/x", "sqlite://", "sqlite:///:memory:", "sqlite://copy.db",
        "postgresql+psycopg://h/x?plugin=none", "sqlite:///file:copy.db?uri=true", "sqlite+aiosqlite:///copy.db", "sqlite:///copy.db?mode=x",
    ],
)  # fmt: skip
def test_an_unknown_scheme_lists_the_allowed_ones(url: str) -> None:
    sentence = read_refusal("follow", url, "--once", "--lang", "en")
    assert sentence.endswith(
        "is neither a file nor an address such as postgresql+psycopg://USER:SECRET@HOST/NAME."
    )
    assert "hidden" not in sentence


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg"])
def test_a_missing_driver_names_its_extra(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    sentence = read_refusal("follow", f"{scheme}://u:hidden@h/x", "--once", "--lang", "en")
    assert (
        sentence
        == f"{scheme}://u:***@h/x needs a package that is not installed: pip install 'rata[postgres]'"
    )


def test_a_missing_package_of_the_copy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("copy", "database", "follow"):
        monkeypatch.delitem(sys.modules, f"app.client.{name}")
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    sentence = read_refusal("follow", "copy.db", "--once", "--lang", "en")
    assert sentence == "rata follow needs a package that is not installed: pip install 'rata'"


def test_a_proxy_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    assert "pip install 'httpx[socks]'" in read_refusal(*PULL, ALL_PROXY="socks5://127.0.0.1:9")
    assert "is not the address of a proxy" in read_refusal(*PULL, HTTPS_PROXY="abc://x")


def test_an_address_is_refused_without_its_password() -> None:
    sentence = read_refusal(*PULL, RATA_SERVER="https://u:hidden@rata.example")
    assert sentence.startswith("https://…@rata.example is not the address of a Rata service")


@given(st.one_of(st.text(), st.text().map("http://{}".format), st.sampled_from(["http://[", "https://a..b"])))
@settings(max_examples=100, deadline=None)
def test_any_text_is_an_address_or_refused_as_one(text: str) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json={}))
    try:
        rata = Rata(text, "rata_x", patience=Patience(total=0), transport=transport)
    except BadAddress:
        return
    with rata:
        assert rata.get("/v1/me").content == {}
        httpx.URL(rata.base_url).host.encode("idna")


# Variables


def test_no_variable_of_the_service_is_taken_for_a_misspelt_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KNOWN | REMOVED.keys():
        monkeypatch.setenv(name, "x")
    check_names()


@given(st.sampled_from(VARIABLES), st.data())
@settings(max_examples=100, deadline=None)
def test_a_name_with_one_letter_wrong_is_refused_with_the_nearest(name: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(len("RATA_"), len(name) - 1))
    letter = data.draw(st.sampled_from(string.ascii_uppercase + "_"))
    wrong = data.draw(
        st.sampled_from([
            name[:at] + letter + name[at + 1 :],
            name[:at] + name[at + 1 :],
            name[:at] + letter + name[at:],
            name + letter,
            name[:at] + name[at + 1 : at + 2] + name[at] + name[at + 2 :],
        ])
    )  # fmt: skip
    assume(wrong not in KNOWN)
    wrong = data.draw(st.sampled_from([wrong, wrong.lower()]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(wrong, "x")
        with pytest.raises(
            Misspelt, match=f"^{wrong} is not a variable of this command; the nearest is RATA_"
        ):
            check_names()


def test_a_misspelt_name_is_reported_before_the_unset_one(tmp_path: Path) -> None:
    nearest = "RATA_SERVR is not a variable of this command; the nearest is RATA_SERVER."
    assert read_refusal(*PULL, RATA_SERVR="https://rata.example") == nearest
    assert read_refusal(*PULL, RATA_SERVR="https://rata.example", RATA_SERVER=None) == nearest
    assert "paling mirip adalah RATA_TOKEN." in read_refusal("pull", "2025-Q2", "--lang", "id", RATA_TOKE="x")
    (tmp_path / "empty").touch()
    (tmp_path / "two").write_text("rata_a\nrata_b\n")
    for file, sentence in (
        ("none", "none cannot be read: No such file"),
        ("", "cannot be read: Is a directory"),
        ("empty", "empty is empty."),
        ("two", "A token is one line"),
    ):
        refusal = read_refusal(*PULL, "--token-file", tmp_path / file, RATA_TOKEN=None)
        assert sentence in refusal
        assert "rata_a" not in refusal
    assert "There is no token." in read_refusal(*PULL, RATA_TOKEN="")
    assert "There is no address of the service." in read_refusal(*PULL, RATA_SERVER="")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "COMMAND"),
        (["pul"], "invalid choice: 'pul'"),
        (["pull"], "PERIOD"),
        (
            ["pull", "2025-Q2", "--deadline", "x"],
            "--deadline: 'x' does not fit; use a number of seconds from 1",
        ),
        (["pull", "2025-Q2", "--deadline", "nan"], "'nan' does not fit"),
        (["pull", "2025-Q2", "--format", "pdf"], "'pdf'"),
        (["pull", "2025-Q2", "--frmat", "csv"], "--frmat"),
        (["pull", "2025-Q2", "--lang"], "--lang"),
        (["follow"], "COPY"),
        (["follow", "copy.db", "--pause", "0"], "'0' does not fit"),
    ],
)
def test_a_wrong_option_is_refused_in_one_line(words: list[str], sentence: str) -> None:
    assert sentence in read_refusal(*words)


# Authorities


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
@pytest.mark.parametrize("place", ["none", "empty", "text", "folder"])
def test_invalid_authorities_are_named(
    variable: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n")
    (tmp_path / "folder").mkdir()
    path = tmp_path / place
    if (variable, place) == ("SSL_CERT_DIR", "folder"):
        ended = run_command(*PULL, "--deadline", "1", **WORKING, **{variable: f"{tmp_path / 'none'}:{path}"})
        assert ended.exit_code == 4
        return
    assert read_refusal(*PULL, **{variable: str(path)}).startswith(
        f"{variable} names {path}, which has no readable cert"
    )
    monkeypatch.setenv(variable, str(path))
    with pytest.raises(SystemExit, match=f"^{variable} names {path}, .*[.]$"):
        check_authorities()
    with pytest.raises(BadAuthorities) as caught:
        Rata("https://rata.example", "rata_x")
    assert isinstance(caught.value, RataError)
