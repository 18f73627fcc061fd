"""The command line: its effects, exit codes and messages."""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
import structlog
from cryptography.fernet import Fernet

from app import cli
from app.access.commands import Write
from app.access.queries import find_token_bearer
from app.access.rules import CONSOLE
from app.console import frame, service
from app.kit.database.engine import Database
from app.kit.database.journal import Author
from app.kit.openapi.document import COMMITTED
from app.plans.core.commands import put_plan
from app.plans.core.models import PlanIn
from app.startup import serving
from app.startup.database import open_database
from app.startup.logs import log_to_stderr
from tests.console.test_settings import FOREIGN_WORDS
from tests.database import sqlite_url
from tests.exchange.office import AID_CODE, DINSOS, OWN, PLAN_FILE, REPORT_FILE, edited, line, sheet

ROOT = Path(__file__).parents[1]
PLAN = "63.02-2025"


class Done(NamedTuple):
    """The exit code and the output of a command."""

    returncode: int
    stdout: str
    stderr: str


Rata = Callable[..., Done]


def environment(**settings: str) -> dict[str, str]:
    """Return the variables of a process with the given settings alone."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RATA_")}
    return {**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb", **settings}


@pytest.fixture
def rata(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Iterator[Rata]:
    """A function that runs the command in an own folder with default settings."""
    monkeypatch.chdir(tmp_path)
    for module in (serving, service):  # its logging would outlive this test
        monkeypatch.setattr(module, "configure_logs", lambda form: log_to_stderr())

    opened: list[Database] = []

    def note(*arguments: Any, **options: Any) -> Database:
        opened.append(open_database(*arguments, **options))
        return opened[-1]

    for module in (frame, service):
        monkeypatch.setattr(module, "open_database", note)

    def run(*arguments: object, **settings: str) -> Done:
        capfdbinary.readouterr()
        with pytest.MonkeyPatch.context() as patch:
            variables = environment(**settings)
            for name in os.environ.keys() - variables.keys():
                patch.delenv(name)
            for name, value in variables.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["rata", *map(str, arguments)])
            try:
                cli.main()
                code: Any = 0
            except SystemExit as ended:
                code = ended.code
        if isinstance(code, str):  # as Python does on exit
            print(code, file=sys.stderr)  # noqa: T201
        while opened:  # a process would close them at its end
            opened.pop().close()
        output = capfdbinary.readouterr()
        return Done(
            0 if code is None else 1 if isinstance(code, str) else code,
            output.out.decode(),
            output.err.decode(),
        )

    yield run
    structlog.reset_defaults()


@pytest.fixture
def prepared(sqlite_template: Database, tmp_path: Path) -> Database:
    """The default database of the command's folder, with reference data and an empty plan."""
    source = sqlite_template.url.database
    assert source is not None
    (tmp_path / "var").mkdir()
    with contextlib.closing(sqlite3.connect(source)) as connection:  # includes the write-ahead log
        connection.execute("VACUUM INTO ?", (str(tmp_path / "var" / "rata.db"),))
    database = Database(sqlite_url(tmp_path / "var", "rata"))
    with database.writing() as session:
        put_plan(Write(session, Author("test", datetime.now(UTC)), CONSOLE), PLAN, PlanIn(title="RAT"))
    return database


def count(database: Database, table: str) -> int:
    with database.engine.connect() as connection:
        return int(connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one())


