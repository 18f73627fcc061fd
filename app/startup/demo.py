"""`make demo`: serves a real regency's plan on this machine within a minute.

The demo keeps all its files in one folder, with a database of its own, and opens no other database.
"""

import os
import shlex
import shutil
import socket
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from rich.console import Console

from app.access.models import Role, TokenIn, TokenScope
from app.access.queries import find_token_bearer
from app.access.rules import Grant
from app.access.tokens import create_token
from app.exchange.matrix.imports.commands import import_matrix
from app.exchange.matrix.imports.models import Acceptance, ImportQuery
from app.exchange.matrix.imports.queries import read_file
from app.exchange.matrix.models import Basis
from app.kit.database.engine import Database, make_file_address
from app.plans.core.commands import put_plan
from app.plans.core.models import PlanIn
from app.plans.core.queries import is_plan
from app.settings import Settings
from app.startup.bootstrap import load_shipped_reference, upgrade_schema
from app.startup.database import begin_console_write, open_database
from app.startup.serving import run

SAMPLES = Path(__file__).parents[1] / "exchange" / "matrix" / "samples"
PLAN = "63.02-2025"
DATABASE, TOKEN, SPOOL = "demo.db", "demo.token", "demo.spool"
OWN = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", TOKEN, SPOOL)
"""Files and folders of the demo in its folder."""
EXAMPLES = "examples"
"""Folder, in that folder, for the files that the examples of the documentation write."""
FILES: tuple[tuple[str, Basis | None], ...] = (
    ("kotabaru_2025_rat.xlsx", None),
    ("kotabaru_2025_semester_2.xlsx", "period"),
)


def run_demo(settings: Settings, out: Console) -> None:
    """Prepare the database unless it is ready, print commands to try, and serve until SIGTERM or Ctrl-C."""
    folder = Path(settings.demo_folder).absolute()
    refusal = _find_refusal(settings, folder)
    if refusal is not None:
        out.print(refusal, style="red", highlight=False, soft_wrap=True, markup=False)
        sys.exit(1)
    own = make_own_settings(settings, folder)
    out.print(_describe_set_up(settings, own, folder), highlight=False, soft_wrap=True, markup=False)
    errors = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    database = open_database(own, creates=True, report=errors.print, setting="RATA_DEMO_FOLDER")
    upgrade_schema(database)
    load_shipped_reference(database, out)
    with out.status("Importing the plan of Kabupaten Kotabaru …"):
        load_sample(database)
    token = load_demo_token(database, folder / TOKEN)
    database.close()
    _greet(own, folder, token, out)
    # each worker reads the settings itself; even an empty variable overrides the settings file
    for name in ("database_url", "database_read_url", "spool_folder"):
        os.environ[f"RATA_{name.upper()}"] = getattr(own, name) or ""
    run(own)


def make_own_settings(settings: Settings, folder: Path) -> Settings:
    """Return the settings with the demo's database and export cache."""
    return settings.model_copy(
        update={
            "database_url": make_file_address(folder / DATABASE),
            "database_read_url": None,
            "spool_folder": str(folder / SPOOL),
        }
    )


def _find_refusal(settings: Settings, folder: Path) -> str | None:
    if _is_taken(settings):
        return f"{settings.host}:{settings.port} is taken. Choose another: RATA_PORT=8001 {_find_command()}"
    if _is_database_named(settings, folder) and not (folder / TOKEN).exists():
        return (
            f"RATA_DATABASE_URL names {folder / DATABASE}, which is not the demo's. "
            f"Choose another folder: RATA_DEMO_FOLDER=var/demo {_find_command()}"
        )
    return None


def _find_command() -> str:
    """Return the command that starts the demo, in a checkout or in an installed package."""
    return "make demo" if (SAMPLES.parents[3] / "Makefile").exists() else "rata demo"


def _is_database_named(settings: Settings, folder: Path) -> bool:
    file, named = folder / DATABASE, Path(sa.make_url(settings.database_url).database or "")
    return file.exists() and named.exists() and file.samefile(named)


