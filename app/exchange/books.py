"""An opened file: its sheets by name, and how large one may be."""

from collections.abc import Callable
from dataclasses import dataclass

from app.exchange.models import Sheet
from app.exchange.unreadable import UNKNOWN_SHEET, unreadable

# A matrix has some hundred rows; a region with every village's lines stays far below.
LARGEST_ROW = 20_000
LARGEST_COLUMN = 100


@dataclass(frozen=True)
class Book:
    """The sheets of a file, each read when asked for. `visible` leaves out hidden ones."""

    filename: str
    names: tuple[str, ...]
    visible: tuple[str, ...]
    read: Callable[[str], Sheet]

    def sheet(self, name: str) -> Sheet:
        """A sheet by its name; raises `UnreadableFile` (`unknown_sheet`) if there is none."""
        if name not in self.names:
            raise unreadable(UNKNOWN_SHEET, self.filename, name, allowed=list(self.names))
        return self.read(name)
