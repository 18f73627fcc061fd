"""Hashing and checking of a pull's content while it goes into its file."""

import csv
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from .problems import Sentence, WrongContent

Digests = dict[tuple[str, str], tuple[int, str]]
"""(plan, lead agency) → number of lines and the SHA-256 (hex) of their bytes, in their order."""


_NO_SUMMARY = Sentence("baris penutup tidak ada", "the last line with the summary is missing")
_NO_COUNT = Sentence("jumlah baris tidak ada", "the number of rows is missing")


class Hashes:
    """Count and hash of lines by plan and lead agency, as in the service's digests."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], tuple[int, Any]] = {}

    def add(self, line: bytes, fields: Mapping[str, Any]) -> None:
        """Add a line, including its line feed, with its parsed fields."""
        key = (fields["plan"], fields["lead_agency"])
        count, digest = self._counts.get(key) or (0, hashlib.sha256())
        digest.update(line)
        self._counts[key] = (count + 1, digest)

    def take(self) -> Digests:
        """Return the digests of the lines since the last call, and start again."""
        counts, self._counts = self._counts, {}
        return {key: (count, digest.hexdigest()) for key, (count, digest) in counts.items()}


class ContentTarget(Protocol):
    """The target of content: a file, or the tables of one."""

    @property
    def name(self) -> str: ...

    def write(self, data: bytes, /) -> object: ...

    def flush(self) -> None: ...


class ContentWriter:
    """A writer that hashes and counts the content. It keeps back the last line of NDJSON, the summary."""

    def __init__(
        self, out: ContentTarget, form: str, wrong: Callable[[str | Sentence], WrongContent]
    ) -> None:
        self._out, self._format, self._wrong = out, form, wrong
        self._hash, self._size, self._lines = hashlib.sha256(), 0, 0
        self._is_lines = form == "ndjson"
        self._tail = b""
        """The last line, which may be the summary."""
        self.summary: dict[str, object] = {}
        """The summary at the end of the lines."""

    def write(self, data: bytes) -> None:
        if not self._is_lines:
            self._put(data)
            return
        data = self._tail + data
        # all but the last complete line and the incomplete one behind it
        at = data.rfind(b"\n", 0, max(data.rfind(b"\n"), 0)) + 1
        self._put(data[:at])
        self._tail = data[at:]

    def _put(self, data: bytes) -> None:
        self._out.write(data)
        self._hash.update(data)
        self._size += len(data)
        self._lines += data.count(b"\n")

    def end(self, expected: Mapping[str, object], cursor: str | None) -> dict[str, Any]:
        """Return the manifest's fields of the content.

        Raises WrongContent if the content differs from `expected` or from its own summary.
        """
        rows, plans = expected["rows"], None
        if self._is_lines:
            summary = self.summary = self._read_summary()
            rows, cursor, plans = summary["rows"], summary["cursor"], summary["plans"]
            for name, value in expected.items():
                if value is not None and summary[name] != value:
                    raise self._wrong(f"{name} {summary[name]} ≠ {value}")
            if summary["sha256"] != self._hash.hexdigest():
                raise self._wrong("SHA-256")
            if self._lines != rows:
                raise self._wrong(f"{self._lines} ≠ {rows}")
        elif rows is None:
            raise self._wrong(_NO_COUNT)
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

    def _read_summary(self) -> dict[str, Any]:
        try:
            summary: dict[str, object] = json.loads(self._tail)["end"]
            required = ("rows", "cursor", "plans", "period", "region", "sha256")
            if self._tail.endswith(b"\n") and all(name in summary for name in required):
                return summary
        except (ValueError, KeyError, TypeError):
            pass
        raise self._wrong(_NO_SUMMARY)


def _count_records(file: Path) -> int:
    """Count the records of a CSV below its header; a text may contain line feeds."""
    csv.field_size_limit(2**31 - 1)
    with file.open(encoding="utf-8", newline="") as lines:
        return sum(1 for _ in csv.reader(lines)) - 1
