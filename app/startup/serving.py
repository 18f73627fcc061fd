"""The server: checks before its start, and the options of uvicorn."""

import errno
import signal
import socket
import sys
from typing import Any

import structlog
import uvicorn

from app.kit.database.engine import Database
from app.kit.server.middleware import HEAD_BYTES
from app.settings import Settings, split_words
from app.startup.configuration import CannotStart
from app.startup.database import (
    check_authorities,
    check_export_cache,
    check_schema,
    find_sources,
    make_export_cache,
)
from app.startup.logs import configure_logs

log = structlog.get_logger("rata")


def check_startable(settings: Settings, database: Database) -> None:
    """Log the database and the settings file. Raises CannotStart for any condition that would end a worker early.

    Each worker checks its database again, but would report a refusal in the middle of a traceback.
    """
    configure_logs(settings.log_format)
    log.info("starting", **find_sources(database))
    check_schema(database)
    check_export_cache(make_export_cache(settings))
    check_authorities()
    check_port(settings.host, settings.port, "RATA_PORT")
    if settings.metrics == "port":
        check_port(settings.host, settings.metrics_port, "RATA_METRICS_PORT")


def check_port(host: str, port: int, setting: str) -> None:
    """Raise CannotStart if this process cannot listen on a port; `setting` is the variable that names it."""
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        addresses = []
    failures = [failure for family, _, _, _, address in addresses if (failure := _listen(family, address))]
    if errno.EADDRINUSE in failures:
        raise CannotStart(f"{host}:{port} is taken by another program; choose another port in {setting}.")
    if errno.EACCES in failures:
        raise CannotStart(f"Port {port} needs rights of root; choose one from 1024 in {setting}.")
    # a host name may also have an address of a protocol that this machine lacks
    if len(failures) == len(addresses):
        raise CannotStart(f"RATA_HOST is {host!r}, which is not an address of this machine.")


def _listen(family: int, address: tuple[object, ...]) -> int | None:
    """Listen at an address for a moment, as uvicorn does. Return the errno of a failure, None if it works."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)
            probe.listen()
    except OSError as error:
        return error.errno
    return None


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, and finish the requests under way."""
    # uvicorn stops gracefully and then raises the signal again: exit with 0, since a requested stop is no failure
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: sys.exit(0))
    configure_logs(settings.log_format)
    uvicorn.run("app.main:make_worker", factory=True, workers=settings.workers, **build_options(settings))


def build_options(settings: Settings) -> dict[str, Any]:
    """Return the options of uvicorn, which its environment variables do not change.

    The protocol is h11: the other one, httptools, loses the body of a request that offers `Upgrade: h2c`.
    The options bound the memory per connection; the proxy in front bounds time and the number of connections.
    """
    return {
        "host": settings.host,
        "port": settings.port,
        "proxy_headers": True,
        "forwarded_allow_ips": split_words(settings.trusted_proxies),
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "timeout_graceful_shutdown": 30,
        "timeout_keep_alive": 30,
        "http": "h11",
        # twice the bound of `HeadBounds`, which answers with a problem; beyond this h11 refuses as plain text
        "h11_max_incomplete_event_size": 2 * HEAD_BYTES,
        "ws": "none",
    }
