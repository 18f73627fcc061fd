"""Prefetched parts: none lost, repeated or left open."""

from collections.abc import Generator
from threading import current_thread

import pytest

from app.kit.exports.prefetch import prefetch


class Source:
    """A source of numbers that fails at one of them."""

    def __init__(self, fails_at: int = 100) -> None:
        self.given = 0
        self.fails_at, self.is_closed = fails_at, False
        self.threads = set[str]()

    def parts(self) -> Generator[int]:
        try:
            for number in range(1, 6):
                self.threads.add(current_thread().name)
                if number == self.fails_at:
                    raise ZeroDivisionError
                self.given = number
                yield number
        finally:
            self.is_closed = True


def test_all_parts_come_in_order_from_one_thread() -> None:
    source = Source()
    assert list(prefetch(source.parts())) == [1, 2, 3, 4, 5]
    assert source.is_closed
    assert len(source.threads) == 1
    assert source.threads != {current_thread().name}


def test_a_failure_comes_in_place_of_its_part() -> None:
    source = Source(fails_at=3)
    parts = prefetch(source.parts())
    assert [next(parts), next(parts)] == [1, 2]
    with pytest.raises(ZeroDivisionError):
        next(parts)
    assert source.is_closed


def test_a_reader_that_stops_leaves_nothing_open() -> None:
    source = Source()
    parts = prefetch(source.parts())
    assert next(parts) == 1
    parts.close()
    assert source.is_closed
    assert source.given <= 2
