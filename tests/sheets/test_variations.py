"""Sheets in every writing that the reader allows: one reading, and no cell goes without a word."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from app.kit.files.books import name_column
from tests.exchange.office import Office, find_place
from tests.sheets.reading import read_plan
from tests.sheets.variations import QUERY, Written, write_variation

pytestmark = pytest.mark.one_engine

SEEDS = some.integers(0, 2**32)
# Each example rolls back its import.
each = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
STRANGE = ["Zxqw Vbnm", "12345", "-", "0,5", "1.5", "#REF!", "=A1", "2026-01-31", "??", "  x  "]


def read(office: Office, written: Written) -> tuple[list[str], dict[str, Any]]:
    """Return what an import into an empty plan stores, and the reply."""
    point = office.database.connection.begin_nested()
    try:
        reply = office.send(written.data, written.filename, **QUERY)
        reading = read_plan(office, reply)
    finally:
        point.rollback()
    return [text for text in reading if not text.startswith(("warnings", "factors"))], reply.json()


def list_named(body: dict[str, Any]) -> list[str | None]:
    """Return the cells that a reply names."""
    return [find_place(item) for kind in ("errors", "warnings", "findings") for item in body.get(kind) or ()]


@given(SEEDS)
@each
def test_every_writing_of_a_plan_reads_to_the_same_lines(office: Office, seed: int) -> None:
    assert read(office, write_variation(seed))[0] == read(office, write_variation(0))[0]


@given(SEEDS, some.data())
@each
def test_a_changed_cell_changes_the_reading_or_is_named(
    office: Office, seed: int, data: some.DataObject
) -> None:
    written = write_variation(seed)
    # Nothing depends on the running number.
    line, key = data.draw(some.sampled_from(sorted(item for item in written.places if item[1] != "number")))
    r, c = written.places[line, key]
    value = data.draw(some.sampled_from(STRANGE))
    reading, body = read(office, written.change(r, c, value))
    # A dash says that there is nothing.
    if value != "-" and f"{name_column(c)}{r + 1}" not in list_named(body):
        assert reading != read(office, written)[0]


@given(SEEDS)
@each
def test_a_wrong_sum_is_named_and_others_are_not(office: Office, seed: int) -> None:
    written = write_variation(seed)
    sums = [r for r, row in enumerate(written.rows) if any(str(cell).startswith("JUMLAH") for cell in row)]
    assert "total_differs" not in [item["code"] for item in read(office, written)[1]["warnings"]]
    for r in sums[:1]:
        for c in [
            c for c, cell in enumerate(written.rows[r]) if cell is not None and "JUMLAH" not in str(cell)
        ]:
            body = read(office, written.change(r, c, 7))[1]
            assert (f"{name_column(c)}{r + 1}", "total_differs") in [
                (find_place(item), item["code"]) for item in body["warnings"]
            ]
