"""Rules for migrations that run while the previous version still serves, checked on their source."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kit.database.migrations import find_refusal, name_next_revision

VERSIONS = Path(__file__).parents[1] / "migrations" / "versions"
#: The schema of the first release: earlier migrations ran before any service did.
RELEASED = "0016"

#: Operations that remove or refuse rows that the previous version still reads or writes.
TAKES_AWAY = {
    "drop_table": "drops a table",
    "drop_column": "drops a column",
    "drop_constraint": "drops a constraint",
    "rename_table": "renames a table",
    "execute": "runs SQL that this check cannot judge",
    "create_primary_key": "adds a key to an existing table",
    "create_unique_constraint": "refuses rows that were allowed",
    "create_check_constraint": "refuses rows that were allowed",
    "create_foreign_key": "refuses rows that were allowed",
}


def list_complaints(name: str, source: str, before: str) -> list[str]:
    """List the violations of a migration; `before` is the oldest revision that works with its predecessor."""
    tree = ast.parse(source)
    declared = dict(list_constants(tree))
    revision, number = str(declared.get("revision", "")), name[:4]
    match = re.fullmatch(r"(\d{4})_works_with_(\d{4})", revision)
    if match is None or match[1] != number:
        return [
            f'{name}: call it revision = "{number}_works_with_{before}", after the oldest that still works'
        ]
    oldest, needs_stop = match[2], declared.get("NEEDS_STOP")
    if oldest < before or oldest > number:
        return [f"{name}: works with {oldest}, yet the one before it only with {before} and newer"]
    violations = list(list_violations(tree))
    if needs_stop:
        return [] if oldest == number else [f"{name}: needs a stop, so it works with {number} alone"]
    return [f"{name}: {text}; do it one release later, or say why in NEEDS_STOP" for text in violations]


def list_constants(tree: ast.Module) -> Iterator[tuple[str, object]]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            yield ast.unparse(node.targets[0]), node.value.value


def list_violations(tree: ast.Module) -> Iterator[str]:
    """List the operations of the upgrade that break the previous version."""
    calls = [
        node
        for function in tree.body
        if isinstance(function, ast.FunctionDef) and function.name != "downgrade"
        for node in ast.walk(function)
        if isinstance(node, ast.Call)
    ]
    names = [get_name(call) for call in calls]
    assigned = {
        ast.unparse(node.targets[0])
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
        if get_name(node.value) == "create_table"
    }
    created = {get_first(call) for call, name in zip(calls, names, strict=True) if name == "create_table"}
    if "add_index_concurrently" in names and len({*names} - {"add_index_concurrently", "f", "text"}) > 0:
        yield "a revision that builds an index concurrently does nothing else"
    for call, name in zip(calls, names, strict=True):
        options = {keyword.arg: keyword.value for keyword in call.keywords}
        if name in TAKES_AWAY:
            yield TAKES_AWAY[name]
        elif name == "fill_created" and get_first(call) not in assigned:
            yield "writes into a table that this revision does not create"
        elif name == "alter_column" and options.keys() & {"new_column_name", "type_"}:
            yield "renames a column or changes its type"
        elif name == "alter_column" and is_false(options.get("nullable")):
            yield "requires a value that may be missing"
        elif name == "add_column" and has_no_default(call):
            yield "adds a column that the version before does not fill, without a server_default"
        elif name == "create_index" and not created & {get_first(call), ast.unparse(call.args[1])}:
            yield "builds an index that writers wait for: use add_index_concurrently"


def get_name(call: ast.Call) -> str:
    """Return the last part of the name of the called function."""
    return ast.unparse(call.func).rpartition(".")[2]


def get_first(call: ast.Call) -> str:
    return ast.unparse(call.args[0]) if call.args else ""


def is_false(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def has_no_default(call: ast.Call) -> bool:
    for column in (node for node in ast.walk(call) if isinstance(node, ast.Call) and node is not call):
        options = {keyword.arg: keyword.value for keyword in column.keywords}
        if is_false(options.get("nullable")) and "server_default" not in options:
            return True
    return False


def test_migrations_let_the_previous_version_serve_on() -> None:
    violations, before = [], RELEASED
    for file in sorted(VERSIONS.glob("*.py")):
        if file.name[:4] > RELEASED:
            source = file.read_text()
            violations += list_complaints(file.stem, source, before)
            declared = re.search(r"_works_with_(\d{4})", source)
            before = declared[1] if declared else before
    if violations:
        pytest.fail("\n".join(["The previous version must be able to serve on:", *violations]), pytrace=False)


GOOD = [
    "op.add_column('action', sa.Column('note', sa.Text(), nullable=True))",
    "op.add_column('action', sa.Column('rank', BigInt, nullable=False, server_default='0'))",
    "op.create_table('later', sa.Column('id', BigInt))\n    op.create_index('ix_later_id', 'later', ['id'])",
    "add_index_concurrently('ix_action_note', 'action', ['note'])",
    "op.alter_column('action', 'title', nullable=True)",
    "made = op.create_table('later', sa.Column('id', BigInt))\n    fill_created(made, read_rows(lines))",
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
    "made = op.create_table('later', sa.Column('id', BigInt))\n    fill_created(actions, read_rows(lines))",
    "op.add_column('action', note)\n    add_index_concurrently('ix_action_note', 'action', ['note'])",
]


def write_source(body: str, revision: str = "0017_works_with_0016", stop: str = "") -> str:
    down = "def downgrade():\n    op.drop_table('x')\n"
    return f'revision = "{revision}"\n{stop}\n\ndef upgrade():\n    {body}\n\n{down}'


@pytest.mark.parametrize("body", GOOD)
def test_an_additive_migration_is_allowed(body: str) -> None:
    assert list_complaints("0017_x", write_source(body), RELEASED) == []


@pytest.mark.parametrize("body", BAD)
def test_a_removal_must_declare_that_it_needs_a_stop(body: str) -> None:
    assert len(list_complaints("0017_x", write_source(body), RELEASED)) == 1
    why = 'NEEDS_STOP = "nothing else will do"'
    assert list_complaints("0017_x", write_source(body, "0017_works_with_0017", why), RELEASED) == []
    assert len(list_complaints("0017_x", write_source(body, stop=why), RELEASED)) == 1


@pytest.mark.parametrize(
    "revision", ["0017", "0018_works_with_0016", "0017_works_with_0015", "0017_works_with_0018"]
)
def test_a_revision_names_the_oldest_version_that_works_with_it(revision: str) -> None:
    assert len(list_complaints("0017_x", write_source(GOOD[0], revision), RELEASED)) == 1


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
def test_code_starts_on_a_schema_that_declares_to_work_with_it(
    code: str, database: str | None, starts: bool
) -> None:
    assert (find_refusal(code, database) is None) == starts


@given(st.integers(16, 9_900), st.integers(1, 20))
def test_generated_revision_names_let_the_previous_code_serve_on(first: int, count: int) -> None:
    oldest = newest = f"{first:04}"
    for number in range(first + 1, first + 1 + count):
        newest, before = name_next_revision(newest), newest
        assert newest == f"{number:04}_works_with_{oldest}"
        assert find_refusal(oldest, newest) is None
        assert find_refusal(before, newest) is None


def test_a_revision_after_a_name_of_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match="0018_works_with_0016"):
        name_next_revision("3f2a")
