"""Every import leaves the file, its hash and the choices in the history, once."""

from hashlib import sha256

import pytest

from tests.contract.world import World

pytestmark = pytest.mark.both_engines

IMPORTS = ("import_plan_matrix", "import_observations", "import_coverage", "import_coordinates")


@pytest.mark.parametrize("id", IMPORTS)
def test_an_import_is_in_the_history_once(world: World, id: str) -> None:
    operation = world.operations[id]
    name, content, _ = world.files[id]
    before = world.count_journal()
    assert world.call(operation, params={"dry_run": "true"}).status_code == 200
    assert world.count_journal() == before
    assert world.call(operation).status_code == 200
    entries = [row for row in world.read_journal()[before:] if row.kind == "import.created"]
    assert [row.changes["file_name"] for row in entries] == [[None, name]]
    assert entries[0].changes["sha256"] == [None, sha256(content).hexdigest()]
    assert "choices" in entries[0].changes
    written = world.count_journal()
    assert world.call(operation).status_code == 200
    assert world.count_journal() == written
