"""Running the server: one place for uvicorn's settings."""

import signal
import sys
from typing import Any

import uvicorn

from app.kit.layers import HEAD_BYTES
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
    """Return uvicorn's settings, all of them public; its environment decides none of them.

    The protocol is h11: the other one, httptools, loses the body of a request that offers `Upgrade: h2c`.
    Memory per connection is bounded; time and the number of connections are bounded by the proxy in front.
    """
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
        "http": "h11",
        # twice the bound of `BoundsHead`, which refuses in the one shape; beyond this h11 itself refuses
        "h11_max_incomplete_event_size": 2 * HEAD_BYTES,
        "ws": "none",
    }


def application() -> object:
    """The application of a worker process, logging as the settings say."""
    from app.main import create_app

    settings = Settings()
    configure_logs(settings.log_format)
    leave_first(settings.leave_seconds)
    return create_app(settings)
