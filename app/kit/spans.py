"""Spans of the steps of a request, which only a trace records."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import context
from opentelemetry.trace import INVALID_SPAN, Span, StatusCode, Tracer

TRACER = context.create_key("rata.tracer")
"""Key of the tracer in the context of a traced request."""


@contextmanager
def open_span(name: str, tracer: Tracer | None = None) -> Iterator[Span]:
    """Run the block in a span of `tracer` or of the current trace; without either it costs next to nothing."""
    current = tracer or context.get_value(TRACER)
    if not isinstance(current, Tracer):
        yield INVALID_SPAN
        return
    # an exception's message is free text, so the span gets its type alone
    with current.start_as_current_span(name, record_exception=False, set_status_on_exception=False) as span:
        try:
            yield span
        except Exception as error:
            mark_failed(span, error)
            raise


def mark_failed(span: Span, error: BaseException) -> None:
    """Mark a span as failed, with the type of the error."""
    span.set_attribute("error.type", type(error).__name__)
    span.set_status(StatusCode.ERROR)
