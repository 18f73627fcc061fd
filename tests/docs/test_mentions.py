"""What the documentation names exists: addresses, commands, settings, codes, files, links."""

import json
import re
import shlex
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from packaging.requirements import Requirement

from app.cli import cli
from app.kit.openapi.document import COMMITTED
from app.kit.problems import Kind, Problem
from app.main import VERSION
from app.plans.findings.kinds import FindingKind
from app.settings import Settings
from tests.client.world import run_command
from tests.docs import settings_table
from tests.docs.pages import DECISIONS, PAGES, ROOT, Block, Mention, blocks_of, listed, mentions, name_of

DOCS = ROOT / "docs"
EDITS = {"below", "above", "instead", "end", "file"}
MARKERS = {"set up", "run", "install", "cron", "not run", "save", "answer", "shape", *EDITS, ""}
LONGEST_PAGE = 200


@cache
def document() -> dict[str, Any]:
    """The document as it is committed; tests/contract/test_document.py holds it to be current."""
    return json.loads(COMMITTED.read_bytes())


def all_blocks() -> list[Block]:
    return [block for page in PAGES for block in blocks_of(page)]


# Addresses


@cache
def _templates() -> dict[str, re.Pattern[str]]:
    """Path of the document → pattern of it with each parameter filled, left as it is, or written `…`."""
    return {
        path: re.compile(re.sub(r"\\{[^}]+\\}", "[^/]+", re.escape(path)) + "$")
        for path in document()["paths"]
    }


def _operations(path: str) -> dict[str, Any]:
    """Method → operation of an address, none where there is no such; the most literal template wins."""
    found = [template for template, pattern in _templates().items() if pattern.match(path)]
    operations: dict[str, Any] = document()["paths"][min(found, key=lambda t: t.count("{"))] if found else {}
    return operations


def test_every_address_is_in_the_openapi_document() -> None:
    named = mentions(r"(/v1/[\w/{}.$…-]+)") + mentions(r"[`\s](/(?:health|ready|problems/[^`\s]+))[`\s]")
    wrong = [one for one in named if not _operations(_plain(one.text))]
    assert not wrong, f"no such address:\n{listed(wrong)}"


def test_every_address_answers_the_method_named_with_it() -> None:
    named = mentions(r"((?:GET|PUT|PATCH|POST|DELETE) /[\w/{}.$…-]+)")
    wrong = [
        one for one in named if one.text.split()[0].lower() not in _operations(_plain(one.text.split()[1]))
    ]
    assert not wrong, f"no such method:\n{listed(wrong)}"


def test_every_query_parameter_is_known_at_its_address() -> None:
    wrong = []
    for one in mentions(r"((?:(?:GET|PUT|PATCH|POST|DELETE) )?/v1/[\w/{}.$…-]+\?[\w=&.,$%{}…-]+)"):
        path, _, query = one.text.rpartition(" ")[2].partition("?")
        operations = _operations(_plain(path)).values()
        parameters = [p for operation in operations for p in operation.get("parameters", [])]
        known = {parameter["name"] for parameter in parameters if parameter["in"] == "query"}
        if not operations:
            continue  # said by the test above
        unknown = {pair.partition("=")[0] for pair in query.split("&")} - known - {""}
        wrong += [Mention(one.page, one.line, f"{path}?{name}") for name in sorted(unknown)]
    assert not wrong, f"no such parameter:\n{listed(wrong)}"


def _plain(path: str) -> str:
    return path.rstrip(".").replace("…", "x")


# Bodies


@pytest.mark.parametrize(
    "block", [b for b in all_blocks() if b.marker == "shape"], ids=lambda block: block.place
)
def test_body_fits_the_schema_it_claims(block: Block) -> None:
    schema = {"$ref": f"#/components/schemas/{block.argument}", "components": document()["components"]}
    jsonschema_rs.validate(schema, json.loads(block.text))


def test_every_block_says_how_it_is_held_true() -> None:
    wrong = [
        Mention(block.page, block.line, f"{block.language} {block.marker}".strip())
        for block in all_blocks()
        if block.marker not in MARKERS
        or not block.language
        or (block.language == "json" and block.marker not in ("answer", "shape", "save"))
        or (block.language == "sh" and re.search(r"^\s*curl ", block.text, re.MULTILINE) and not block.marker)
    ]
    assert not wrong, f"mark with one of tests/docs/pages.py:\n{listed(wrong)}"


# Commands


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    wrong = [one for one in mentions(r"\bmake ([a-z][a-z-]*)", in_code=True) if one.text not in targets]
    assert not wrong, f"no such target:\n{listed(wrong)}"
    assert targets <= {one.text for one in mentions(r"\bmake ([a-z][a-z-]*)", in_code=True)}


