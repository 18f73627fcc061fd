"""A pull as a SQLite file: everything in the lines, in tables that do not depend on them."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.client import Misused, Rata, Unwritable, WrongContent
from app.client.comparison import compare
from app.client.shapes import SHAPES, PullTable, create_line_table
from app.exchange.pulls.models import LINE_EXAMPLE, make_client_schema
from tests.client.test_pulling import LINES, NAME, PERIOD, PLAN, make_client, make_ndjson, make_reply, pull
from tests.client.test_pulling import rata as rata  # fixtures
from tests.client.test_pulling import token as token
from tests.client.world import IMPATIENT, BadLine, Served
from tests.plans.world import LEAN, report

FILE = NAME.replace("ndjson", "sqlite")
OTHER = {
    **LINE_EXAMPLE,
    "action": "A-002",
    "allocation": 9007199254740991,
    "report": None,
    "tags": [],
    "note": 'dua\nbaris "kutip" \\',
}


def ask(file: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(file)) as db:
        db.row_factory = sqlite3.Row
        return [tuple(row) if len(row) > 1 else row[0] for row in db.execute(statement)]


def dump(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as db:
        return list(db.iterdump())


def build_tables(file: Path, *lines: dict[str, Any]) -> Path:
    """Build the file through a transfer from a service that sends these lines."""
    sent = make_ndjson(*[json.dumps(line) for line in lines], plans=[{"plan": PLAN, "revision": 2}])
    return pull(make_client(make_reply(sent)), file, format="sqlite").file


def read_back(file: Path) -> list[dict[str, Any]]:
    """Rebuild the lines from the tables."""

    def rows(table: PullTable, keys: tuple[Any, ...]) -> Iterator[Any]:
        names = list(table.keys)[: len(keys)]
        where = " AND ".join(f'"{name}" = ?' for name in names) or "true"
        for row in db.execute(f'SELECT * FROM "{table.name}" WHERE {where} ORDER BY rowid', keys):
            if table.kind in ("values", "entries"):
                yield row[-1] if table.kind == "values" else (row["key"], row[-1])
                continue
            fields = {field: row[column] for field, (column, _, _) in table.columns.items()}
            if table.kind == "root":
                fields |= {name: row[name] for name in table.keys}
            own = tuple(row[name] for name in table.keys)
            for field, part in table.parts.items():
                below = list(rows(part, table.build_foreign_key(own, fields)))
                if part.kind == "object":
                    fields[field] = below[0] if below else None
                else:
                    fields[field] = dict(below) if part.kind == "entries" else below
            yield fields

    with closing(sqlite3.connect(file)) as db:
        db.row_factory = sqlite3.Row
        return list(rows(create_line_table(), ()))


def add_fields(*lines: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the lines with every field: the tables hold null where a line lacks a younger field."""
    return [{**dict.fromkeys(create_line_table().columns), **line} for line in lines]


def test_the_clients_shapes_are_those_of_the_service() -> None:
    assert SHAPES.read_bytes() == make_client_schema(), "run: make openapi"


def test_tables_and_columns_have_distinct_names() -> None:
    tables = list(create_line_table().all())
    names = [table.name for table in tables]
    assert len(names) == len(set(names))
    for table in tables:
        assert [name for name, (column, _, _) in table.columns.items() if name != column] == []
    expected = "action budget_line component output recipient location milestone supporting_agency tag report"
    assert set(expected.split()) <= set(names)


def test_tables_hold_everything_in_the_lines(tmp_path: Path) -> None:
    lines = [LINE_EXAMPLE, OTHER, {**LINE_EXAMPLE, "region_code": "63.03", "plan": "63.03-2026"}]
    file = build_tables(tmp_path, *lines)
    assert read_back(file) == add_fields(*lines)
    # money and counts are integers, truth is 0 or 1, null is null
    assert ask(file, "SELECT DISTINCT typeof(allocation), typeof(region_code) FROM action") == [
        ("integer", "text")
    ]
    assert ask(file, "SELECT typeof(is_travel), typeof(amount) FROM component LIMIT 1") == [("integer",) * 2]
    assert ask(file, "SELECT count(*) FROM report") == [2]
    assert ask(file, "PRAGMA integrity_check") == ["ok"]
    assert ask(file, "PRAGMA foreign_key_check") == []
    assert ask(file, "SELECT period, region, rows, address LIKE 'https://rata.example/v1/%' FROM pull") == [
        (PERIOD, "63", 3, 1)
    ]
    assert ask(file, "SELECT plan, revision, amendment FROM plan") == [(PLAN, 2, None)]
    joined = ask(
        file,
        """SELECT sum(b.amount), sum(s.amount) FROM budget_line b
        LEFT JOIN report_spending s USING (plan, action, funding_source)""",
    )
    assert joined == [(750000000, 240000000)]


def test_all_tables_exist_even_if_empty(tmp_path: Path) -> None:
    whole, none = build_tables(tmp_path / "whole", LINE_EXAMPLE), build_tables(tmp_path / "none")
    schema = "SELECT name, sql FROM sqlite_master ORDER BY name"
    assert ask(none, schema) == ask(whole, schema)
    assert ask(none, "SELECT count(*) FROM action JOIN report USING (plan, action)") == [0]


