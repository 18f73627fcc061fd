"""Names in the documentation exist: addresses, commands, settings, codes, files, links."""

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
from tests.docs.pages import (
    DECISIONS,
    PAGES,
    ROOT,
    Block,
    Mention,
    blocks_of,
    find_mentions,
    list_places,
    name_of,
)

DOCS = ROOT / "docs"
EDITS = {"below", "above", "instead", "end", "file"}
MARKERS = {"set up", "run", "install", "cron", "not run", "save", "answer", "shape", *EDITS, ""}
LONGEST_PAGE = 200


@cache
def load_document() -> dict[str, Any]:
    """Return the committed document; tests/contract/test_document.py compares it with the service."""
    return json.loads(COMMITTED.read_bytes())


def all_blocks() -> list[Block]:
    return [block for page in PAGES for block in blocks_of(page)]


# Addresses


@cache
def _compile_templates() -> dict[str, re.Pattern[str]]:
    """Return path → pattern of it with each parameter filled, unfilled, or written `…`."""
    return {
        path: re.compile(re.sub(r"\\{[^}]+\\}", "[^/]+", re.escape(path)) + "$")
        for path in load_document()["paths"]
    }


def _find_operations(path: str) -> dict[str, Any]:
    """Return method → operation of an address, empty for an unknown one; the most literal template wins."""
    templates = [template for template, pattern in _compile_templates().items() if pattern.match(path)]
    operations: dict[str, Any] = (
        load_document()["paths"][min(templates, key=lambda t: t.count("{"))] if templates else {}
    )
    return operations


def test_every_address_is_in_the_openapi_document() -> None:
    named = find_mentions(r"(/v1/[\w/{}.$…-]+)") + find_mentions(
        r"[`\s](/(?:health|ready|problems/[^`\s]+))[`\s]"
    )
    wrong = [mention for mention in named if not _find_operations(_fill_path(mention.text))]
    assert not wrong, f"no such address:\n{list_places(wrong)}"


def test_every_address_answers_the_method_named_with_it() -> None:
    named = find_mentions(r"((?:GET|PUT|PATCH|POST|DELETE) /[\w/{}.$…-]+)")
    wrong = [
        mention
        for mention in named
        if mention.text.split()[0].lower() not in _find_operations(_fill_path(mention.text.split()[1]))
    ]
    assert not wrong, f"no such method:\n{list_places(wrong)}"


def test_every_query_parameter_is_known_at_its_address() -> None:
    wrong = []
    for mention in find_mentions(r"((?:(?:GET|PUT|PATCH|POST|DELETE) )?/v1/[\w/{}.$…-]+\?[\w=&.,$%{}…-]+)"):
        path, _, query = mention.text.rpartition(" ")[2].partition("?")
        operations = _find_operations(_fill_path(path)).values()
        parameters = [p for operation in operations for p in operation.get("parameters", [])]
        known = {parameter["name"] for parameter in parameters if parameter["in"] == "query"}
        if not operations:
            continue  # reported by the test above
        unknown = {pair.partition("=")[0] for pair in query.split("&")} - known - {""}
        wrong += [Mention(mention.page, mention.line, f"{path}?{name}") for name in sorted(unknown)]
    assert not wrong, f"no such parameter:\n{list_places(wrong)}"


def _fill_path(path: str) -> str:
    return path.rstrip(".").replace("…", "x")


# Bodies


@pytest.mark.parametrize(
    "block", [b for b in all_blocks() if b.marker == "shape"], ids=lambda block: block.place
)
def test_body_fits_its_schema(block: Block) -> None:
    schema = {"$ref": f"#/components/schemas/{block.argument}", "components": load_document()["components"]}
    jsonschema_rs.validate(schema, json.loads(block.text))


def test_every_block_has_a_marker() -> None:
    wrong = [
        Mention(block.page, block.line, f"{block.language} {block.marker}".strip())
        for block in all_blocks()
        if block.marker not in MARKERS
        or not block.language
        or (block.language == "json" and block.marker not in ("answer", "shape", "save"))
        or (block.language == "sh" and re.search(r"^\s*curl ", block.text, re.MULTILINE) and not block.marker)
    ]
    assert not wrong, f"mark with one of tests/docs/pages.py:\n{list_places(wrong)}"


