"""Reading the nomenclature: lists and single codes as JSON, and look-ups of many at once for other areas."""

from collections.abc import Collection
from typing import NamedTuple

import sqlalchemy as sa
from rapidfuzz import fuzz, process
from sqlalchemy.sql import ColumnElement
from sqlmodel import Session

from app.kit.database.engine import table_of
from app.kit.database.json_sql import fields_of, json_rows, to_json
from app.kit.database.upsert import records
from app.kit.fields import folded
from app.kit.http.pagination import Listing, equal
from app.kit.problems import Problem, Text
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
from app.reference.queries import among, has_words, one_json

NOMENCLATURE = "nomenclature"


class NotLoaded(Problem):
    status = 503
    code = "reference_not_loaded"
    title = Text("Data rujukan belum dimuat", "Reference data not loaded")
    detail = Text(
        "Data rujukan belum lengkap; pengelola menjalankan: rata reference load",
        "Reference data is not all loaded; the operator runs: rata reference load",
    )


_subactivity, _edition = table_of(SubactivityRow), table_of(ReferenceEditionRow)


def nomenclatures() -> Listing:
    """The editions that are loaded."""
    statement = sa.select(*fields_of(NomenclatureOut, _edition)).where(_edition.c.name == NOMENCLATURE)
    return Listing(statement, {"edition": _edition.c.edition}, {"edition": _edition.c.edition})


def editions(session: Session) -> list[str]:
    """The names of the editions that are loaded, the newest last."""
    found = sa.select(_edition.c.edition).where(_edition.c.name == NOMENCLATURE).order_by(_edition.c.edition)
    return list(session.scalars(found))


def latest_edition(session: Session) -> str:
    """The newest edition of the nomenclature. NotLoaded (503) while there is none."""
    found = editions(session)
    if not found:
        raise NotLoaded()
    return found[-1]


def subactivities(edition: str, query: SubactivityQuery) -> Listing:
    """The sub-activities of an edition that match."""
    c = _subactivity.c
    statement = sa.select(*fields_of(SubactivityOut, _subactivity)).where(
        c.edition == edition,
        c.retired.is_(query.retired),
        has_words(c.folded, query.q),
        *equal(
            (c.government_level, query.government_level),
            (c.field_code, query.field),
            (c.program_code, query.program),
            (c.activity_code, query.activity),
            (c.predecessor_code, query.predecessor),
        ),
    )
    return Listing(
        statement, {"code": c.code, "name": c.name}, {"code": c.code, "government_level": c.government_level}
    )


def subactivity_json(session: Session, edition: str, level: GovernmentLevel, code: str) -> str:
    """Return one sub-activity as `SubactivityReply`. Raises NotFound if there is none."""
    c, after = _subactivity.c, _subactivity.alias("after")
    successors = (
        sa.select(*fields_of(SubactivityName, after))
        .where(
            after.c.edition == edition, after.c.government_level == level, after.c.predecessor_code == code
        )
        .order_by(after.c.code)
    )
    return one_json(
        session,
        sa.select(
            *fields_of(SubactivityReply, _subactivity, successors=json_rows(successors, name="successors_of"))
        ).where(c.edition == edition, c.government_level == level, c.code == code),
    )


class FoundSubactivity(NamedTuple):
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
        """As it is shown to a person who has to choose."""
        return f"{self.code} {self.name} ({self.activity})"


_FOUND_SUBACTIVITY = [
    _subactivity.c.activity_name
    if name == "activity"
    else _subactivity.c.program_name
    if name == "program"
    else _subactivity.c[name]
    for name in FoundSubactivity._fields
]

Pair = tuple[str, str]
"""(activity name, sub-activity name) as written."""


def _of_level(edition: str, level: str) -> ColumnElement[bool]:
    return sa.and_(
        _subactivity.c.edition == edition, _subactivity.c.government_level == GovernmentLevel(level)
    )


def subactivities_by_code(
    session: Session, edition: str, level: str, codes: Collection[str]
) -> dict[str, FoundSubactivity]:
    """Code → sub-activity, in one SELECT; unknown codes are missing, retired ones are there."""
    if not codes:
        return {}
    found = session.execute(
        sa.select(*_FOUND_SUBACTIVITY).where(
            _of_level(edition, level), among(session, _subactivity.c.code, codes)
        )
    )
    return {row.code: FoundSubactivity(*row) for row in found}


def successors_of(
    session: Session, edition: str, level: str, codes: Collection[str]
) -> dict[str, list[FoundSubactivity]]:
    """Code → the sub-activities of the edition that name it as predecessor, in one SELECT."""
    if not codes:
        return {}
    found = session.execute(
        sa.select(_subactivity.c.predecessor_code, *_FOUND_SUBACTIVITY)
        .where(_of_level(edition, level), among(session, _subactivity.c.predecessor_code, codes))
        .order_by(_subactivity.c.code)
    )
    result: dict[str, list[FoundSubactivity]] = {}
    for predecessor, *row in found:
        result.setdefault(predecessor, []).append(FoundSubactivity(*row))
    return result


_ASKED = {"edition": sa.String(), "code": sa.String()}


