"""Work that stands in a trace where one is recorded, and is told of nowhere else."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import context
from opentelemetry.trace import INVALID_SPAN, Span, StatusCode, Tracer

TRACER = context.create_key("rata.tracer")
"""Where the context of a traced request has its tracer."""


@contextmanager
def step(name: str, tracer: Tracer | None = None) -> Iterator[Span]:
    """A span of the trace under way, or of that tracer; without either it costs next to nothing."""
    found = tracer or context.get_value(TRACER)
    if not isinstance(found, Tracer):
        yield INVALID_SPAN
        return
    # what an exception says is free text: its kind alone is told
    with found.start_as_current_span(name, record_exception=False, set_status_on_exception=False) as span:
        try:
            yield span
        except Exception as error:
            failed(span, error)
            raise


def failed(span: Span, error: BaseException) -> None:
    span.set_attribute("error.type", type(error).__name__)
    span.set_status(StatusCode.ERROR)