def test_fields_of_a_newer_service_become_columns(tmp_path: Path) -> None:
    newer = {
        **OTHER,
        "gender_share": 12.5,
        "nothing_yet": None,
        "none_yet": [],
        "verifications": [{"position": "Kepala Dinas", "signatures": ["a", "b"]}],
        "aliases": ["x"],
        "budget_lines": [{"funding_source": "APBD", "amount": 1, "stage": None, "is_earmarked": True}],
        "review": {"grade": "B", "remarks": [{"code": "R1", "texts": ["ok"]}]},
    }
    file = build_tables(tmp_path, LINE_EXAMPLE, newer, LINE_EXAMPLE | {"action": "A-003"})
    assert ask(file, "SELECT gender_share FROM action ORDER BY action") == [None, 12.5, None]
    assert ask(file, "SELECT is_earmarked FROM budget_line ORDER BY action") == [None, 1, None]
    assert ask(file, 'SELECT action, position, "position_" FROM verification') == [
        ("A-002", 1, "Kepala Dinas")
    ]
    assert ask(file, "SELECT verification, position, signature FROM verification_signature") == [
        (1, 1, "a"),
        (1, 2, "b"),
    ]
    assert ask(file, "SELECT aliase FROM aliase") == ["x"]
    assert ask(file, "SELECT grade, code, text FROM review JOIN review_remark_text USING (plan, action)") == [
        ("B", "R1", "ok")
    ]
    columns = ask(file, "SELECT name FROM pragma_table_info('action')")
    assert not {"nothing_yet", "none_yet"} & set(columns)


def test_a_pull_into_tables_equals_the_pull_of_lines(rata: Rata, served: Served, tmp_path: Path) -> None:
    lines = pull(rata, tmp_path)
    done = pull(rata, tmp_path, format="sqlite", since_last=True)
    assert {file.name for file in tmp_path.iterdir()} == {NAME, FILE, f"{NAME}.json", f"{FILE}.json"}
    assert (done.manifest.rows, done.manifest.plans) == (LINES, lines.manifest.plans)
    assert read_back(done.file) == [json.loads(line) for line in lines.file.read_bytes().splitlines()]
    assert ask(done.file, "SELECT sha256, rows, cursor FROM pull") == [
        (lines.manifest.sha256, LINES, lines.manifest.cursor)
    ]
    # reading does not change it
    again = pull(rata, tmp_path, format="sqlite", since_last=True)
    assert (again.is_unchanged, again.manifest) == (True, done.manifest)
    assert compare(rata, done.file, PERIOD, "63") == []
    with served.writer() as writer:
        report(writer, "A-009", 2, plan=PLAN, spent=len(ask(done.file, "SELECT * FROM report")))  # type: ignore[arg-type]  # a client as the test client is
    assert compare(rata, done.file, PERIOD, "63") == [f"{PLAN} {LEAN['lead_agency']}"]
    assert pull(rata, tmp_path, format="sqlite", since_last=True).is_unchanged is False
    assert compare(rata, done.file, PERIOD, "63") == []
    # a person has worked in it
    with closing(sqlite3.connect(done.file)) as db:
        db.execute("UPDATE action SET allocation = 0")
        db.commit()
    with pytest.raises(WrongContent):
        compare(rata, done.file, PERIOD, "63")
    assert pull(rata, tmp_path, format="sqlite", since_last=True).is_unchanged is False
    with pytest.raises(Misused):
        compare(rata, done.file.with_suffix(".csv"), PERIOD, "63")


def test_tables_cut_anywhere_equal_the_uncut_ones(
    served: Served, token: str, rata: Rata, tmp_path: Path
) -> None:
    whole = pull(rata, tmp_path / "whole", format="sqlite")
    with (
        BadLine(served.port(), 500, 900, 1500, 2000) as line,
        Rata(line.url, token, patience=IMPATIENT) as over,
    ):
        done = pull(over, tmp_path, format="sqlite")
    assert line.connections >= 4
    assert [text for text in dump(done.file) if line.url not in text] == [
        text for text in dump(whole.file) if served.url not in text
    ]
    # the same lines make the same bytes
    assert pull(rata, tmp_path / "again", format="sqlite").file.read_bytes() == whole.file.read_bytes()


def test_remains_of_a_killed_run_do_no_harm(tmp_path: Path) -> None:
    left = tmp_path / f"{FILE}.new"
    content = build_tables(tmp_path / "other", OTHER).read_bytes()
    for remains in (content, content[: len(content) // 2], b"\0" * 4096):
        left.write_bytes(remains)
        assert read_back(build_tables(tmp_path, LINE_EXAMPLE)) == add_fields(LINE_EXAMPLE)
        assert not left.exists()


@pytest.mark.parametrize(
    "lines",
    [
        ["{}"],
        ["null"],
        ["{"],
        [json.dumps(LINE_EXAMPLE)] * 2,
        [json.dumps({**LINE_EXAMPLE, "title": {}})],
        [json.dumps({**LINE_EXAMPLE, "outputs": ["x"]})],
        [json.dumps({**LINE_EXAMPLE, "report": [1]})],
        [json.dumps({**LINE_EXAMPLE, "allocation": 2**64})],
        [json.dumps({**LINE_EXAMPLE, "title": "\ud800"})],
    ],
)
def test_invalid_lines_leave_the_old_file(lines: list[str], tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("what was there")
    with pytest.raises(WrongContent):
        pull(make_client(*[make_reply(make_ndjson(*lines)) for _ in "ab"]), tmp_path, format="sqlite")
    assert {file.name for file in tmp_path.iterdir()} == {FILE}
    assert (tmp_path / FILE).read_text() == "what was there"


def test_an_unwritable_disk_is_reported(tmp_path: Path) -> None:
    (tmp_path / f"{FILE}.new").mkdir()
    with pytest.raises(Unwritable):
        build_tables(tmp_path, LINE_EXAMPLE)
