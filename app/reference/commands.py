"""Loads the reference data that comes with the product, each version of a file once."""

import csv
import gzip
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session

from app.access.rules import CONSOLE
from app.kit.database.engine import get_table
from app.kit.database.journal import Author, Entry, append, keep_order, lock_chain
from app.kit.database.json_sql import dump_json
from app.kit.database.upsert import unnest_records, upsert
from app.kit.fields import fold_name
from app.reference.models import (
    FundingSourceKind,
    FundingSourceRow,
    ReferenceEditionRow,
    RegionRow,
    ReportingCalendarRow,
    StrategyRow,
)
from app.reference.nomenclature.models import GovernmentLevel, SubactivityRow
from app.reference.rules import CHAIN, find_nearest_ancestor, get_level, get_parent

DATA = Path(__file__).parent / "data"

_CHUNK = 5_000
_LEVELS = {"PROV": GovernmentLevel.province, "KABKOT": GovernmentLevel.regency}

Progress = Callable[[str, int, int], None]
"""Callback with the table's title, rows done, rows in all."""

Row = Mapping[str, object]


class _Loaded(NamedTuple):
    name: str
    edition: str
    sha256: str
    rows: int
    version: int


class BrokenReference(ValueError):
    """A contradiction within or between reference files; the load writes nothing."""


@dataclass(frozen=True)
class _File:
    """A line of `editions.csv` with its file."""

    name: str
    edition: str
    path: Path
    about: dict[str, str | None]

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    def is_loaded(self, loaded: Mapping[tuple[str, str], _Loaded]) -> bool:
        before = loaded.get((self.name, self.edition))
        return before is not None and before.sha256 == self.sha256

    def rows(self) -> list[dict[str, str]]:
        raw = self.path.read_bytes()
        text = (gzip.decompress(raw) if self.path.suffix == ".gz" else raw).decode("utf-8-sig")
        lines = csv.DictReader(text.splitlines())
        return [{name: " ".join(value.split()) for name, value in line.items()} for line in lines]


def _list_files(folder: Path) -> dict[str, list[_File]]:
    files: dict[str, list[_File]] = {}
    with (folder / "editions.csv").open(encoding="utf-8", newline="") as lines:
        for line in csv.DictReader(lines):
            about = {name: line[name] or None for name in ("source", "legal_basis", "terms")}
            file = _File(line["name"], line["edition"], folder / line["file"], about)
            files.setdefault(file.name, []).append(file)
    return files


# From lines of the files to rows of the tables


def _make_region_rows(*files: _File) -> list[Row]:
    register, crosswalk, figures, zones = ([*file.rows()] for file in files)
    bps = {row["code"]: row["bps_code"] for row in crosswalk}
    figure = {row["code"]: row for row in figures}
    zone = {row["code"]: row["timezone"] for row in zones}
    codes = {row["code"] for row in register} | {"0"}
    above = codes | {None}
    orphans = [code for code in codes if get_parent(code) not in above or code.partition(".")[0] not in zone]
    if orphans:
        raise BrokenReference(
            f"These regions have no parent region or no time zone: {', '.join(sorted(orphans)[:5])}."
        )
    nation = _make_region("0", "Indonesia", bps, figure, zone)
    return [nation, *(_make_region(row["code"], row["name"], bps, figure, zone) for row in register)]


def _make_region(
    code: str, name: str, bps: dict[str, str], figures: dict[str, dict[str, str]], zones: dict[str, str]
) -> Row:
    figure = figures.get(code, {})
    return {
        "code": code,
        "name": name,
        "level": get_level(code),
        "parent_code": get_parent(code),
        "bps_code": bps.get(code),
        "population": int(figure["population"]) if figure.get("population") else None,
        "area_km2": float(figure["area_km2"]) if figure.get("area_km2") else None,
        "timezone": zones[code.partition(".")[0]],
        "folded": fold_name(name),
        "retired": False,
    }


