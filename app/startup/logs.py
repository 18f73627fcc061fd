"""Structured log lines on standard error: JSON for machines, coloured words for a terminal."""

import logging
import sys

import structlog


def configure_logs(form: str) -> None:
    """`form`: `json` or `console`. The server's own lines pass through the same renderer."""
    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer() if form == "console" else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, renderer],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(_is_no_offer)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = name != "uvicorn.access"  # RequestLog writes these, with the id


def log_to_stderr() -> None:
    """Keep what a command logs off standard output, which is for its result."""
    structlog.configure(logger_factory=lambda *_: structlog.WriteLogger(sys.stderr))


def _is_no_offer(record: logging.LogRecord) -> bool:
    """Leave out what the server writes of each offer to upgrade: the offer changes nothing, so there is no warning."""
    return not record.getMessage().startswith(("Unsupported upgrade", "No supported WebSocket"))
