"""The shipped reference data, loaded on top of the small files of the suite, on both engines."""

import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.kit.database.engine import get_table
from app.reference.commands import load_reference
from app.reference.nomenclature.models import SubactivityRow
from tests.database import OneTransaction
from tests.reference import check_whole_regions


def test_the_shipped_files_load_on_top_of_the_small_ones(
    database: OneTransaction, stranger: TestClient
) -> None:
    with database.writing() as session:
        assert load_reference(session) == ["regions", "nomenclature 2027", "reporting calendar"]
        rows = session.scalar(sa.select(sa.func.count()).select_from(get_table(SubactivityRow)))
        assert rows == 7581
    check_whole_regions(stranger)
