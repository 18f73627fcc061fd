"""Reads the nomenclature: lists and single codes as JSON, and batch look-ups for other areas."""

from collections.abc import Collection
from itertools import islice
from typing import NamedTuple

import sqlalchemy as sa
from rapidfuzz import fuzz
from sqlalchemy.sql import ColumnElement
from sqlmodel import Session

from app.kit.database.engine import get_table
from app.kit.database.journal import state_hash
from app.kit.database.json_sql import build_json_array, dump_json, select_fields
from app.kit.database.upsert import unnest_records
from app.kit.fields import fold_name
from app.kit.http.pagination import Listing, match_values
from app.kit.problems import Problem
from app.kit.tables.candidates import Likeness, NamedEntry, NameIndex
from app.kit.wording import Text
from app.reference.models import ReferenceEditionRow
from app.reference.nomenclature.models import (
    GovernmentLevel,
    NomenclatureOut,
    SubactivityName,
    SubactivityOut,
    SubactivityQuery,
    SubactivityReply,
    SubactivityRow,
)
from app.reference.nomenclature.rules import can_use_code
from app.reference.queries import is_among, read_json
from app.reference.rules import CHAIN

NOMENCLATURE = "nomenclature"


class NotLoaded(Problem):
    status = 503
    code = "reference_not_loaded"
    title = Text("Data rujukan belum dimuat", "Reference data not loaded")
    detail = Text(
        "Data rujukan belum lengkap. Operator layanan memuatnya dengan “rata reference load”.",
        "The reference data is not complete. The operator of the service loads it with “rata "
        "reference load”.",
    )


_subactivity, _edition = get_table(SubactivityRow), get_table(ReferenceEditionRow)


def list_nomenclatures() -> Listing:
    """List the loaded editions."""
    statement = sa.select(*select_fields(NomenclatureOut, _edition)).where(_edition.c.name == NOMENCLATURE)
    return Listing(statement, {"edition": _edition.c.edition}, {"edition": _edition.c.edition})


def list_editions(session: Session) -> list[str]:
    """Return the names of the loaded editions, newest last."""
    statement = (
        sa.select(_edition.c.edition).where(_edition.c.name == NOMENCLATURE).order_by(_edition.c.edition)
    )
    return list(session.scalars(statement))


def find_latest_edition(session: Session) -> str:
    """Return the newest edition of the nomenclature. Raises NotLoaded (503) if there is none."""
    names = list_editions(session)
    if not names:
        raise NotLoaded()
    return names[-1]


def list_subactivities(session: Session, edition: str, query: SubactivityQuery) -> Listing:
    """List the sub-activities of an edition that match."""
    c = _subactivity.c
    statement = sa.select(*select_fields(SubactivityOut, _subactivity)).where(
        c.edition == edition,
        c.retired.is_(query.retired),
        *match_values(
            (c.government_level, query.government_level),
            (c.field_code, query.field),
            (c.program_code, query.program),
            (c.activity_code, query.activity),
            (c.predecessor_code, query.predecessor),
        ),
    )
    sorts, key = {"code": c.code, "name": c.name}, {"code": c.code, "government_level": c.government_level}
    if query.q is None:
        return Listing(statement, sorts, key)
    levels = [query.government_level] if query.government_level else list(GovernmentLevel)
    ranked = [
        (item, level) for level in levels for item in _read_level(session, edition, level).names.rank(query.q)
    ]
    return Listing(statement, sorts, key, ranking=[(item.code, level) for item, level in sorted(ranked)])


def read_subactivity(session: Session, edition: str, level: GovernmentLevel, code: str) -> str:
    """Return one sub-activity as `SubactivityReply`. Raises NotFound if there is none."""
    c, after = _subactivity.c, _subactivity.alias("after")
    successors = (
        sa.select(*select_fields(SubactivityName, after))
        .where(
            after.c.edition == edition, after.c.government_level == level, after.c.predecessor_code == code
        )
        .order_by(after.c.code)
    )
    return read_json(
        session,
        sa.select(
            *select_fields(
                SubactivityReply, _subactivity, successors=build_json_array(successors, name="successors_of")
            )
        ).where(c.edition == edition, c.government_level == level, c.code == code),
    )


