"""`make sheets-diff`: read every sheet at hand, and list what differs from the stored readings.

`ARGS=--write` stores the readings; `ARGS=v1.0.0` also compares with those of a tag, from its stored files.
"""

import argparse
import difflib
import logging
import subprocess
import sys
from collections.abc import Sequence

import structlog
from anyio.from_thread import start_blocking_portal

from app.kit.database.engine import Database
from app.main import create_app
from app.settings import Settings
from app.wiring import wire
from tests.common import open_connector, put_over
from tests.database import own_database, rolled_back
from tests.sheets.sheets import READINGS, Sheet, list_sheets, open_world, read_sheet


def main() -> int:
    parser = argparse.ArgumentParser(prog="make sheets-diff", description=__doc__)
    parser.add_argument("tag", nargs="?", help="a tag or commit to compare with, too")
    parser.add_argument("--write", action="store_true", help="store the readings")
    options = parser.parse_args()
    readings = read_all()
    differing = sum(_print_changes(sheet, _read_stored(sheet), now) for sheet, now in readings)
    print(f"{len(readings)} sheets, {differing} with another reading than the stored one")
    if options.tag:
        since = sum(
            _print_changes(sheet, before, now)
            for sheet, now in readings
            if (before := _read_of_tag(sheet, options.tag)) is not None
        )
        print(f"{since} with another reading than in {options.tag}")
    if options.write:
        known = {sheet.stored for sheet, _ in readings}
        for path in set(READINGS.iterdir()) - known:
            path.unlink()
        for sheet, now in readings:
            sheet.stored.write_text("\n".join([*now, ""]))
    return int(differing > 0 and not options.write)


def read_all() -> list[tuple[Sheet, list[str]]]:
    """Return every sheet with its reading, each in a database of its own."""
    wire()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    settings = Settings(_env_file=None, database_url="sqlite://")
    app = create_app(settings, Database(settings.database_url))
    readings = []
    with own_database("sqlite") as base, start_blocking_portal() as portal, rolled_back(base) as database:
        put_over(app, database)
        with open_connector(app, database, portal) as connect:
            open_world(connect, database)
            for sheet in list_sheets():
                point = database.connection.begin_nested()
                readings.append((sheet, read_sheet(connect, database, sheet)))
                point.rollback()
    return readings


def _read_stored(sheet: Sheet) -> Sequence[str]:
    return sheet.stored.read_text().splitlines() if sheet.stored.exists() else []


def _read_of_tag(sheet: Sheet, tag: str) -> Sequence[str] | None:
    """Return the reading that a tag has stored. Returns None for a sheet that it did not have."""
    path = f"{tag}:tests/sheets/readings/{sheet.stored.name}"
    done = subprocess.run(["git", "show", path], capture_output=True, text=True, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else None


def _print_changes(sheet: Sheet, before: Sequence[str], now: Sequence[str]) -> bool:
    """Print the lines of a reading that changed, with a heading. Returns whether there are any."""
    if list(before) == list(now):
        return False
    print(f"\n{sheet.name}")
    for text in difflib.unified_diff(before, now, lineterm="", n=0):
        if not text.startswith(("---", "+++", "@@")):
            print(f"  {text}")
    return True


if __name__ == "__main__":
    sys.exit(main())
