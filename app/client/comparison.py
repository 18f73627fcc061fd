"""Comparison of a pulled file with the service's digests, without another pull."""

import hashlib
import json
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from .content import Digests, Hashes
from .problems import Misused, Sentence, Unwritable, WrongContent
from .tables import read_digests

if TYPE_CHECKING:
    from .service import Rata


class NotComparable(Misused):
    text = Sentence(
        "{file}: hanya NDJSON dan SQLite dapat dibandingkan.",
        "{file}: only NDJSON and SQLite can be compared.",
    )


def compare(service: "Rata", file: Path, period: str, region: str | None) -> list[str]:
    """Return `PLAN AGENCY` for each agency with lines that differ from the service's.

    Hashes the lines of NDJSON; reads the hashes that the pull stored in SQLite. Raises NotComparable for other
    formats, WrongContent if the file has changed since the pull, Unwritable if it is missing.
    """
    if file.suffix not in (".ndjson", ".sqlite"):
        raise NotComparable(file=file)
    remote = {
        (plan["plan"], agency["lead_agency"]): (agency["rows"], agency["sha256"])
        for plan in service.digests(period, region=region)["plans"]
        for agency in plan["agencies"]
    }
    try:
        local = _read_tables(file) if file.suffix == ".sqlite" else _hash_lines(file)
    except OSError as error:
        raise Unwritable(file=file, why=error.strerror) from error
    except (ValueError, KeyError, TypeError, sqlite3.Error) as error:
        raise WrongContent(file=file, why=file.suffix.removeprefix(".")) from error
    return [
        " ".join(key) for key in sorted(local.keys() | remote.keys()) if local.get(key) != remote.get(key)
    ]


def _hash_lines(file: Path) -> Digests:
    hashes = Hashes()
    with file.open("rb") as lines:
        for line in lines:
            hashes.add(line, json.loads(line))
    return hashes.take()


def _read_tables(file: Path) -> Digests:
    """Return the digests in a SQLite file. Raises WrongContent if the file has changed since the pull."""
    manifest = json.loads(file.with_name(f"{file.name}.json").read_bytes())
    with file.open("rb") as content:
        if hashlib.file_digest(content, "sha256").hexdigest() != manifest["sha256"]:
            raise WrongContent(file=file, why="SHA-256")
    return read_digests(file)