class SubactivityRef(NamedTuple):
    """A sub-activity as other areas refer to it."""

    code: str
    name: str
    activity_code: str
    activity: str
    program_code: str
    program: str
    indicator: str | None
    unit: str | None
    retired: bool

    @property
    def label(self) -> str:
        """Code, name and activity, for a choice among candidates."""
        return f"{self.code} {self.name} ({self.activity})"


_NAMES = {"activity": "activity_name", "program": "program_name"}
_FOUND_SUBACTIVITY = [_subactivity.c[_NAMES.get(name, name)] for name in SubactivityRef._fields]

Pair = tuple[str, str]
"""(activity name, sub-activity name) as written."""


def _has_level(edition: str, level: str) -> ColumnElement[bool]:
    return sa.and_(
        _subactivity.c.edition == edition, _subactivity.c.government_level == GovernmentLevel(level)
    )


def find_subactivities_by_code(
    session: Session, edition: str, level: str, codes: Collection[str]
) -> dict[str, SubactivityRef]:
    """Return code → sub-activity, in one SELECT; without unknown codes, with retired ones."""
    if not codes:
        return {}
    rows = session.execute(
        sa.select(*_FOUND_SUBACTIVITY).where(
            _has_level(edition, level), is_among(session, _subactivity.c.code, codes)
        )
    )
    return {row.code: SubactivityRef(*row) for row in rows}


def find_successors(
    session: Session, edition: str, level: str, codes: Collection[str]
) -> dict[str, list[SubactivityRef]]:
    """Return code → its successors: the sub-activities of the edition with it as predecessor; one SELECT."""
    if not codes:
        return {}
    rows = session.execute(
        sa.select(_subactivity.c.predecessor_code, *_FOUND_SUBACTIVITY)
        .where(_has_level(edition, level), is_among(session, _subactivity.c.predecessor_code, codes))
        .order_by(_subactivity.c.code)
    )
    result: dict[str, list[SubactivityRef]] = {}
    for predecessor, *row in rows:
        result.setdefault(predecessor, []).append(SubactivityRef(*row))
    return result


_PAIR_COLUMNS = {"edition": sa.String(), "code": sa.String()}


def find_codes_not_in_force(
    session: Session, level: str, codes: Collection[tuple[str, str]]
) -> dict[tuple[str, str], list[SubactivityRef]]:
    """Return the (edition, code) pairs that are unknown at this level or retired → their successors in the edition.

    One SELECT for any number of editions.
    """
    if not codes:
        return {}
    pairs = unnest_records(session, _PAIR_COLUMNS)
    after = _subactivity.alias("after")
    of_level = _subactivity.c.government_level == GovernmentLevel(level)
    in_force = (
        sa.exists()
        .where(
            of_level,
            _subactivity.c.edition == pairs.c.edition,
            _subactivity.c.code == pairs.c.code,
            _subactivity.c.retired.is_(False),
        )
        .correlate(pairs)
    )
    follows = sa.and_(
        after.c.government_level == GovernmentLevel(level),
        after.c.edition == pairs.c.edition,
        after.c.predecessor_code == pairs.c.code,
    )
    statement = (
        sa.select(
            pairs.c.edition.label("of_edition"),
            pairs.c.code.label("of_code"),
            *[after.c[column.name] for column in _FOUND_SUBACTIVITY],
        )
        .select_from(pairs.outerjoin(after, follows))
        .where(~in_force)
        .order_by(pairs.c.edition, pairs.c.code, after.c.code)
    )
    parameter = dump_json([{"edition": edition, "code": code} for edition, code in sorted(codes)])
    result: dict[tuple[str, str], list[SubactivityRef]] = {}
    for edition, code, *row in session.connection().execute(statement, {"records": parameter}):
        successors = result.setdefault((edition, code), [])
        if row[0] is not None:
            successors.append(SubactivityRef(*row))
    return result