# Commands


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    wrong = [
        mention
        for mention in find_mentions(r"\bmake ([a-z][a-z-]*)", in_code=True)
        if mention.text not in targets
    ]
    assert not wrong, f"no such target:\n{list_places(wrong)}"
    assert targets <= {mention.text for mention in find_mentions(r"\bmake ([a-z][a-z-]*)", in_code=True)}


def test_every_rata_command_and_its_options_exist() -> None:
    named = find_mentions(r"(?:^|[\s/(])(rata(?! rata)(?: [^\n`#|>;&)]+)?)", in_code=True)
    checked = [(mention, _find_error(shlex.split(mention.text.replace("\\", " "))[1:])) for mention in named]
    wrong = [Mention(mention.page, mention.line, error) for mention, error in checked if error]
    assert not wrong, f"no such command:\n{list_places(wrong)}"


def _find_error(words: list[str]) -> str | None:
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


def test_the_table_lists_every_problem_with_its_status() -> None:
    page = (DOCS / "integrating.md").read_text()
    shown = {
        (code, int(status))
        for status, codes in re.findall(r"^\| (\d{3}) \| ([^|]+) \|", page, re.MULTILINE)
        for code in re.findall(r"`(\w+)`", codes)
    }
    known = {(code, problem.status) for code, problem in Problem.known.items()}
    assert shown == known, "docs/integrating.md, table of codes"


def test_the_table_lists_every_finding() -> None:
    page = (DOCS / "findings.md").read_text()
    shown = re.findall(r"^\| `([EW]\d\d)` \|", page, re.MULTILINE)
    assert shown == sorted(FindingKind.known)


def test_every_code_of_an_answer_exists() -> None:
    """Codes in JSON of the pages: `"code": "unknown_reference"`."""
    named = find_mentions(r'"code": "([a-z_]+)"')
    wrong = [
        mention for mention in named if mention.text not in Problem.known and mention.text not in Kind.known
    ]
    assert not wrong, f"no such code:\n{list_places(wrong)}"


# Decisions


def test_every_dependency_has_its_reason() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project, groups = declared["project"], declared["dependency-groups"]
    lists = [project["dependencies"], *project["optional-dependencies"].values(), *groups.values()]
    declared = {Requirement(requirement).name for many in lists for requirement in many} - {project["name"]}
    declared |= json.loads((ROOT / "package.json").read_text())["devDependencies"].keys()
    page = DECISIONS / "0002-dependencies.md"
    shown = set(re.findall(r"^\| `([@a-z0-9/-]+)(?:\[\w+\])?`", page.read_text(), re.MULTILINE))
    assert shown == declared, f"{name_of(page)}, tables of dependencies"


# Files and links


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_resolves(page: Path) -> None:
    wrong = []
    for mention in find_mentions(r"\]\(([^)\s]+)\)", page):
        if re.match(r"https?://", mention.text):
            continue
        file, _, anchor = mention.text.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and anchor not in _find_anchors(target)):
            wrong.append(mention)
    assert not wrong, f"no such place:\n{list_places(wrong)}"


def _find_anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_every_file_named_exists() -> None:
    named = find_mentions(
        r"`((?:app|tests|migrations|requirements|docs|benchmarks|openapi|deploy)/[\w./-]*)`"
    )
    wrong = [mention for mention in named if not (ROOT / mention.text).exists()]
    assert not wrong, f"no such file:\n{list_places(wrong)}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_page_stays_short(page: Path) -> None:
    assert len(page.read_text().splitlines()) <= LONGEST_PAGE


def test_changelog_begins_with_this_version() -> None:
    (latest, *_) = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert latest == VERSION


def test_compose_names_only_settings() -> None:
    """A variable that the service does not read would have no effect, without a warning."""
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    names = {name for service in ("rata", "migrate") for name in services[service]["environment"]}
    names |= set(re.findall(r"\b(RATA_\w+)=", (ROOT / "Dockerfile").read_text()))
    assert names <= {f"RATA_{name.upper()}" for name in Settings.model_fields}
