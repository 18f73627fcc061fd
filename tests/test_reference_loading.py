"""Loading reference data: once for each content, whole or not at all.

`make proofs GROUP=reference` loads the shipped files on top of these small ones; tests/test_benchmarks.py loads them
into an empty database.
"""

import gzip
import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from sqlmodel import Session

from app.kit.database.engine import get_table
from app.kit.database.journal import Author, JournalRow
from app.reference.commands import BrokenReference, load_reference
from app.reference.queries import (
    find_regions_by_code,
)
from tests.database import OneTransaction
from tests.pages import walk
from tests.reference import small_files


def read_journal(session: Session) -> list[Any]:
    table = get_table(JournalRow)
    return list(
        session.execute(sa.select(table).where(table.c.chain == "reference").order_by(table.c.position))
    )


def test_loading_twice_changes_nothing(database: OneTransaction, tmp_path: Path) -> None:
    folder = small_files(tmp_path)
    with database.writing() as session:
        before = read_journal(session)
        load_reference(session, folder=folder)
        once = read_journal(session)
        assert load_reference(session, folder=folder) == []
        assert read_journal(session) == once
        assert len(before) == 9
        assert {row.kind for row in once} == {"reference.loaded"}


def test_a_changed_file_updates_and_retires_regions(
    database: OneTransaction, stranger: TestClient, tmp_path: Path
) -> None:
    folder = small_files(tmp_path)
    with database.writing() as session:
        load_reference(session, folder=folder)
    path = folder / "regions.csv.gz"
    text = gzip.decompress(path.read_bytes()).decode()
    text = text.replace("Kabupaten Luwu Utara", "Kabupaten Luwu Lor")
    text = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("63.03,"))
    path.write_bytes(gzip.compress(text.encode()))
    seen: list[tuple[str, int, int]] = []
    with database.writing() as session:
        author = Author("console", datetime.now(UTC))
        done = load_reference(session, lambda *progress: seen.append(progress), author=author, folder=folder)
    with database.read_session() as session:
        last = read_journal(session)[-1]
    assert done == ["regions"]
    assert seen[-1][0] == "regions"
    assert seen[-1][1] == seen[-1][2] == len(text.splitlines())
    assert (last.subject, last.changes["sha256"][1]) == (
        "regions",
        hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    assert stranger.get("/v1/regions/73.22").json()["name"] == "Kabupaten Luwu Lor"
    assert stranger.get("/v1/regions/63.03").json()["retired"] is True
    assert [r["code"] for r in stranger.get("/v1/regions", params={"retired": "true"}).json()["items"]] == [
        "63.03"
    ]
    assert "63.03" not in [r["code"] for r in walk(stranger, "/v1/regions/63/children")]


def test_a_file_that_contradicts_itself_is_refused(database: OneTransaction, tmp_path: Path) -> None:
    folder = small_files(tmp_path)
    path = folder / "regions.csv.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + b"99.01,Kabupaten Tanpa Provinsi\n"))
    with database.writing() as session, pytest.raises(BrokenReference, match=r"99\.01"):
        load_reference(session, folder=folder)
    with database.read_session() as session:
        assert find_regions_by_code(session, ["99.01"]) == {}