def test_a_separate_process_has_the_exit_code_and_message(tmp_path: Path) -> None:
    """The other tests call the command inside this process."""
    code = "from app.cli import main; main()"
    early = subprocess.run(
        [sys.executable, "-c", code, "import", PLAN_FILE, "--plan", PLAN], cwd=tmp_path, env=environment(),
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (early.returncode, "Run: rata migrate" in early.stderr) == (1, True)
    assert "Traceback" not in early.stderr


def test_help_names_every_command(rata: Rata) -> None:
    for arguments in ((), ("--help",)):
        done = rata(*arguments)
        for command in (
            "migrate",
            "serve",
            "openapi",
            "import",
            "demo",
            "token",
            "reference",
            "pull",
            "follow",
        ):
            assert command in done.stdout + done.stderr
    for command in (["import"], ["token"], ["token", "create"], ["token", "list"], ["token", "revoke"], ["demo"],
                    ["reference", "load"], ["pull"], ["follow"], ["serve"], ["openapi"], ["migrate"]):  # fmt: skip
        done = rata(*command, "--help")
        assert done.returncode == 0
        assert "usage" in done.stdout.lower()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["import", PLAN_FILE], "--plan"),
        (["import", "none.xlsx", "--plan", PLAN], "none.xlsx"),
        (["import", PLAN_FILE, "--plan", PLAN, "--basis", "foo"], "cumulative"),
        (["import", PLAN_FILE, "--plan", PLAN, "--accept", "all"], "free_text"),
        (["import", PLAN_FILE, "--plan", PLAN, "--resolutions", "none.json"], "none.json"),
        (["import", PLAN_FILE, "--plan", PLAN, "--unknown"], "--unknown"),
        (["token", "create", "a"], "--role"),
        (["token", "create", "a", "--role", "boss@63"], "secretariat"),
        (["token", "create", "a", "--role", "secretariat"], "ROLE@REGION"),
        (["token", "create", "a", "--role", "reader@63.02/DINSOS"], "operator"),
        (["token", "create", "a", "--role", "reader@63", "--network", "lan"], "10.20.0.0/16"),
        (["token", "create", "a", "--role", "reader@63", "--days", "0"], "use a whole number from 1 to 730"),
        (["token", "create", "a", "--role", "reader@63", "--days", "1.5"], "use a whole number"),
        (["token", "create", "a", "--role", "reader@63", "--scope", "raed"], "the nearest is read"),
        (["backup", "--keep", "x", "folder"], "--keep"),
        (["backup", "--keep", "9" * 5000, "folder"], "use a whole number from 1 to 36500"),
        (["import-observations", PLAN_FILE, "--code-system", "dagri"], "kemendagri"),
        (["token", "create", "a", "--role", "reader@63", "--scope", "all"], "approve"),
        (["fly"], "fly"),
    ],
)
def test_a_wrong_option_exits_with_2(rata: Rata, arguments: list[object], message: str) -> None:
    done = rata(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not FOREIGN_WORDS.search(done.stderr)


def test_commands_report_a_database_that_is_not_ready(rata: Rata, tmp_path: Path) -> None:
    for command in (
        ["token", "list"],
        ["reference", "load"],
        ["import", PLAN_FILE, "--plan", PLAN],
        ["serve"],
    ):
        done = rata(*command)
        assert (done.returncode, "rata migrate" in done.stderr) == (1, True), command
    migrated = rata("migrate")
    assert (migrated.returncode, "revision" in migrated.stdout) == (0, True)
    assert rata("migrate").stdout == migrated.stdout
    assert "reference load" in rata("token", "create", "a", "--role", "reader@63").stderr
    assert "There is no plan" in rata("import", PLAN_FILE, "--plan", PLAN).stderr
    nowhere = rata("token", "list", RATA_DATABASE_URL="postgresql+psycopg://nobody@127.0.0.1:1/none")
    assert (nowhere.returncode, "database cannot be used" in nowhere.stderr) == (1, True)
    for setting, value in (("RATA_PORT", "abc"), ("RATA_DATABASE_URL", "oracle://x")):
        wrong = rata("token", "list", **{setting: value})
        assert (wrong.returncode, setting in wrong.stderr) == (1, True)


def test_tokens_are_created_listed_and_revoked(rata: Rata, prepared: Database) -> None:
    made = rata(
        "token", "create", "bappeda", "--role", "secretariat@63.02", "--scope", "read", "--scope", "write"
    )
    assert made.returncode == 0, made.stderr
    secret = made.stdout.strip()
    assert secret.startswith("rata_")

    def read_scopes() -> set[str] | None:
        with prepared.read_session() as session:
            bearer = find_token_bearer(session, secret, now=datetime.now(UTC), client=None)
        return {str(scope) for scope in bearer[0].scopes} if bearer else None

    assert read_scopes() == {"read", "write"}
    shown = rata("token", "list").stdout
    assert "bappeda" in shown
    assert "valid" in shown
    assert secret not in shown
    again = rata("token", "create", "bappeda", "--role", "reader@63")
    assert (again.returncode, "bappeda" in again.stderr) == (1, True)
    assert "There is no region 99" in rata("token", "create", "x", "--role", "reader@99").stderr
    noted = rata("token", "create", "op", "--role", f"operator@63.02/{DINSOS}", "--network", "10.0.0.0/8")
    assert (noted.returncode, f"no agency {DINSOS} yet" in noted.stderr) == (0, True)
    assert rata("token", "revoke", "bappeda").returncode == 0
    assert read_scopes() is None
    assert "revoked" in rata("token", "list").stdout
    for name in ("bappeda", "nobody"):
        gone = rata("token", "revoke", name)
        assert (gone.returncode, name in gone.stderr) == (1, True)


def test_positions_are_enrolled_for_subjects_of_the_issuer(rata: Rata, prepared: Database) -> None:
    issuer = {"RATA_OIDC_ISSUER": "https://issuer.example", "RATA_OIDC_AUDIENCE": "https://rata.example"}
    head = ["principal", "enrol", "kepala-bappeda", "--role", "chair@63.02"]
    without = rata(*head, "--subject", "5d0c1f52")
    assert (without.returncode, "RATA_OIDC_ISSUER" in without.stderr) == (1, True)
    assert rata(*head, "--subject", "5d0c1f52", **issuer).returncode == 0
    assert "There is no region 99" in rata(*head[:3], "--role", "chair@99").stderr
    twice = rata("principal", "enrol", "wakil", "--role", "reader@63", "--subject", "5d0c1f52", **issuer)
    assert (twice.returncode, "another position" in twice.stderr) == (1, True)
    # more roles for the holder; the region becomes their common one
    assert rata(*head[:3], "--role", "chair@63.02", "--role", "reader@63").returncode == 0
    shown = rata("principal", "list").stdout
    assert "a person" in shown
    assert "reader@63" in shown
    assert "5d0c1f52" not in shown
    with prepared.read_session() as session:
        rows = session.execute(
            sa.text("SELECT name, region_code, subject, issuer, version FROM principal")
        ).all()
    assert rows == [("kepala-bappeda", "63", "5d0c1f52", "https://issuer.example", 2)]


def test_the_real_matrices_are_imported(rata: Rata, prepared: Database) -> None:
    refused = rata("import", PLAN_FILE, "--plan", PLAN)
    assert refused.returncode == 1
    assert "Matriks OPPKPKE!C8: Agency “Dinas Pendidikan dan Kebudayaan” is not registered" in refused.stderr
    assert "… and 220 more (--all-errors)." in refused.stderr
    everything = rata("import", PLAN_FILE, "--plan", PLAN, "--all-errors")
    assert len([row for row in everything.stderr.splitlines() if "Matriks OPPKPKE!" in row]) == 240

    taken = ["--new-agencies", "--accept", "free_text"]
    trial = rata("import", PLAN_FILE, "--plan", PLAN, *taken, "--dry-run")
    assert trial.returncode == 0, trial.stderr
    assert "Would import 156 lines" in trial.stdout
    assert (count(prepared, "action"), count(prepared, "agency")) == (0, 0)
    done = rata("import", PLAN_FILE, "--plan", PLAN, *taken)
    assert "Imported 156 lines into 63.02-2025: 156 created, 0 updated, 0 unchanged" in done.stdout
    assert "Rp 632,470,087,081" in done.stdout
    assert "33 agencies created" in done.stdout
    assert "finding E02: 84" in done.stdout
    assert count(prepared, "action") == 156

    without = rata("import", REPORT_FILE, "--plan", PLAN)
    assert (without.returncode, "basis" in without.stderr) == (1, True)
    report = rata("import", REPORT_FILE, "--plan", PLAN, "--basis", "period")
    assert "2025-Q4: 156 reports created" in report.stdout
    again = rata("import", REPORT_FILE, "--plan", PLAN, "--basis", "period")
    assert "2025-Q4: 0 reports created, 0 updated, 156 unchanged" in again.stdout


def test_columns_come_from_a_file(rata: Rata, prepared: Database, tmp_path: Path) -> None:
    matrix, columns = tmp_path / "matriks.xlsx", tmp_path / "columns.json"
    matrix.write_bytes(edited(sheet(line(recipients=40)), {(1, "recipients"): "Volume"}))
    call = ["import", matrix, "--plan", PLAN, "--new-agencies"]
    refused = rata(*call)
    proposal = '[{"heading": "Volume", "field": "recipients"}]'
    assert (refused.returncode, f"--columns: {proposal}" in refused.stderr) == (1, True), refused.stderr
    columns.write_text("[")
    assert rata(*call, "--columns", columns).returncode == 1
    columns.write_text(proposal)
    assert "import 1 of the plan" in rata(*call, "--columns", columns).stdout
    assert "import 1" not in rata(*call, "--columns", columns).stdout


def test_resolutions_come_from_a_file(rata: Rata, prepared: Database, tmp_path: Path) -> None:
    matrix, settled = tmp_path / "matriks.xlsx", tmp_path / "settled.json"
    matrix.write_bytes(sheet(line(), line(**OWN)))
    call = ["import", matrix, "--plan", PLAN, "--new-agencies", "--resolutions", settled]
    for text, message in (
        ("[", "there is a syntax error"),
        ('[{"column": "agency", "value": "x", "code": null}]', "Give the code"),
        ('[{"column": "subactivity", "value": "x", "code": null}]', "fits no cell"),
    ):
        settled.write_text(text)
        done = rata(*call)
        assert (done.returncode, message in done.stderr) == (1, True), done.stderr
    settled.write_bytes(b"\xff\xfe\x00")
    assert rata(*call).returncode == 1
    settled.write_text(json.dumps([{"column": "subactivity", "value": OWN["subactivity"], "code": AID_CODE}]))
    assert "2 created" in rata(*call).stdout
    shutil.copy(PLAN_FILE, matrix)
    assert rata("import", matrix, "--plan", PLAN, "--sheet", "Rekap").returncode == 1
    matrix.write_bytes(b"")
    broken = rata("import", matrix, "--plan", PLAN)
    assert (broken.returncode, "/file: The file is empty" in broken.stderr) == (1, True)


def test_an_import_lists_absent_lines(rata: Rata, prepared: Database, tmp_path: Path) -> None:
    matrix = tmp_path / "matriks.xlsx"
    matrix.write_bytes(sheet(line(), line(allocation=7)))
    rata("import", matrix, "--plan", PLAN, "--new-agencies")
    matrix.write_bytes(sheet(line()))
    assert "unchanged: A-002" in rata("import", matrix, "--plan", PLAN).stdout


def test_the_document_is_printed_whole(rata: Rata, monkeypatch: pytest.MonkeyPatch) -> None:
    """tests/contract/test_document.py checks its content."""
    document = COMMITTED.read_bytes()
    monkeypatch.setattr(service, "render_document", lambda app: document)
    done = rata("openapi")
    assert (done.returncode, done.stdout.encode()) == (0, document)


def test_tables_of_indicators_are_imported_whole_or_not_at_all(rata: Rata, prepared: Database) -> None:
    Path("p0.csv").write_text("kode,p0\n6302,4.56\n6303,...\n")
    trial = rata("import-observations", "p0.csv", "--code-system", "bps", "--period", "2021", "--dry-run")
    assert (trial.returncode, "Would import 2 observations" in trial.stdout) == (0, True), trial
    assert count(prepared, "observation") == 0
    done = rata("import-observations", "p0.csv", "--code-system", "bps", "--period", "2021")
    assert "p0 2021-S1: 2, of these 1 symbols" in done.stdout, done
    assert count(prepared, "observation") == 2
    Path("times.csv").write_text("kode,p0\n6302,4:56:00\n")
    wrong = rata("import-observations", "times.csv", "--code-system", "bps", "--period", "2021")
    assert (wrong.returncode, "times!B2" in wrong.stderr, "4.56" in wrong.stderr) == (1, True, True), wrong
    unknown = rata("import-observations", "p0.csv", "--code-system", "bps", "--period", "soon")
    assert (unknown.returncode, "Traceback" in unknown.stderr) == (1, False), unknown


def test_deliver_and_reseal_need_a_key(rata: Rata, prepared: Database) -> None:
    for command in (("deliver", "--once"), ("reseal",)):
        refused = rata(*command)
        assert (refused.returncode, "RATA_SECRETS_KEY" in refused.stderr) == (1, True), refused
        wrong = rata(*command, RATA_SECRETS_KEY="short")
        assert (wrong.returncode, "RATA_SECRETS_KEY" in wrong.stderr) == (1, True), wrong
        assert "short" not in wrong.stderr
    key = Fernet.generate_key().decode()
    assert rata("deliver", "--once", RATA_SECRETS_KEY=key).stdout == "0 attempts.\n"
    assert rata("reseal", RATA_SECRETS_KEY=f"{key},{key}").stdout == "0 secrets encrypted by the first key.\n"


def test_the_removed_command_partition_names_its_replacement(rata: Rata) -> None:
    for words in ((), ("--put-away", "2020")):
        done = rata("partition", *words)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            "rata partition no longer exists; deploy/years/ has the SQL that cuts tables by year and "
            "removes a year.\n"
        )