def test_every_rata_command_and_its_options_exist() -> None:
    named = mentions(r"(?:^|[\s/(])(rata(?! rata)(?: [^\n`#|>;&)]+)?)", in_code=True)
    checked = [(one, _wrong_command(shlex.split(one.text.replace("\\", " "))[1:])) for one in named]
    wrong = [Mention(one.page, one.line, error) for one, error in checked if error]
    assert not wrong, f"no such command:\n{listed(wrong)}"


def _wrong_command(words: list[str]) -> str | None:
    command: Any = cli
    for word in words:
        commands = getattr(command, "commands", None)
        if commands is None or word.startswith("-"):
            continue
        if word not in commands:
            return f"rata … {word}"
        command = commands[word]
    known = {name for parameter in command.params for name in parameter.opts} | {"--help"}
    if command.name in ("pull", "follow"):  # the client reads their arguments
        known |= set(re.findall(r"--[a-z-]+", run_command(command.name, "--help").stdout))
    unknown = [word for word in words if word.startswith("--") and word.partition("=")[0] not in known]
    return f"rata {command.name} {unknown[0]}" if unknown else None


def test_readme_begins_with_the_two_commands() -> None:
    beginning = (ROOT / "README.md").read_text().splitlines()[:24]
    assert any(line.startswith("make demo") for line in beginning)
    assert any(line.startswith("make test") for line in beginning)


# Settings


def test_table_of_settings_is_current() -> None:
    page = settings_table.PAGE.read_text()
    assert page == settings_table.write_table(page), "run: make openapi"


def test_every_setting_has_a_description() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


# Codes


def test_every_problem_stands_with_its_status_in_the_table() -> None:
    page = (DOCS / "integrating.md").read_text()
    shown = {
        (code, int(status))
        for status, codes in re.findall(r"^\| (\d{3}) \| ([^|]+) \|", page, re.MULTILINE)
        for code in re.findall(r"`(\w+)`", codes)
    }
    known = {(code, problem.status) for code, problem in Problem.known.items()}
    assert shown == known, "docs/integrating.md, table of codes"


def test_every_finding_stands_in_the_table() -> None:
    page = (DOCS / "plans.md").read_text()
    shown = re.findall(r"^\| `([EW]\d\d)` \|", page, re.MULTILINE)
    assert shown == sorted(FindingKind.known)


def test_every_code_of_an_answer_exists() -> None:
    """Codes in JSON of the pages: `"code": "unknown_reference"`."""
    named = mentions(r'"code": "([a-z_]+)"')
    wrong = [one for one in named if one.text not in Problem.known and one.text not in Kind.known]
    assert not wrong, f"no such code:\n{listed(wrong)}"


# Decisions


def test_every_dependency_has_its_reason() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project, groups = declared["project"], declared["dependency-groups"]
    lists = [project["dependencies"], *project["optional-dependencies"].values(), *groups.values()]
    asked = {Requirement(one).name for many in lists for one in many} - {project["name"]}
    asked |= json.loads((ROOT / "package.json").read_text())["devDependencies"].keys()
    page = DECISIONS / "0002-dependencies.md"
    shown = set(re.findall(r"^\| `([@a-z0-9/-]+)(?:\[\w+\])?`", page.read_text(), re.MULTILINE))
    assert shown == asked, f"{name_of(page)}, tables of dependencies"


# Files and links


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_resolves(page: Path) -> None:
    wrong = []
    for one in mentions(r"\]\(([^)\s]+)\)", page):
        if re.match(r"https?://", one.text):
            continue
        file, _, anchor = one.text.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            wrong.append(one)
    assert not wrong, f"no such place:\n{listed(wrong)}"


def _anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_every_file_named_exists() -> None:
    named = mentions(r"`((?:app|tests|migrations|requirements|docs|benchmarks|openapi|deploy)/[\w./-]*)`")
    wrong = [one for one in named if not (ROOT / one.text).exists()]
    assert not wrong, f"no such file:\n{listed(wrong)}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_page_stays_short(page: Path) -> None:
    assert len(page.read_text().splitlines()) <= LONGEST_PAGE


def test_changelog_begins_with_this_version() -> None:
    (latest, *_) = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert latest == VERSION


def test_compose_names_only_settings() -> None:
    """A variable of the image that the service does not read would be silently without effect."""
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    set_there = {name for one in ("rata", "migrate") for name in services[one]["environment"]}
    set_there |= set(re.findall(r"\b(RATA_\w+)=", (ROOT / "Dockerfile").read_text()))
    assert set_there <= {f"RATA_{name.upper()}" for name in Settings.model_fields}
