"""`make demo`: a real regency's plan, served on this machine within a minute."""

import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType

from rich.console import Console

from app.access.models import Role, TokenScope
from app.access.queries import actor_of
from app.access.rules import CONSOLE, Grant
from app.access.tokens import create_token
from app.exchange.commands import import_matrix
from app.exchange.models import Acceptance, Basis, ImportQuery
from app.exchange.queries import read_file
from app.kit.db import Database
from app.opening import console_author, open_database
from app.plans.commands import put_plan
from app.plans.models import PlanIn
from app.plans.queries import is_plan
from app.serving import run
from app.settings import Settings
from app.setup import load_shipped_reference, upgrade_schema

SAMPLES = Path(__file__).parent / "exchange" / "samples"
PLAN = "63.02-2025"
FILES: tuple[tuple[str, Basis | None], ...] = (
    ("kotabaru_2025_rat.xlsx", None),
    ("kotabaru_2025_semester_2.xlsx", "period"),
)


def run_demo(settings: Settings, out: Console) -> None:
    """Prepare the database (again: nothing to do), print how to try it, and serve until stopped."""
    if _is_taken(settings):
        out.print(
            f"[red]{settings.host}:{settings.port} is taken.[/] Choose another: RATA_PORT=8001 make demo"
        )
        sys.exit(1)
    with _interrupts() as interrupts:
        database = open_database(settings)
        upgrade_schema(database)
        load_shipped_reference(database, out)
        with out.status("Importing the plan of Kabupaten Kotabaru …"):
            load_sample(database)
        token = demo_token(database, Path(settings.demo_token_file))
        database.close()
    if interrupts:
        raise KeyboardInterrupt
    _greet(settings, token, out)
    run(settings)


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Every Ctrl-C in it, also one that met Python inside a destructor, where what is raised is dropped."""
    met: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        met.append(number)
        signal.default_int_handler(number, frame)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield met
    finally:
        signal.signal(signal.SIGINT, before)


def load_sample(database: Database) -> None:
    """Kotabaru's plan of 2025 and its realisation by half-years, as the regency published them.

    All in one transaction, and not at all where the plan is there: somebody may have worked on it since.
    """
    with database.writing() as session:
        if is_plan(session, PLAN):
            return
        content = PlanIn(title="RAT Penanggulangan Kemiskinan Kabupaten Kotabaru 2025")
        put_plan(session, console_author(), CONSOLE, PLAN, content, lambda version: None)
        for name, basis in FILES:
            query = ImportQuery(basis=basis, accept=[Acceptance.free_text], new_agencies="create")
            read = read_file(session, (SAMPLES / name).read_bytes(), name)
            import_matrix(session, console_author(), CONSOLE, PLAN, read, query)


def demo_token(database: Database, file: Path) -> str:
    """The secret kept beside the database where it is still valid, else a new one."""
    now = datetime.now(UTC)
    if file.exists():
        secret = file.read_text().strip()
        with database.read_session() as session:
            if actor_of(session, secret, now=now, client=None) is not None:
                return secret
    with database.writing() as session:
        secret = create_token(
            session,
            console_author(),
            name=f"demo-{now:%Y%m%d%H%M%S}",
            principal="demo",
            grants=[Grant(Role.administrator, "0", None)],
            scopes=list(TokenScope),
            expires_at=now + timedelta(days=30),
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


def _greet(settings: Settings, token: str, out: Console) -> None:
    base = f"http://{settings.host}:{settings.port}"
    curl = f"curl -s -H 'Authorization: Bearer {token}'"
    out.print(
        f"\n[bold]Rata[/]  {base}   documentation: {base}/docs\nToken  {token}\n\nTry:", highlight=False
    )
    for line in (
        f"{curl} '{base}/v1/plans/{PLAN}/summary?period=2025-S1'",
        f"{curl} '{base}/v1/plans/{PLAN}/actions?strategy=raise_income&sort=-allocation&limit=3'",
        f"{curl} -o rat.xlsx '{base}/v1/plans/{PLAN}/matrix.xlsx?period=2025'",
    ):
        out.print(f"  {line}", highlight=False, soft_wrap=True)
    out.print("\nStop with Ctrl-C.\n")
