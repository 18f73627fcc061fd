"""Prefetch: a thread fetches the next part while the caller works on the one before."""

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")


def prefetch(parts: Generator[T]) -> Generator[T]:
    """Yield the parts in order, and fetch the next one meanwhile.

    The database works on the next rows while Python writes the current ones. One thread runs `parts`, a part at a time.
    """
    with closing(parts), ThreadPoolExecutor(1, "prefetch") as pool:

        def fetch() -> T | None:
            return next(parts, None)

        following = pool.submit(copy_context().run, fetch)
        while (part := following.result()) is not None:
            following = pool.submit(copy_context().run, fetch)
            yield part
