"""The rules of the house, held over the syntax tree. Each says why it is there and what to do instead.

Which area may import which is held by import-linter; style, layout and types by their own tools.
"""

import ast
import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from app.access.actor import get_caller
from app.kit.openapi.document import COMMITTED
from app.kit.problems import Kind, Problem
from app.main import create_app
from app.settings import Settings
from tests.areas import AREAS
from tests.contract.operations import operations

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "app").rglob("*.py"))
TREES: dict[Path, ast.Module] = {}
"""File → what it says, while the tests of this module run: they hold a hundred megabytes."""


@pytest.fixture(scope="module", autouse=True)
def _trees() -> Iterator[None]:
    TREES.update({file: ast.parse(file.read_text(), str(file)) for file in FILES})
    yield
    TREES.clear()
    nodes_of.cache_clear()


@cache
def nodes_of(tree: ast.AST) -> list[ast.AST]:
    """Return all nodes of a tree; most rules look through them."""
    return list(ast.walk(tree))


PROMISED = {"__init__", "models", "rules", "queries", "commands", "routes"}
#: Files with another name, each a noun of its own beside the promised five.
NAMED_BY_NOUN = {
    "access/actor",
    "access/issuer",
    "access/tokens",
    "changes/history",
    "changes/webhooks/sending",
    "changes/webhooks/worker",
    "convergence/indicators/files/cells",
    "convergence/indicators/files/columns",
    "convergence/indicators/files/headings",
    "convergence/indicators/files/regions",
    "convergence/scorecards/cache",
    "convergence/villages/figures",
    "exchange/matrix/amounts",
    "exchange/matrix/cells",
    "exchange/matrix/codes",
    "exchange/matrix/headers",
    "exchange/matrix/rows",
    "exchange/matrix/words",
    "exchange/matrix/writing",
    "exchange/pulls/writing",
    "plans/actions/examples",
    "plans/amendments/adoption",
    "plans/findings/kinds",
    "plans/findings/thresholds",
    "plans/tags",
    "reference/places/regencies",
    "reports/catalogue",
    "reports/definition",
    "reports/writing",
}
#: What differs between the engines.
NAMES_ENGINES = {
    "kit/database/breaker",
    "kit/database/engine",
    "kit/database/json_sql",
    "kit/database/upsert",
    "settings",
    "extras",
}
#: Endpoints that take no session, and no thread, since they answer when all threads wait for the database.
WITHOUT_SESSION = {"read_health", "read_ready"}
PERSONAL = re.compile(
    r"(^|_)(nik|no_kk|ktp|npwp|nama_penerima|beneficiary_name|recipient_name|birth|birthday|tanggal_lahir|"
    r"phone|telepon|email|mother|ibu_kandung)($|_)"
)


def name_of(file: Path) -> str:
    return file.relative_to(ROOT / "app").with_suffix("").as_posix()


def is_routes(file: Path) -> bool:
    """Return whether a file holds endpoints: `routes.py`, or a module of a package of that name."""
    return file.stem != "__init__" and "routes" in (file.stem, file.parent.name)


def is_routes_module(module: str) -> bool:
    return "routes" in module.split(".")


def named(*endings: str) -> list[Path]:
    found = [file for file in FILES if file.stem in endings or ("routes" in endings and is_routes(file))]
    assert found
    return found


def reports() -> list[Path]:
    """The files that declare a report: each is one whole, row, SELECT and what may be asked."""
    return [file for file in FILES if name_of(file).startswith("reports/") and declares_report(TREES[file])]


def declares_report(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.Assign)
        and ast.unparse(node.targets[0]) == "REPORT"
        and "ReportDefinition" in dict(calls(node))
        for node in tree.body
    )


def imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(module, name) of everything that a file imports to run; what only types need is not there."""
    hidden = {
        inner
        for node in nodes_of(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in nodes_of(tree):
        if node in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)


def calls(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """(last name of what is called, line)."""
    for node in nodes_of(tree):
        if isinstance(node, ast.Call):
            called = node.func
            yield (
                (called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")),
                node.lineno,
            )


def complain(found: list[str], why: str) -> None:
    if found:
        pytest.fail("\n".join([why, *found]), pytrace=False)


def test_nobody_commits() -> None:
    complain(
        [
            f"{name_of(f)}:{line}"
            for f in FILES
            for called, line in calls(TREES[f])
            if called == "commit" and name_of(f) != "kit/database/engine"
        ],
        "A request is one transaction, ended by its route before the reply leaves; a commit in between would be kept "
        "though the rest fails. Outside of requests: `with database.writing() as session`.",
    )


def test_areas_have_the_promised_files() -> None:
    found = []
    for file in FILES:
        area, _, rest = name_of(file).partition("/")
        if file in reports():
            continue
        if (
            area in AREAS
            and not rest.startswith("matrix/")
            and file.stem not in PROMISED
            and not is_routes(file)
        ):
            found += [name_of(file)] if name_of(file) not in NAMED_BY_NOUN else []
    complain(
        found,
        "A file's name says what is not in it, so a newcomer guesses the file. Put it into models, rules, queries, "
        "commands or routes; if it is a noun of its own, name it in NAMED_BY_NOUN. A file of reports declares REPORT.",
    )
    gone = [name for name in NAMED_BY_NOUN if not (ROOT / "app" / f"{name}.py").exists()]
    complain(gone, "These are not there any more: take them out of NAMED_BY_NOUN.")


def test_areas_hook_into_each_other_in_one_file() -> None:
    """Importing a module registers nothing: `app/wiring.py` alone fills the hooks, which are lists in capitals."""
    found = [
        f"{name_of(file)}:{node.lineno}"
        for file in FILES
        for node in TREES[file].body
        if (isinstance(node, ast.AugAssign) and ast.unparse(node.target).isupper())
        or (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Call)
            and (called := ast.unparse(node.value.func)).endswith(".append")
            and called[:-7].isupper()
        )
    ]
    complain(found, "Put what hooks into another area into app/wiring.py.")


def test_rules_are_pure() -> None:
    complain(
        [
            f"{name_of(f)} imports {module}.{name}"
            for f in named("rules")
            for module, name in imports(TREES[f])
            if module.partition(".")[0] in ("sqlalchemy", "sqlmodel", "fastapi", "starlette")
            or module in ("app.kit.database.engine", "app.kit.http.routing")
            or name == "Session"
            or (module.startswith("app.") and module.rpartition(".")[2] in ("queries", "commands"))
            or is_routes_module(module)
        ],
        "A rule is a function of plain values: anybody can try it without a database. Let the command fetch and pass.",
    )


def test_queries_never_write() -> None:
    writes = {"insert", "update", "delete", "upsert", "add", "add_all", "merge", "flush", "record", "hold"}
    found = []
    for file in [*named("queries", "summaries", "figures"), *reports()]:
        for node in nodes_of(TREES[file]):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = ast.unparse(node.func.value)
                if node.func.attr in writes and owner in ("sa", "session", "table", "call.session"):
                    found.append(f"{name_of(file)}:{node.lineno} {owner}.{node.func.attr}")
        found += [f"{name_of(file)} imports {name}" for _, name in imports(TREES[file]) if name in writes]
    complain(found, "Whoever calls a query relies on nothing being changed. Write in commands.")


def test_routes_select_nothing() -> None:
    sql = {"select", "execute", "scalar", "scalars", "get_one", "exec"}
    complain(
        [
            f"{name_of(f)}:{line} {called}"
            for f in named("routes")
            for called, line in calls(TREES[f])
            if called in sql
        ],
        "Every SELECT stands in queries, where it starts from what the caller may see; a route can forget to.",
    )


def test_routes_import_no_routes() -> None:
    complain(
        [
            f"{name_of(f)} imports {module}.{name}"
            for f in named("routes")
            for module, name in imports(TREES[f])
            if is_routes_module(module) or name == "routes"
        ],
        "Only app/main.py collects routers. What two routes share goes below both: a tag, a page, a reply of its own.",
    )


def test_reports_know_no_http() -> None:
    complain(
        [
            f"{name_of(f)} imports {module}.{name}"
            for f in reports()
            for module, name in imports(TREES[f])
            if module.partition(".")[0] in ("fastapi", "starlette")
            or module == "app.kit.http.routing"
            or module.rpartition(".")[2] == "commands"
            or is_routes_module(module)
        ],
        "A report says its rows; pages, CSV, tags and addresses are made of that in reports/frame and reports/routes.",
    )


def handlers(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """(method, function) of a module's endpoints."""
    for node in nodes_of(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for decorator in node.decorator_list:
                method = getattr(getattr(decorator, "func", None), "attr", "")
                if method in ("get", "put", "post", "patch", "delete"):
                    yield method, node


def test_reads_call_no_commands() -> None:
    found = []
    for file in named("routes"):
        from_commands = {
            name
            for module, name in imports(TREES[file])
            if module.endswith(".commands") and name[0].islower()
        }
        for method, function in handlers(TREES[file]):
            if method != "get":
                continue
            for node in ast.walk(function):
                is_command = isinstance(node, ast.Name) and node.id in from_commands
                if is_command or (isinstance(node, ast.Attribute) and ast.unparse(node.value) == "commands"):
                    found.append(f"{name_of(file)}:{node.lineno} {ast.unparse(node)}")
    complain(
        found,
        "A GET changes nothing: it goes from its route to queries. What both need goes into queries or rules.",
    )


def test_endpoints_are_plain_functions() -> None:
    complain(
        [
            f"{name_of(f)}:{function.lineno} {function.name}"
            for f in FILES
            for _, function in handlers(TREES[f])
            if isinstance(function, ast.AsyncFunctionDef) and function.name not in WITHOUT_SESSION
        ],
        "Sessions are synchronous: an `async def` endpoint would block every other request. Write `def`.",
    )


def test_every_operation_has_one_name_of_its_own() -> None:
    names = [function.name for f in FILES for _, function in handlers(TREES[f])]
    complain(
        sorted({name for name in names if names.count(name) > 1 or name.endswith("_")}),
        "The function's name is the operation's id, by which generated clients call it: used once, and readable.",
    )


def test_every_route_below_v1_asks_who_calls() -> None:
    application = create_app(Settings(_env_file=None, database_url="sqlite://"))
    known = {one.id for one in operations(json.loads(COMMITTED.read_bytes())) if one.is_v1}
    routes = [route for route in application.routes if isinstance(route, APIRoute)]
    asking = {route.name for route in routes if get_caller in asked_for(route.dependant)}
    assert known & asking
    complain(sorted(known - asking), "Take `call: Caller`; without it nobody asks for a token.")


def asked_for(dependant: Dependant) -> Iterator[Any]:
    """Everything that is called before an endpoint is."""
    for inner in dependant.dependencies:
        yield inner.call
        yield from asked_for(inner)


def test_only_the_kit_names_an_engine() -> None:
    names = re.compile(r"\b(sqlite|postgres|postgresql|psycopg)\b", re.IGNORECASE)
    found = []
    for file in FILES:
        # copies and files of the client are databases of its own, opened without the kit
        if name_of(file) in NAMES_ENGINES or name_of(file).startswith("client/"):
            continue
        said = {id(node.value) for node in nodes_of(TREES[file]) if isinstance(node, ast.Expr)}
        texts = [
            node for node in nodes_of(TREES[file]) if isinstance(node, ast.Constant) and id(node) not in said
        ]
        found += [f"{name_of(file)}:{text.lineno}" for text in texts if names.search(str(text.value))]
        found += [
            f"{name_of(file)} imports {module}" for module, _ in imports(TREES[file]) if names.search(module)
        ]
    complain(
        found,
        "What differs between the engines is in kit/database: nothing else must be tried twice.",
    )


def test_files_can_be_read_in_one_go() -> None:
    files = [*FILES, *sorted((ROOT / "tests").rglob("*.py"))]
    complain(
        [
            f"{file.relative_to(ROOT)}: {lines}"
            for file in files
            if (lines := len(file.read_text().splitlines())) > 600
        ],
        "More than 600 lines are two nouns: split by noun, with the same five names.",
    )


def test_no_personal_data() -> None:
    fields = [
        (file, node.lineno, ast.unparse(node.target))
        for file in FILES
        for node in nodes_of(TREES[file])
        if isinstance(node, ast.AnnAssign)
    ]
    found = [f"{name_of(file)}:{line} {field}" for file, line, field in fields if PERSONAL.search(field)]
    complain(
        found,
        "Counts only, officials by position: no NIK, no names of beneficiaries are ever stored (UU 27/2022).",
    )


def test_nothing_is_printed() -> None:
    complain(
        [
            f"{name_of(f)}:{node.lineno}"
            for f in FILES
            for node in nodes_of(TREES[f])
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
        ],
        "Log with structlog, or let the command line say it.",
    )


def test_codes_are_words_in_both_languages() -> None:
    for code, (id, en) in {
        **{code: kind.text for code, kind in Kind.known.items()},
        **{code: problem.title for code, problem in Problem.known.items()},
        **{f"{code}.": problem.detail for code, problem in Problem.known.items()},
    }.items():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*\.?", code), f"{code} is no snake_case word"
        assert id.strip()
        assert en.strip()
        placeholders = [set(re.findall(r"\{(\w+)\}", text)) for text in (id, en)]
        assert placeholders[0] == placeholders[1], f"{code}: the two languages say different values"


def test_these_rules_can_be_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each rule finds what it is for: a file that breaks them all."""
    source = (
        "from fastapi import Query\nimport psycopg\nfrom app.agencies.routes import router\n\nnik: str = ''\n\n"
        "@router.get('/x')\nasync def read_(call):\n    print(commands.put_x())\n    session.commit()\n"
        "    sa.insert(x)\n    session.execute('SELECT 1')\n"
    )
    names = ("plans/core/rules", "plans/core/queries", "plans/routes/plans")
    broken = {ROOT / "app" / f"{name}.py": ast.parse(source) for name in names}
    broken[ROOT / "app" / "reports" / "absorption.py"] = ast.parse(source + "REPORT = ReportDefinition()\n")
    monkeypatch.setattr(sys.modules[__name__], "TREES", broken)
    monkeypatch.setattr(sys.modules[__name__], "FILES", list(broken))
    for rule in (
        test_nobody_commits,
        test_rules_are_pure,
        test_queries_never_write,
        test_routes_select_nothing,
        test_routes_import_no_routes,
        test_reports_know_no_http,
        test_reads_call_no_commands,
        test_endpoints_are_plain_functions,
        test_every_operation_has_one_name_of_its_own,
        test_only_the_kit_names_an_engine,
        test_no_personal_data,
        test_nothing_is_printed,
    ):
        with pytest.raises(pytest.fail.Exception):
            rule()
