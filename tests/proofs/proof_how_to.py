"""A field and a report are added as docs/adding.md says: in the files that it names and no other, on both engines."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent

import pytest

from tests.docs.pages import ROOT, Block, blocks_of

PAGE = ROOT / "docs" / "adding.md"
GENERATED = {"openapi/rata.v1.json", "app/client/data/pull.json"}
"""Files that `make openapi` writes."""
OF_A_FIELD = (
    "tests/fixtures",
    "tests/test_migrations.py",
    "tests/test_migration_rules.py",
    "tests/amendments/test_comparing.py",
    "tests/client/test_tables.py",
    "tests/contract/test_document.py",
    "tests/plans/test_actions.py",
    "tests/pulls/test_formats.py",
)
OF_A_REPORT = ("tests/reports", "tests/contract/test_document.py")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what is committed."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
    return folder


def run(checkout: Path, *words: str, **settings: str) -> None:
    """Run a program of the environment on the code of the copy; fails with its output."""
    program = str(Path(sys.executable).with_name(words[0]))
    environment = {**os.environ, **settings, "PYTHONPATH": str(checkout)}
    done = subprocess.run(
        [program, *words[1:]],
        cwd=checkout,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{' '.join(words)}\n{done.stdout[-8000:]}", pytrace=False)


def section(title: str) -> list[Block]:
    """Return the blocks of a section of the page."""
    before, _, rest = PAGE.read_text().partition(f"## {title}\n")
    first = before.count("\n") + 1
    last = first + rest.partition("\n## ")[0].count("\n")
    return [block for block in blocks_of(PAGE) if first < block.line <= last]


def apply(checkout: Path, block: Block) -> None:
    """Do to the copy what a block says."""
    if block.marker == "file":
        (checkout / block.argument).write_text(block.text)
    elif block.marker == "below":
        name, _, line = block.argument.partition(": ")
        lines = (checkout / name).read_text().splitlines(keepends=True)
        (place,) = [n for n, text in enumerate(lines, 1) if text.strip() == line]
        above = lines[place - 1]
        text = indent(block.text, above[: len(above) - len(above.lstrip())])
        (checkout / name).write_text("".join([*lines[:place], text, *lines[place:]]))


def files_of(checkout: Path) -> dict[str, bytes]:
    names = subprocess.run(
        [
            "find",
            ".",
            "-name",
            "*.py",
            "-o",
            "-name",
            "*.md",
            "-o",
            "-name",
            "*.json",
            "-o",
            "-name",
            "*.toml",
        ],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    return {name.removeprefix("./"): (checkout / name).read_bytes() for name in names}


def changed(before: dict[str, bytes], after: dict[str, bytes]) -> Iterator[str]:
    """Yield the files that are new or not as before, without those that are generated."""
    yield from sorted(name for name in after if before.get(name) != after[name] and name not in GENERATED)


def hold(checkout: Path, tests: tuple[str, ...]) -> None:
    """Run the linters, which mend nothing, and tests of the copy on both engines."""
    run(checkout, "ruff", "check", "app", "migrations")
    run(checkout, "ruff", "format", "--check", "app", "migrations")
    run(checkout, "mypy", "app")
    run(
        checkout, "python", "-m", "pytest", "-q", "-x", "-n", "2", *tests, RATA_TEST_ENGINES="sqlite,postgres"
    )


def test_a_field_of_an_action_is_two_files(checkout: Path, tmp_path: Path) -> None:
    before = files_of(checkout)
    for block in section("A field of an action"):
        apply(checkout, block)
        if block.language == "sh":
            database = {"RATA_DATABASE_URL": f"sqlite:///{tmp_path / 'how-to.db'}"}
            run(checkout, "alembic", "upgrade", "head", **database)
            program, *words = block.text.split(maxsplit=4)
            assert program == ".venv/bin/alembic"
            run(checkout, "alembic", *words[:3], words[3].strip().strip('"'), **database)
    run(checkout, "rata", "openapi", "--write")
    (model, revision) = changed(before, files_of(checkout))
    assert model == "app/plans/actions/models.py"
    assert revision.startswith("migrations/versions/")
    hold(checkout, OF_A_FIELD)


def test_a_report_is_one_file_and_one_line(checkout: Path) -> None:
    before = files_of(checkout)
    for block in section("A report"):
        apply(checkout, block)
    run(checkout, "rata", "openapi", "--write")
    after = files_of(checkout)
    catalogue, report = changed(before, after)
    assert (catalogue, report) == ("app/reports/catalogue.py", "app/reports/plan_sizes.py")
    assert after[catalogue].count(b"\n") == before[catalogue].count(b"\n") + 1
    hold(checkout, OF_A_REPORT)
