"""The usual changes as docs/adding.md describes them, in the files that it names and no other, on both engines."""

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
OF_A_FINDING = (
    "tests/findings/test_check.py",
    "tests/findings/test_rules.py",
    "tests/plans/test_findings.py",
    "tests/contract/test_document.py",
)
OF_A_SETTING = ("tests/console/test_settings.py",)
OF_AN_OPERATION = (
    "tests/test_agencies.py",
    "tests/test_house.py",
    "tests/contract/test_document.py",
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the committed files."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
    return folder


def run(checkout: Path, *words: str, **settings: str) -> None:
    """Run a program of the environment on the copy. Fails with its output if the program fails."""
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


def read_section(title: str) -> list[Block]:
    """Return the blocks of a section of the page."""
    before, _, rest = PAGE.read_text().partition(f"## {title}\n")
    first = before.count("\n") + 1
    last = first + rest.partition("\n## ")[0].count("\n")
    return [block for block in blocks_of(PAGE) if first < block.line <= last]


def apply_block(checkout: Path, block: Block) -> None:
    """Do to the copy what a block says."""
    name, _, line = block.argument.partition(": ")
    file = checkout / name
    if block.marker == "file":
        file.write_text(block.text)
    elif block.marker == "end":
        file.write_text(f"{file.read_text()}\n\n{block.text}")
    elif block.marker in ("below", "above", "instead"):
        lines = file.read_text().splitlines(keepends=True)
        (place,) = [n for n, text in enumerate(lines) if text.strip() == line]
        there = lines[place]
        text = indent(block.text, there[: len(there) - len(there.lstrip())])
        lines[place] = {"below": there + text, "above": text + there, "instead": text}[block.marker]
        file.write_text("".join(lines))


def read_files(checkout: Path) -> dict[str, bytes]:
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


def list_changed(before: dict[str, bytes], after: dict[str, bytes]) -> Iterator[str]:
    """Yield the new and changed files, without generated ones."""
    yield from sorted(name for name in after if before.get(name) != after[name] and name not in GENERATED)


def check(checkout: Path, tests: tuple[str, ...]) -> None:
    """Run the linters without fixes and the tests of the copy on both engines."""
    run(checkout, "ruff", "check", "app", "migrations")
    run(checkout, "ruff", "format", "--check", "app", "migrations")
    run(checkout, "mypy", "app")
    run(
        checkout, "python", "-m", "pytest", "-q", "-x", "-n", "2", *tests, RATA_TEST_ENGINES="sqlite,postgres"
    )


def test_a_field_of_an_action_needs_two_files(checkout: Path, tmp_path: Path) -> None:
    before = read_files(checkout)
    for block in read_section("A field of an action"):
        apply_block(checkout, block)
        if block.language == "sh":
            database = {"RATA_DATABASE_URL": f"sqlite:///{tmp_path / 'how-to.db'}"}
            run(checkout, "alembic", "upgrade", "head", **database)
            program, *words = block.text.split(maxsplit=4)
            assert program == ".venv/bin/alembic"
            run(checkout, "alembic", *words[:3], words[3].strip().strip('"'), **database)
    run(checkout, "rata", "openapi", "--write")
    (model, revision) = list_changed(before, read_files(checkout))
    assert model == "app/plans/actions/models.py"
    assert revision.startswith("migrations/versions/")
    check(checkout, OF_A_FIELD)


def test_a_report_needs_one_file_and_one_line(checkout: Path) -> None:
    before = read_files(checkout)
    for block in read_section("A report"):
        apply_block(checkout, block)
    run(checkout, "rata", "openapi", "--write")
    after = read_files(checkout)
    catalogue, report = list_changed(before, after)
    assert (catalogue, report) == ("app/reports/catalogue.py", "app/reports/plan_sizes.py")
    assert after[catalogue].count(b"\n") == before[catalogue].count(b"\n") + 1
    check(checkout, OF_A_REPORT)


def change(checkout: Path, title: str) -> list[str]:
    """Apply a section of the page to the copy, write the document, and return the changed files."""
    before = read_files(checkout)
    for block in read_section(title):
        apply_block(checkout, block)
    run(checkout, "rata", "openapi", "--write")
    return list(list_changed(before, read_files(checkout)))


def test_a_finding_is_two_files(checkout: Path) -> None:
    assert change(checkout, "A finding") == ["app/plans/findings/kinds.py", "app/plans/findings/rules.py"]
    run(
        checkout,
        "python",
        "-c",
        "from app.plans.actions.models import ActionIn\n"
        "from app.plans.findings.rules import LineFacts, check_line\n"
        "from tests.plans.world import ACTION\n"
        "part = {'code': 'C1', 'component_class': 'direct', 'amount': 0}\n"
        "line = ActionIn.model_validate({**ACTION, 'components': [part]}).model_dump(mode='json')\n"
        "findings = check_line(line, LineFacts('63.02', 2026))\n"
        "pointers = [finding.pointer for finding in findings if finding.kind.code == 'W14']\n"
        "assert pointers == ['/components/0/amount'], pointers\n",
    )
    check(checkout, OF_A_FINDING)


def test_a_setting_is_one_file(checkout: Path) -> None:
    assert change(checkout, "A setting") == ["app/settings.py"]
    name = f"RATA_{'token_days'.upper()}"
    shown = "from app.startup.configuration import load_settings; assert load_settings().token_days == 30"
    run(checkout, "python", "-c", shown, **{name: "30"})
    refused = (
        "from app.startup.configuration import CannotStart, load_settings\n"
        "try:\n    load_settings()\nexcept CannotStart as refusal:\n"
        f"    assert str(refusal) == {name!r} + \" is '0'; use a whole number from 1 to 730.\", refusal\n"
        "else:\n    raise AssertionError\n"
    )
    run(checkout, "python", "-c", refused, **{name: "0"})
    check(checkout, OF_A_SETTING)


def test_an_operation_is_three_files(checkout: Path) -> None:
    files = ["models.py", "queries.py", "routes.py"]
    assert change(checkout, "An operation") == [f"app/agencies/{file}" for file in files]
    assert b'"list_merged"' in (checkout / "openapi/rata.v1.json").read_bytes()
    check(checkout, OF_AN_OPERATION)