def _make_subactivity_rows(file: _File) -> list[Row]:
    known: dict[str, str] = {}

    def fold(text: str) -> str:  # 7,581 lines name only 1,000 activities
        if text not in known:
            known[text] = fold_name(text)
        return known[text]

    rows: list[Row] = []
    for line in file.rows():
        predecessor, _, predecessor_name = line["predecessor"].partition(" ")
        name, activity = fold(line["subactivity"]), fold(line["activity"])
        rows.append(
            {
                "edition": file.edition,
                "government_level": _LEVELS[line["government_level"]],
                "code": line["subactivity_code"],
                "name": line["subactivity"],
                "field_code": line["field_code"],
                "field_name": line["field"],
                "program_code": line["program_code"],
                "program_name": line["program"],
                "activity_code": line["activity_code"],
                "activity_name": line["activity"],
                "performance": line["performance"] or None,
                "indicator": line["indicator"] or None,
                "unit": line["unit"] or None,
                "spm": line["spm"] == "SPM",
                "kind": line["kind"],
                "tags": _split_list(line["tags"]),
                "predecessor_code": predecessor or None,
                "predecessor_name": predecessor_name or None,
                "folded_name": name,
                "folded_activity": activity,
                "folded": f"{name} {activity} {fold(line['program'])}",
                "retired": False,
            }
        )
    return rows


def _make_funding_rows(official: _File, groups: _File) -> list[Row]:
    lines = official.rows()
    codes = {line["code"] for line in lines}
    rows = [
        _make_funding_source(line, FundingSourceKind.official, find_nearest_ancestor(line["code"], codes))
        for line in lines
    ]
    for line in groups.rows():
        aliases, collects = _split_list(line["aliases"]), _split_list(line["collects"])
        unknown = [code for code in collects if code not in codes]
        if unknown:
            raise BrokenReference(f"{line['code']} collects unknown codes: {', '.join(unknown)}.")
        parent = line["parent_code"] or None
        rows.append(_make_funding_source(line, FundingSourceKind.group, parent, aliases, collects))
    return rows


def _make_funding_source(
    line: Row,
    kind: FundingSourceKind,
    parent: str | None,
    aliases: Sequence[str] = (),
    collects: Sequence[str] = (),
) -> Row:
    code, name = line["code"], line["name"]
    return {
        "code": code,
        "name": name,
        "kind": kind,
        "parent_code": parent,
        "aliases": list(aliases),
        "collects": list(collects),
        "folded": fold_name(f"{code} {name} {' '.join(aliases)}"),
        "retired": False,
    }


def _make_strategy_rows(file: _File) -> Sequence[Row]:
    return [
        {
            **line,
            "aliases": _split_list(line["aliases"]),
            "legal_basis": _split_list(line["legal_basis"]),
            "retired": False,
        }
        for line in file.rows()
    ]


def _make_calendar_rows(file: _File) -> Sequence[Row]:
    return [
        {
            **line,
            "closes": line["closes"] or None,
            **{name: int(line[name]) for name in line if name.endswith("_years_later")},
            "edition": file.edition,
            "source": file.about["source"],
            "legal_basis": file.about["legal_basis"],
            "retired": False,
        }
        for line in file.rows()
    ]


def _split_list(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]


# Loading


@dataclass(frozen=True)
class _Load:
    """A table with its files, and the function that makes its rows."""

    what: str
    address: str
    table: sa.Table
    key: tuple[str, ...]
    files: tuple[_File, ...]
    rows: Callable[..., Sequence[Row]]
    scope: dict[str, str] = field(default_factory=dict)
    """Columns that select the files' part of the table; rows there that the files lack become retired."""


