"""Stored readings of every sheet at hand: a change of the import that moves an amount is seen here.

`make sheets-diff` lists the changes, and `make sheets-diff ARGS=--write` stores them; the commit says why.
"""

import pytest

from tests.common import ConnectAs, begin_with
from tests.database import OneTransaction
from tests.sheets.sheets import READINGS, Sheet, list_sheets, open_world, read_sheet

pytestmark = pytest.mark.one_engine
SHEETS = list(list_sheets())

world, database = begin_with(open_world)


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.name)
def test_a_sheet_has_its_stored_reading(connect: ConnectAs, database: OneTransaction, sheet: Sheet) -> None:
    assert read_sheet(connect, database, sheet) == sheet.stored.read_text().splitlines()


def test_every_stored_reading_has_its_sheet() -> None:
    assert {path.name for path in READINGS.iterdir()} == {sheet.stored.name for sheet in SHEETS}