def find_subactivities_by_name(
    session: Session, edition: str, level: str, pairs: Collection[Pair]
) -> dict[Pair, list[SubactivityRef]]:
    """Return pair of names → the sub-activities with exactly these folded names, in one SELECT.

    Without an activity name (`("", name)`) the name alone decides. Pairs without a sub-activity are missing, several
    are ambiguous. Retired codes do not count.
    """
    keys = {pair: (fold_name(pair[0]), fold_name(pair[1])) for pair in pairs if fold_name(pair[1])}
    if not keys:
        return {}
    c = _subactivity.c
    rows = session.execute(
        sa.select(c.folded_activity, c.folded_name, *_FOUND_SUBACTIVITY)
        .where(
            _has_level(edition, level),
            is_among(session, c.folded_name, [name for _, name in keys.values()]),
            c.retired.is_(False),
        )
        .order_by(c.code)
    )
    by_name: dict[str, list[tuple[str, SubactivityRef]]] = {}
    for activity, name, *row in rows:
        by_name.setdefault(name, []).append((activity, SubactivityRef(*row)))
    result = {
        pair: [item for of, item in by_name.get(name, ()) if not activity or of == activity]
        for pair, (activity, name) in keys.items()
    }
    return {pair: item for pair, item in result.items() if item}


class _Level(NamedTuple):
    """The sub-activities of an edition and level: folded activity by code, and their names."""

    items: dict[str, tuple[str, SubactivityRef]]
    names: NameIndex


_LEVEL_CACHE: dict[tuple[str, str, str], _Level] = {}


def _read_level(session: Session, edition: str, level: str) -> _Level:
    """Return the sub-activities of a level, from a cache with the state of the reference data in its key."""
    key = (edition, level, state_hash(session, CHAIN))
    known = _LEVEL_CACHE.get(key)
    if known is None:
        c = _subactivity.c
        rows = session.execute(
            sa.select(c.folded, c.folded_activity, *_FOUND_SUBACTIVITY)
            .where(_has_level(edition, level))
            .order_by(c.code)
        )
        items, entries = {}, []
        for folded, activity, *row in rows:
            item = SubactivityRef(*row)
            items[item.code] = activity, item
            entries.append(NamedEntry(item.code, (item.name,), around=folded))
        for stale in [other for other in _LEVEL_CACHE if other[:2] == key[:2]]:
            _LEVEL_CACHE.pop(stale, None)
        known = _LEVEL_CACHE[key] = _Level(items, NameIndex(entries))
    return known


MOST_CANDIDATES = 3
"""Candidates for an unknown name."""
_MOST_RANKED = 50


def find_similar_subactivities(
    session: Session,
    edition: str,
    level: str,
    *,
    region: str,
    subactivity: str,
    activity: str | None = None,
) -> list[SubactivityRef]:
    """Return candidates for an unknown name, best first, for a person to choose from: those that the region can use.

    Sub-activities with an equal name come first, by similarity of their activity, then those of the given activity,
    then similar names anywhere.
    """
    known, folded = _read_level(session, edition, level), fold_name(activity or "")
    ranked = known.names.rank(subactivity, _MOST_RANKED)
    same_name = [item.code for item in ranked if item.likeness is Likeness.exact]
    same_name.sort(key=lambda code: -fuzz.ratio(known.items[code][0], folded))
    name = fold_name(subactivity)
    beside = [code for code, (of, _) in known.items.items() if of == folded]
    beside.sort(key=lambda code: -fuzz.token_sort_ratio(name, fold_name(known.items[code][1].name)))
    codes = dict.fromkeys([*same_name, *beside, *(item.code for item in ranked)])
    candidates = (known.items[code][1] for code in codes if can_use_code(region, code))
    return list(islice((item for item in candidates if not item.retired), MOST_CANDIDATES))
