"""What a migration may do while the version before it still serves, judged by its source."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kit.database.migrations import find_refusal, name_next_revision

VERSIONS = Path(__file__).parents[1] / "migrations" / "versions"
#: The schema of the first release: what led to it ran before there was anything to keep running.
RELEASED = "0016"

#: Takes away, or refuses, what the version before it still reads or writes.
TAKES_AWAY = {
    "drop_table": "drops a table",
    "drop_column": "drops a column",
    "drop_constraint": "drops a constraint",
    "rename_table": "renames a table",
    "execute": "runs SQL that nobody here can judge",
    "create_primary_key": "adds a key to a table that is there",
    "create_unique_constraint": "refuses rows that were allowed",
    "create_check_constraint": "refuses rows that were allowed",
    "create_foreign_key": "refuses rows that were allowed",
}


def complaints(name: str, source: str, before: str) -> list[str]:
    """What speaks against a migration; `before`: oldest revision whose code works on what it is applied to."""
    tree = ast.parse(source)
    said = dict(constants(tree))
    revision, number = str(said.get("revision", "")), name[:4]
    found = re.fullmatch(r"(\d{4})_works_with_(\d{4})", revision)
    if found is None or found[1] != number:
        return [
            f'{name}: call it revision = "{number}_works_with_{before}", after the oldest that still works'
        ]
    oldest, needs_stop = found[2], said.get("NEEDS_STOP")
    if oldest < before or oldest > number:
        return [f"{name}: works with {oldest}, yet the one before it only with {before} and newer"]
    wrong = list(refusals(tree))
    if needs_stop:
        return [] if oldest == number else [f"{name}: needs a stop, so it works with {number} alone"]
    return [f"{name}: {one}; do it one release later, or say why in NEEDS_STOP" for one in wrong]


def constants(tree: ast.Module) -> Iterator[tuple[str, object]]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            yield ast.unparse(node.targets[0]), node.value.value


def refusals(tree: ast.Module) -> Iterator[str]:
    """What the upgrade does that the version before it would trip over."""
    calls = [
        node
        for function in tree.body
        if isinstance(function, ast.FunctionDef) and function.name != "downgrade"
        for node in ast.walk(function)
        if isinstance(node, ast.Call)
    ]
    names = [ast.unparse(call.func).rpartition(".")[2] for call in calls]
    made = {first_of(call) for call, name in zip(calls, names, strict=True) if name == "create_table"}
    if "add_index_concurrently" in names and len({*names} - {"add_index_concurrently", "f", "text"}) > 0:
        yield "an index that is built beside writers is all that its revision does"
    for call, name in zip(calls, names, strict=True):
        asked = {one.arg: one.value for one in call.keywords}
        if name in TAKES_AWAY:
            yield TAKES_AWAY[name]
        elif name == "alter_column" and asked.keys() & {"new_column_name", "type_"}:
            yield "renames a column or changes its type"
        elif name == "alter_column" and is_false(asked.get("nullable")):
            yield "requires what may be missing"
        elif name == "add_column" and lacks_default(call):
            yield "adds a column that the version before does not fill, without a server_default"
        elif name == "create_index" and not made & {first_of(call), ast.unparse(call.args[1])}:
            yield "builds an index that writers wait for: use add_index_concurrently"


def first_of(call: ast.Call) -> str:
    return ast.unparse(call.args[0]) if call.args else ""


def is_false(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def lacks_default(call: ast.Call) -> bool:
    for column in (node for node in ast.walk(call) if isinstance(node, ast.Call) and node is not call):
        asked = {one.arg: one.value for one in column.keywords}
        if is_false(asked.get("nullable")) and "server_default" not in asked:
            return True
    return False


def test_migrations_since_the_release_let_the_version_before_serve_on() -> None:
    found, before = [], RELEASED
    for file in sorted(VERSIONS.glob("*.py")):
        if file.name[:4] > RELEASED:
            source = file.read_text()
            found += complaints(file.stem, source, before)
            declared = re.search(r"_works_with_(\d{4})", source)
            before = declared[1] if declared else before
    if found:
        pytest.fail("\n".join(["What runs must be able to go on running:", *found]), pytrace=False)


GOOD = [
    "op.add_column('action', sa.Column('note', sa.Text(), nullable=True))",
    "op.add_column('action', sa.Column('rank', BigInt, nullable=False, server_default='0'))",
    "op.create_table('later', sa.Column('id', BigInt))\n    op.create_index('ix_later_id', 'later', ['id'])",
    "add_index_concurrently('ix_action_note', 'action', ['note'])",
    "op.alter_column('action', 'title', nullable=True)",
]
BAD = [
    "op.drop_column('action', 'title')",
    "op.drop_table('action')",
    "op.rename_table('action', 'line')",
    "op.alter_column('action', 'title', new_column_name='name')",
    "op.alter_column('action', 'title', type_=sa.Text())",
    "op.alter_column('action', 'note', nullable=False)",
    "op.add_column('action', sa.Column('note', sa.Text(), nullable=False))",
    "op.create_index('ix_action_title', 'action', ['title'])",
    "op.create_unique_constraint('uq_action_title', 'action', ['title'])",
    "op.execute('UPDATE action SET title = NULL')",
    "with op.batch_alter_table('action') as batch:\n        batch.drop_column('title')",
    "op.add_column('action', note)\n    add_index_concurrently('ix_action_note', 'action', ['note'])",
]


def written(body: str, revision: str = "0017_works_with_0016", stop: str = "") -> str:
    down = "def downgrade():\n    op.drop_table('x')\n"
    return f'revision = "{revision}"\n{stop}\n\ndef upgrade():\n    {body}\n\n{down}'


@pytest.mark.parametrize("body", GOOD)
def test_what_only_adds_may_be_done(body: str) -> None:
    assert complaints("0017_x", written(body), RELEASED) == []


@pytest.mark.parametrize("body", BAD)
def test_what_takes_away_needs_a_stop_and_says_so(body: str) -> None:
    assert len(complaints("0017_x", written(body), RELEASED)) == 1
    why = 'NEEDS_STOP = "nothing else will do"'
    assert complaints("0017_x", written(body, "0017_works_with_0017", why), RELEASED) == []
    assert len(complaints("0017_x", written(body, stop=why), RELEASED)) == 1


@pytest.mark.parametrize(
    "revision", ["0017", "0018_works_with_0016", "0017_works_with_0015", "0017_works_with_0018"]
)
def test_a_revision_says_what_works_with_it(revision: str) -> None:
    assert len(complaints("0017_x", written(GOOD[0], revision), RELEASED)) == 1


@pytest.mark.parametrize(
    ("code", "database", "starts"),
    [
        ("0016", "0016", True),
        ("0016", None, False),
        ("0016", "0015", False),
        ("0016", "0017", False),
        ("0016", "0017_works_with_0016", True),
        ("0016", "0019_works_with_0016", True),
        ("0016", "0019_works_with_0017", False),
        ("0017_works_with_0016", "0019_works_with_0017", True),
        ("0017_works_with_0016", "0016", False),
        ("0017_works_with_0016", "something else", False),
    ],
)
def test_code_starts_on_what_says_that_it_works_with_it(
    code: str, database: str | None, starts: bool
) -> None:
    assert (find_refusal(code, database) is None) == starts


@given(st.integers(16, 9_900), st.integers(1, 20))
def test_revisions_that_are_named_in_turn_let_the_code_before_them_serve_on(first: int, count: int) -> None:
    oldest = newest = f"{first:04}"
    for number in range(first + 1, first + 1 + count):
        newest, before = name_next_revision(newest), newest
        assert newest == f"{number:04}_works_with_{oldest}"
        assert find_refusal(oldest, newest) is None
        assert find_refusal(before, newest) is None


def test_a_revision_after_one_of_another_form_is_not_named() -> None:
    with pytest.raises(ValueError, match="0018_works_with_0016"):
        name_next_revision("3f2a")
