"""Comparing a file of lines with the service's digests: where it differs, without another pull."""

import hashlib
import json
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from app.client.problems import Unwritable, WrongContent

if TYPE_CHECKING:
    from app.client.service import Rata

Place = tuple[str, str]
"""A plan and one of its lead agencies."""


class _Hashed(NamedTuple):
    rows: int
    sha256: str


def compare(service: "Rata", file: Path, period: str, region: str | None) -> list[str]:
    """`PLAN AGENCY` where the lines of an NDJSON pull are not those that the service has now; none: it is the same.

    WrongContent: the file cannot be read as lines of a pull; Unwritable: it is not there.
    """
    there = {
        (plan["plan"], agency["lead_agency"]): _Hashed(agency["rows"], agency["sha256"])
        for plan in service.digests(period, region=region)["plans"]
        for agency in plan["agencies"]
    }
    here = _hashes(file)
    return [
        " ".join(place) for place in sorted(here.keys() | there.keys()) if here.get(place) != there.get(place)
    ]


def _hashes(file: Path) -> dict[Place, _Hashed]:
    """By plan and lead agency: how many lines, and the SHA-256 of their bytes in their order."""
    rows: defaultdict[Place, int] = defaultdict(int)
    hashes: defaultdict[Place, Any] = defaultdict(hashlib.sha256)
    try:
        with file.open("rb") as lines:
            for line in lines:
                found = json.loads(line)
                place = (found["plan"], found["lead_agency"])
                rows[place] += 1
                hashes[place].update(line)
    except OSError as error:
        raise Unwritable(file=file, why=error.strerror) from error
    except (ValueError, KeyError, TypeError) as error:
        raise WrongContent(file=file, why="NDJSON") from error
    return {place: _Hashed(count, hashes[place].hexdigest()) for place, count in rows.items()}
