"""The content of a pull on its way into its file, held against what the service says of it."""

import csv
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from .problems import WrongContent

Digests = dict[tuple[str, str], tuple[int, str]]
"""By plan and lead agency: how many lines, and the SHA-256 (hex) of their bytes in their order."""


class Hashes:
    """Lines counted and hashed by plan and lead agency, as the service's digests are."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], tuple[int, Any]] = {}

    def add(self, line: bytes, found: Mapping[str, Any]) -> None:
        """A line with its line feed, and what it says."""
        place = (found["plan"], found["lead_agency"])
        count, digest = self._found.get(place) or (0, hashlib.sha256())
        digest.update(line)
        self._found[place] = (count + 1, digest)

    def take(self) -> Digests:
        """What was added since the last time."""
        found, self._found = self._found, {}
        return {place: (count, digest.hexdigest()) for place, (count, digest) in found.items()}


class Out(Protocol):
    """Where content goes: a file, or the tables of one."""

    @property
    def name(self) -> str: ...

    def write(self, data: bytes, /) -> object: ...

    def flush(self) -> None: ...


class Content:
    """The content on its way into its file: hashed and counted; of NDJSON without its end, which is told apart."""

    def __init__(self, out: Out, form: str, wrong: Callable[[str], WrongContent]) -> None:
        self._out, self._format, self._wrong = out, form, wrong
        self._hash, self._size, self._lines = hashlib.sha256(), 0, 0
        self._is_lines = form == "ndjson"
        self._held = b""
        """The last line, which may be the end."""
        self.said: dict[str, object] = {}
        """What the end of the lines says of them."""

    def write(self, data: bytes) -> None:
        if not self._is_lines:
            self._put(data)
            return
        data = self._held + data
        # all but the last whole line; what follows it has no line feed yet
        at = data.rfind(b"\n", 0, max(data.rfind(b"\n"), 0)) + 1
        self._put(data[:at])
        self._held = data[at:]

    def _put(self, data: bytes) -> None:
        self._out.write(data)
        self._hash.update(data)
        self._size += len(data)
        self._lines += data.count(b"\n")

    def end(self, wanted: Mapping[str, object], cursor: str | None) -> dict[str, Any]:
        """What the content turned out to be. WrongContent: not what was `wanted`, or not what it says of itself."""
        rows, plans = wanted["rows"], None
        if self._is_lines:
            said = self.said = self._said_at_the_end()
            rows, cursor, plans = said["rows"], said["cursor"], said["plans"]
            for name, value in wanted.items():
                if value is not None and said[name] != value:
                    raise self._wrong(f"{name} {said[name]} ≠ {value}")
            if said["sha256"] != self._hash.hexdigest():
                raise self._wrong("SHA-256")
            if self._lines != rows:
                raise self._wrong(f"{self._lines} ≠ {rows}")
        elif rows is None:
            raise self._wrong("Rata-Rows?")
        elif self._format == "csv":
            self._out.flush()
            counted = _count_records(Path(self._out.name))
            if counted != rows:
                raise self._wrong(f"{counted} ≠ {rows}")
        return {
            "sha256": self._hash.hexdigest(),
            "bytes": self._size,
            "rows": rows,
            "cursor": cursor,
            "plans": plans,
        }

    def _said_at_the_end(self) -> dict[str, Any]:
        try:
            said: dict[str, object] = json.loads(self._held)["end"]
            wanted = ("rows", "cursor", "plans", "period", "region", "sha256")
            if self._held.endswith(b"\n") and all(name in said for name in wanted):
                return said
        except (ValueError, KeyError, TypeError):
            pass
        raise self._wrong("NDJSON: end?")


def _count_records(file: Path) -> int:
    """Records of a CSV below its header; a text may hold line feeds."""
    csv.field_size_limit(2**31 - 1)
    with file.open(encoding="utf-8", newline="") as lines:
        return sum(1 for _ in csv.reader(lines)) - 1