def _list_loads(folder: Path) -> Iterator[_Load]:
    files = _list_files(folder)

    def pick_files(*names: str) -> tuple[_File, ...]:
        return tuple(file for name in names for file in files[name])

    yield _Load(
        "regions",
        "regions",
        get_table(RegionRow),
        ("code",),
        pick_files("regions", "region_bps_crosswalk", "region_population_area", "region_timezones"),
        _make_region_rows,
    )
    for file in files["nomenclature"]:
        yield _Load(
            f"nomenclature {file.edition}",
            f"nomenclatures/{file.edition}",
            get_table(SubactivityRow),
            ("edition", "government_level", "code"),
            (file,),
            _make_subactivity_rows,
            {"edition": file.edition},
        )
    yield _Load(
        "funding sources",
        "funding-sources",
        get_table(FundingSourceRow),
        ("code",),
        pick_files("funding_sources", "funding_groups"),
        _make_funding_rows,
    )
    yield _Load(
        "strategies",
        "strategies",
        get_table(StrategyRow),
        ("key",),
        pick_files("strategies"),
        _make_strategy_rows,
    )
    yield _Load(
        "reporting calendar",
        "quarters",
        get_table(ReportingCalendarRow),
        ("quarter",),
        pick_files("reporting_calendar"),
        _make_calendar_rows,
    )


def load_reference(
    session: Session, progress: Progress | None = None, *, author: Author | None = None, folder: Path = DATA
) -> list[str]:
    """Load the files that changed, and return the titles of the tables; an empty list if no file changed.

    Codes that the new files lack stay as retired. Raises BrokenReference if the files contradict each other.
    """
    chain = lock_chain(session, CHAIN)
    author = keep_order(session, author or Author(CONSOLE.principal, datetime.now(UTC)))
    table = get_table(ReferenceEditionRow)
    columns = [table.c[name] for name in _Loaded._fields]
    rows = [_Loaded(*row) for row in session.execute(sa.select(*columns))]
    loaded = {(row.name, row.edition): row for row in rows}
    done: list[str] = []
    for load in _list_loads(folder):
        changed = [file for file in load.files if not file.is_loaded(loaded)]
        if not changed:
            continue
        _store(session, load, progress)
        entries = [
            _save_edition(session, file, loaded.get((file.name, file.edition)), load.address, author)
            for file in changed
        ]
        chain = append(session, chain, author, entries)
        done.append(load.what)
    return done


def _save_edition(
    session: Session, file: _File, before: _Loaded | None, address: str, author: Author
) -> Entry:
    version = before.version + 1 if before else 1
    after = {"name": file.name, "edition": file.edition, "sha256": file.sha256, "rows": len(file.rows())}
    upsert(
        session,
        get_table(ReferenceEditionRow),
        [{**after, **file.about, "loaded_at": author.at.isoformat(), "version": version}],
        key=["name", "edition"],
    )
    old = {name: getattr(before, name) for name in after} if before else None
    return Entry("reference.loaded", "0", address, version, old, after)


def _store(session: Session, load: _Load, progress: Progress | None) -> None:
    rows = load.rows(*load.files)
    _retire(session, load, rows)
    for start in range(0, len(rows), _CHUNK):
        upsert(session, load.table, rows[start : start + _CHUNK], key=load.key)
        if progress:
            progress(load.what, min(start + _CHUNK, len(rows)), len(rows))


def _retire(session: Session, load: _Load, rows: Sequence[Row]) -> None:
    """Mark rows that the new files lack as retired."""
    table = load.table
    columns = [table.c[name] for name in load.key]
    inside = [table.c[name] == value for name, value in load.scope.items()]
    stored = {
        tuple(row) for row in session.execute(sa.select(*columns).where(*inside, table.c.retired.is_(False)))
    }
    gone = stored - {tuple(row[name] for name in load.key) for row in rows}
    if gone:
        keys = unnest_records(session, {name: sa.String() for name in load.key})
        session.connection().execute(
            sa.update(table)
            .where(*inside, sa.exists().where(*[keys.c[name] == table.c[name] for name in load.key]))
            .values(retired=True),
            {"records": dump_json([dict(zip(load.key, key, strict=True)) for key in sorted(gone)])},
        )