def codes_not_in_force(
    session: Session, level: str, codes: Collection[tuple[str, str]]
) -> dict[tuple[str, str], list[FoundSubactivity]]:
    """Of these (edition, code) pairs those that are unknown at this level or retired, each with the codes in its
    edition that name it as predecessor; one SELECT for any number of editions."""
    if not codes:
        return {}
    asked = records(session, _ASKED)
    after = _subactivity.alias("after")
    of_level = _subactivity.c.government_level == GovernmentLevel(level)
    in_force = (
        sa.exists()
        .where(
            of_level,
            _subactivity.c.edition == asked.c.edition,
            _subactivity.c.code == asked.c.code,
            _subactivity.c.retired.is_(False),
        )
        .correlate(asked)
    )
    follows = sa.and_(
        after.c.government_level == GovernmentLevel(level),
        after.c.edition == asked.c.edition,
        after.c.predecessor_code == asked.c.code,
    )
    found = (
        sa.select(
            asked.c.edition.label("of_edition"),
            asked.c.code.label("of_code"),
            *[after.c[column.name] for column in _FOUND_SUBACTIVITY],
        )
        .select_from(asked.outerjoin(after, follows))
        .where(~in_force)
        .order_by(asked.c.edition, asked.c.code, after.c.code)
    )
    sent = to_json([{"edition": edition, "code": code} for edition, code in sorted(codes)])
    result: dict[tuple[str, str], list[FoundSubactivity]] = {}
    for edition, code, *row in session.connection().execute(found, {"records": sent}):
        successors = result.setdefault((edition, code), [])
        if row[0] is not None:
            successors.append(FoundSubactivity(*row))
    return result


def subactivities_named(
    session: Session, edition: str, level: str, pairs: Collection[Pair]
) -> dict[Pair, list[FoundSubactivity]]:
    """Pair of names → the sub-activities of exactly these folded names, in one SELECT.

    Without an activity name (`("", name)`) the name alone decides. No entry: none; several: ambiguous.
    Retired codes are left out.
    """
    keys = {pair: (folded(pair[0]), folded(pair[1])) for pair in pairs if folded(pair[1])}
    if not keys:
        return {}
    c = _subactivity.c
    rows = session.execute(
        sa.select(c.folded_activity, c.folded_name, *_FOUND_SUBACTIVITY)
        .where(
            _of_level(edition, level),
            among(session, c.folded_name, [name for _, name in keys.values()]),
            c.retired.is_(False),
        )
        .order_by(c.code)
    )
    by_name: dict[str, list[tuple[str, FoundSubactivity]]] = {}
    for activity, name, *row in rows:
        by_name.setdefault(name, []).append((activity, FoundSubactivity(*row)))
    result = {
        pair: [found for of, found in by_name.get(name, ()) if not activity or of == activity]
        for pair, (activity, name) in keys.items()
    }
    return {pair: found for pair, found in result.items() if found}


_Folded = tuple[str, str, FoundSubactivity]
_levels: dict[tuple[str, str, str], list[_Folded]] = {}


def _whole_level(session: Session, edition: str, level: str) -> list[_Folded]:
    """Every sub-activity of a level, kept in memory for as long as the edition's file is the same one."""
    sha256 = session.scalar(
        sa.select(_edition.c.sha256).where(_edition.c.name == NOMENCLATURE, _edition.c.edition == edition)
    )
    if sha256 is None:
        return []
    key = (edition, level, sha256)
    if key not in _levels:
        rows = session.execute(
            sa.select(_subactivity.c.folded_activity, _subactivity.c.folded_name, *_FOUND_SUBACTIVITY)
            .where(_of_level(edition, level), _subactivity.c.retired.is_(False))
            .order_by(_subactivity.c.code)
        )
        for stale in [known for known in _levels if known[:2] == key[:2]]:
            _levels.pop(stale, None)
        _levels[key] = [(activity, name, FoundSubactivity(*row)) for activity, name, *row in rows]
    return _levels[key]


MOST_CANDIDATES = 3
"""Sub-activities that are shown for a name that fits none."""


def subactivities_like(
    session: Session,
    edition: str,
    level: str,
    *,
    subactivity: str,
    activity: str | None = None,
) -> list[FoundSubactivity]:
    """Candidates for a name that fits none, to show to a person, best first; never to be taken without asking.

    First those of the same name in the likest activities, then the likest names of the same activity,
    then the likest names of all. 5 ms each.
    """
    known = _whole_level(session, edition, level)
    activity, name = folded(activity or ""), folded(subactivity)
    same_name = sorted((k for k in known if k[1] == name), key=lambda k: -fuzz.ratio(k[0], activity))
    found = [k[2] for k in same_name]
    for choices in ([k for k in known if activity and k[0] == activity], known):
        if len(found) < MOST_CANDIDATES:
            ranked = process.extract(
                name,
                [k[1] for k in choices],
                scorer=fuzz.token_sort_ratio,
                limit=MOST_CANDIDATES,
                score_cutoff=60,
            )
            found += [choices[position][2] for _, _, position in ranked]
    return list(dict.fromkeys(found))[:MOST_CANDIDATES]
