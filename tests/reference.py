"""The small reference data that tests share: Kotabaru, its province and two neighbours.

The real command loads excerpts of the real files. Their SHA-256 differs from that of the whole files, so
loading those on top tests a changed edition.
"""

import atexit
import gzip
import re
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from fastapi.testclient import TestClient
from sqlmodel import Session

from app.access.rules import CONSOLE
from app.convergence.indicators.commands import load_indicators
from app.kit.database.journal import Author
from app.reference.commands import DATA, load_reference
from tests.pages import walk

_WHOLE = ("63", "73", "18", "63.02", "63.03", "73.22", "18.02", "18.06")
_VILLAGES_OF = ("63.02.01.", "63.02.02.", "63.02.05.")


def _is_kept(code: str, *more: str) -> bool:
    """Return whether the small data has a region: some provinces and regencies, Kotabaru's districts, some villages.

    `more` are regencies with their districts; with a dot at the end (`18.04.`), everything below.
    """
    is_district = code.count(".") == 2 and code.rpartition(".")[0] in ("63.02", *more)
    whole = (*_VILLAGES_OF, *(prefix for prefix in more if prefix.endswith(".")))
    return code in (*_WHOLE, *more) or is_district or code.startswith(whole)


def small_files(folder: Path, *more: str) -> Path:
    """Copy the reference files with few regions (and `more` regencies), the nomenclature of regencies, and
    quarters always open."""
    shutil.copytree(DATA, folder, dirs_exist_ok=True)
    _cut(folder / "regions.csv.gz", lambda line: _is_kept(line.split(",", 1)[0], *more))
    calendar = folder / "reporting_calendar.csv"
    # Every quarter opens long before it begins, so tests need no clock.
    calendar.write_text(re.sub(r"^(Q\d,[^,]+),0,", r"\1,-20,", calendar.read_text(), flags=re.MULTILINE))
    _cut(folder / "nomenclature_2027.csv.gz", lambda line: line.startswith("KABKOT") or ",3.29." in line)
    return folder


def load_small_reference(session: Session, *more: str) -> None:
    """Load the nation, three provinces, five regencies and `more`, the districts of Kotabaru and `more`, some villages;
    the codes of regencies and of one field of provinces; all funding sources, groups and strategies."""
    load_reference(session, folder=_cut_files(*more))
    load_indicators(session, Author(CONSOLE.token, datetime.now(UTC)))


@cache
def _cut_files(*more: str) -> Path:
    """Return the folder of the files; a process cuts them once."""
    folder = Path(tempfile.mkdtemp(prefix="rata-test-"))
    atexit.register(shutil.rmtree, folder)
    return small_files(folder, *more)


def _cut(path: Path, is_kept: Callable[[str], bool]) -> None:
    head, *lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    kept = [head, *(line for line in lines if is_kept(line)), ""]
    path.write_bytes(gzip.compress("\n".join(kept).encode(), compresslevel=1, mtime=0))


def check_whole_regions(client: TestClient) -> None:
    """Assert that the database has the regions of the shipped files, each once."""
    below = client.get("/v1/regions/0").json()["below"]
    assert below == {"province": 38, "regency": 514, "district": 7285, "village": 83762}
    codes = [item["code"] for item in walk(client, "/v1/regions?limit=500&within=63")]
    assert len(codes) == len(set(codes)) == 1 + sum(client.get("/v1/regions/63").json()["below"].values())