def _describe_set_up(settings: Settings, own: Settings, folder: Path) -> str:
    """Return the line that announces the set-up; it promises to leave another database of the settings alone."""
    text = f"Setting up the demo in {folder}: schema, reference data, a real plan; some ten seconds the first time …"
    if "database_url" in settings.model_fields_set and settings.database_url != own.database_url:
        named = sa.make_url(settings.database_url).render_as_string(hide_password=True)
        text += f"\nThe demo uses a database of its own and leaves {named} of RATA_DATABASE_URL alone."
    return text


def load_sample(database: Database) -> None:
    """Import Kotabaru's plan of 2025 and its realisation by half-years, as the regency published them.

    One transaction imports all. A plan that exists stays unchanged: it may have edits since.
    """
    with database.writing() as session:
        if is_plan(session, PLAN):
            return
        content = PlanIn(title="RAT Penanggulangan Kemiskinan Kabupaten Kotabaru 2025")
        write = begin_console_write(session)
        put_plan(write, PLAN, content)
        for name, basis in FILES:
            query = ImportQuery(basis=basis, accept=[Acceptance.free_text], new_agencies="create")
            read = read_file(session, (SAMPLES / name).read_bytes(), name)
            import_matrix(write, PLAN, read, query)


def load_demo_token(database: Database, file: Path) -> str:
    """Return the secret in `file` if it is still valid, else create a token and store its secret there."""
    now = datetime.now(UTC)
    if file.exists():
        secret = file.read_text().strip()
        with database.read_session() as session:
            if find_token_bearer(session, secret, now=now, client=None) is not None:
                return secret
    with database.writing() as session:
        secret = create_token(
            begin_console_write(session),
            name=f"demo-{now:%Y%m%d%H%M%S}",
            principal="demo",
            grants=[Grant(Role.administrator, "0", None)],
            content=TokenIn(scopes=list(TokenScope), expires_at=now + timedelta(days=30)),
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_text(secret)
    return secret


def _is_taken(settings: Settings) -> bool:
    try:
        socket.create_connection((settings.host, settings.port), timeout=1).close()
    except OSError:
        return False
    return True


def _greet(settings: Settings, folder: Path, token: str, out: Console) -> None:
    base = f"http://{settings.host}:{settings.port}"
    curl, table = (
        f"curl -s -H 'Authorization: Bearer {token}'",
        shlex.quote(str(folder / EXAMPLES / "rat.xlsx")),
    )
    out.print(
        f"\n[bold]Rata[/]  {base}   documentation: {base}/docs\nToken  {token}\n\nTry:", highlight=False
    )
    for line in (
        f"{curl} '{base}/v1/plans/{PLAN}/summary?period=2025-S1'",
        f"{curl} '{base}/v1/plans/{PLAN}/actions?strategy=raise_income&sort=-allocation&limit=3'",
        f"{curl} --create-dirs -o {table} '{base}/v1/plans/{PLAN}/matrix.xlsx?period=2025'",
    ):
        out.print(f"  {line}", highlight=False, soft_wrap=True, markup=False)
    out.print("\nFor the commands of `rata` and the examples of the pages, in another terminal:")
    for line in _list_exports(settings, folder, base):
        out.print(f"  export {line}", highlight=False, soft_wrap=True, markup=False)
    out.print(
        f"\nStop with Ctrl-C. All files of the demo are in one folder. To remove them: {render_way_back(folder)}\n",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )


def _list_exports(settings: Settings, folder: Path, base: str) -> list[str]:
    """Return the assignments for a second shell; one for PATH only if that lacks this `rata`."""
    lines = [
        f"RATA_DATABASE_URL={shlex.quote(settings.database_url)}",
        f'RATA_SERVER={base} RATA_TOKEN="$(cat {shlex.quote(str(folder / TOKEN))})"',
    ]
    command = Path(sys.prefix) / "bin" / "rata"
    if command.exists() and Path(shutil.which("rata") or "/").resolve() != command.resolve():
        lines.append(f"PATH={shlex.quote(str(command.parent))}:$PATH")
    return lines


def render_way_back(folder: Path) -> str:
    """Return the command that removes the demo, but no other file in its folder."""
    here = Path.cwd()
    is_below = folder != here and folder.is_relative_to(here)
    name = shlex.quote(str(folder.relative_to(here) if is_below else folder))
    is_own = all(file.name in (EXAMPLES, *OWN) for file in folder.iterdir())
    return f"rm -r {name}" if is_own else f"rm -r {name}/demo.*"
