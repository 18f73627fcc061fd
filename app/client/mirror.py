"""Comparing what was pulled with the service's digests: where it differs, without another pull."""

import hashlib
import json
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from .content import Digests, Hashes
from .problems import Misused, Text, Unwritable, WrongContent
from .tables import digests_in

if TYPE_CHECKING:
    from .service import Rata


class NotComparable(Misused):
    text = Text(
        "{file}: hanya NDJSON dan SQLite dapat dibandingkan.",
        "{file}: only NDJSON and SQLite can be compared.",
    )


def compare(service: "Rata", file: Path, period: str, region: str | None) -> list[str]:
    """`PLAN AGENCY` where the lines of a pull are not those that the service has now; none: it is the same.

    Of NDJSON the lines are hashed, of SQLite the hashes are compared that were kept when its tables were made.
    WrongContent: the file is not what was pulled; Unwritable: it is not there.
    """
    if file.suffix not in (".ndjson", ".sqlite"):
        raise NotComparable(file=file)
    there = {
        (plan["plan"], agency["lead_agency"]): (agency["rows"], agency["sha256"])
        for plan in service.digests(period, region=region)["plans"]
        for agency in plan["agencies"]
    }
    try:
        here = _of_tables(file) if file.suffix == ".sqlite" else _of_lines(file)
    except OSError as error:
        raise Unwritable(file=file, why=error.strerror) from error
    except (ValueError, KeyError, TypeError, sqlite3.Error) as error:
        raise WrongContent(file=file, why=file.suffix.removeprefix(".")) from error
    return [
        " ".join(place) for place in sorted(here.keys() | there.keys()) if here.get(place) != there.get(place)
    ]


def _of_lines(file: Path) -> Digests:
    hashes = Hashes()
    with file.open("rb") as lines:
        for line in lines:
            hashes.add(line, json.loads(line))
    return hashes.take()


def _of_tables(file: Path) -> Digests:
    """What its tables were made of. WrongContent: somebody changed them since."""
    pulled = json.loads(file.with_name(f"{file.name}.json").read_bytes())
    with file.open("rb") as content:
        if hashlib.file_digest(content, "sha256").hexdigest() != pulled["sha256"]:
            raise WrongContent(file=file, why="SHA-256")
    return digests_in(file)
