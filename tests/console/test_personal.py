"""`rata check personal-data` lists the numbers of persons that were stored before the rule, without the numbers."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.console.personal import StoredNumber, find_stored_numbers
from app.kit import personal
from tests.database import OneTransaction
from tests.plans.world import ANY
from tests.year.played import AT, PLAN, PlayedYear

NIK = "7322014505850001"
QUARTER = "2025-Q2"


def search(database: OneTransaction) -> list[StoredNumber]:
    with database.read_session() as session:
        return list(find_stored_numbers(session))


@pytest.mark.both_engines
def test_every_stored_text_is_searched(
    database: OneTransaction, connect: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    year = PlayedYear(connect, database, 3)
    year.draft()
    assert search(database) == []

    def patch(**fields: Any) -> None:
        assert year.team.patch(f"{AT}/actions/A-001", json=fields, headers=ANY).status_code == 200

    with monkeypatch.context() as earlier:
        # as a version without the rule
        earlier.setattr(personal, "find_person_number", lambda text: None)
        patch(note=f"Ketua: {NIK}", source_key=NIK, tags=["7322 0145 0585 0001"])
        year.adopt()
        year.report(QUARTER)
        assert year.submit(QUARTER)
        for verb in ("verify", "freeze"):
            year.move(QUARTER, verb)

    numbers = search(database)
    places = {(number.address.partition(" ")[0], number.field) for number in numbers}
    line = next(n for n in range(100) if ("plan_revision", f"content/actions/{n}/note") in places)
    assert places == {
        ("action", "note"),
        ("action_copy", "note"),
        ("action_tag", "tag"),
        ("action_tag_copy", "tag"),
        ("journal", "changes/note/1"),
        ("journal", "changes/tags/1/0"),
        ("plan_revision", f"content/actions/{line}/note"),
        ("plan_revision", f"content/actions/{line}/tags/0"),
        *(place for place in places if place[0] == "snapshot"),
    }
    assert {field.rpartition("/")[2] for table, field in places if table == "snapshot"} >= {"note", "0"}
    assert {
        number.address for number in numbers if number.address.startswith(("action ", "action_tag "))
    } == {
        f"action {PLAN}/A-001",
        f"action_tag {PLAN}/A-001/…",
    }
    (entry, *_) = [number for number in numbers if number.address.startswith("journal ")]
    assert entry.address.endswith(f"/plans/{PLAN}/actions/A-001")
    assert entry.at != "–"
    assert NIK not in repr(numbers)
    assert "0585" not in repr(numbers)
