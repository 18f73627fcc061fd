"""Commands that run the service: server, delivery of webhooks, OpenAPI document, demo."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import structlog
import typer
from opentelemetry.trace import Tracer

from app.changes.webhooks.commands import reseal_secrets
from app.changes.webhooks.rules import create_sealer
from app.changes.webhooks.sending import Sender
from app.changes.webhooks.worker import Worker
from app.client.shapes import SHAPES
from app.client.version import VERSION
from app.console.frame import CommandRefused, out, use_database
from app.exchange.pulls.models import make_client_schema
from app.kit.database.engine import Database
from app.kit.openapi.document import COMMITTED, render_document
from app.main import create_app
from app.settings import Settings
from app.startup.configuration import load_settings
from app.startup.database import check_schema, find_sources, open_database, read_timeouts
from app.startup.demo import run_demo
from app.startup.logs import configure_logs
from app.startup.serving import check_startable, run

cli = typer.Typer()
log = structlog.get_logger("rata")


@cli.command()
def serve() -> None:
    """Serve on RATA_HOST:RATA_PORT with RATA_WORKERS processes; stops gracefully on SIGTERM."""
    settings = load_settings()
    database = open_database(settings)
    check_startable(settings, database)
    database.close()
    run(settings)


@cli.command()
def deliver(
    once: Annotated[
        bool, typer.Option("--once", help="Send the deliveries that are due, then exit: for cron.")
    ] = False,
) -> None:
    """Deliver changes to webhooks until SIGTERM or Ctrl-C. Several processes may run."""
    settings = load_settings()
    configure_logs(settings.log_format)
    sender = Sender(allow_loopback=settings.webhooks_allow_loopback)
    database = open_database(settings, read_timeouts(settings))
    database.log_refusals()
    log.info("starting", **find_sources(database))
    check_schema(database)
    with trace_command(settings, database) as tracer:
        worker = Worker(database, create_sealer(settings), sender, tracer=tracer)
        if once:
            out.print(f"{worker.send_all_due()} attempts.", highlight=False)
            return
        stopped = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopped.set())
        worker.run(stopped)


@contextmanager
def trace_command(settings: Settings, database: Database) -> Iterator[Tracer | None]:
    """Yield the tracer of a command and send its spans at the end of the block; None without RATA_TRACES."""
    if not settings.traces:
        yield None
        return
    from app.kit.server.tracing import SpanSender

    traces = SpanSender(VERSION)
    traces.watch(database)
    try:
        yield traces.tracer
    finally:
        traces.close()


@cli.command()
def reseal() -> None:
    """Encrypt the secrets of webhooks by the first key of RATA_SECRETS_KEY, so that you can remove the others."""
    with use_database().writing() as session:
        done, lost = reseal_secrets(session, create_sealer(load_settings()))
    out.print(f"{done} secrets encrypted by the first key.", highlight=False)
    if lost:
        raise CommandRefused(f"No key decrypts the secrets of {', '.join(lost)}. Create new ones.")


@cli.command()
def openapi(
    write: Annotated[
        bool,
        typer.Option(
            "--write", help="Write openapi/rata.v1.json and the client's shapes instead of printing."
        ),
    ] = False,
) -> None:
    """Print the OpenAPI document of this version."""
    root = COMMITTED.parents[1]
    if write and not (root / "pyproject.toml").exists():
        raise CommandRefused("Only a checkout has these files. Run the command of its .venv.")
    document = render_document(create_app(load_settings()))
    if write:
        for file, content in ((COMMITTED, document), (SHAPES, make_client_schema())):
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(content)
            out.print(f"Wrote {file.relative_to(root)}.")
    else:
        sys.stdout.buffer.write(document)


@cli.command()
def demo() -> None:
    """Set up a database with a real regency's plan and serve it, ready to try."""
    run_demo(load_settings(), out)
