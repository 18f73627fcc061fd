"""Structured log lines on standard error: JSON for machines, coloured words for a terminal."""

import logging
import sys

import structlog


def configure_logs(form: str) -> None:
    """Log to standard error in a format, `json` or `console`, the lines of uvicorn too."""
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
        logging.getLogger(name).propagate = (
            name != "uvicorn.access"
        )  # RequestLog has a line per request, with its id


def log_to_stderr() -> None:
    """Log to standard error: standard output is for the result of a command."""
    structlog.configure(logger_factory=lambda *_: structlog.WriteLogger(sys.stderr))


def _is_no_offer(record: logging.LogRecord) -> bool:
    """Return False for uvicorn's warnings about offers to upgrade the protocol, which change nothing."""
    return not record.getMessage().startswith(("Unsupported upgrade", "No supported WebSocket"))
