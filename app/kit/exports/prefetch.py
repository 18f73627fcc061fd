"""Parts of something large, each fetched while the one before it is at work."""

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")


def ahead(parts: Generator[T]) -> Generator[T]:
    """The same parts in the same order, one of them ahead: a database that is asked for the next rows makes them while
    Python writes those that it has, instead of waiting for it. `parts` runs in a thread of its own, and never beside
    itself."""
    with closing(parts), ThreadPoolExecutor(1, "ahead") as fetching:

        def fetch() -> T | None:
            return next(parts, None)

        coming = fetching.submit(copy_context().run, fetch)
        while (part := coming.result()) is not None:
            coming = fetching.submit(copy_context().run, fetch)
            yield part
