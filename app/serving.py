"""Running the server: one place for uvicorn's settings."""

import signal
import sys
from functools import partial
from typing import Any

import uvicorn

from app.kit.connections import Connection
from app.kit.leaving import leave_first
from app.logs import configure_logs
from app.settings import Settings, words


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are finished first."""
    # uvicorn stops gracefully and then raises the signal again: asked to stop and stopped is no failure.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    configure_logs(settings.log_format)
    uvicorn.run("app.serving:application", factory=True, workers=settings.workers, **options(settings))


def options(settings: Settings) -> dict[str, Any]:
    """How uvicorn serves; whose word it takes for where a request comes from is ours to say, not its environment's."""
    return {
        "host": settings.host,
        "port": settings.port,
        "proxy_headers": True,
        "forwarded_allow_ips": words(settings.trusted_proxies),
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "timeout_graceful_shutdown": 30,
        "timeout_keep_alive": 30,
        "http": partial(Connection, seconds=settings.stall_seconds, most=settings.connections),
        "ws": "none",
    }


def application() -> object:
    """The application of a worker process, logging as the settings say."""
    from app.main import create_app

    settings = Settings()
    configure_logs(settings.log_format)
    leave_first(settings.leave_seconds)
    return create_app(settings)
