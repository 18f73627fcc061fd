"""Tables of what comes every quarter, cut by year on PostgreSQL: old years can then be put away in an instant.

The years lie in a schema of their own, so that models and migrations see one table each, as everywhere else.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.kit.database.engine import Database

SCHEMA = "years"
_EARLIER, _LATER = "earlier", "later"


class NotPartitioned(Exception):
    """Nothing was done; the text says why."""


def partition(database: Database, tables: Iterable[str], *, until: int) -> list[str]:
    """Cut these tables, each after those that it refers to, by the year of their `period`, up to and with a year.

    All of it or nothing, and nobody else reads or writes meanwhile. Tables that are cut already get the years that
    are missing. Gives the names of the years that were made. NotPartitioned: there are rows beyond the last year.
    """
    _check(database)
    names = list(tables)
    with database.engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        connection.exec_driver_sql(f"LOCK TABLE {', '.join(names)} IN ACCESS EXCLUSIVE MODE")
        whole = [name for name in names if not _is_cut(connection, name)]
        years = _years(connection, names, until)
        _cut(connection, whole, years)
        made = [one for name in names if name not in whole for one in _extend(connection, name, until)]
        for name in whole:
            connection.exec_driver_sql(f"ANALYZE {name}")
    return made + [f"{name}_{year}" for name in whole for year in years]


def put_away(database: Database, tables: Iterable[str], year: int) -> list[str]:
    """Take a year out of these tables; its rows stay, as tables of the schema `years` that nothing refers to."""
    _check(database)
    names = list(tables)
    with database.engine.begin() as connection:
        away = [name for name in reversed(names) if _exists(connection, f"{name}_{year}")]
        if len(away) != len(names) or not all(_is_cut(connection, name) for name in names):
            raise NotPartitioned(f"Not every table has the year {year}.")
        # who refers to the rows of a table goes before them
        for name in away:
            part = f"{SCHEMA}.{name}_{year}"
            connection.exec_driver_sql(f"ALTER TABLE {name} DETACH PARTITION {part}")
            for constraint, _ in _constraints(connection, part, "f"):
                connection.exec_driver_sql(f'ALTER TABLE {part} DROP CONSTRAINT IF EXISTS "{constraint}"')
    return [f"{name}_{year}" for name in names]


def _check(database: Database) -> None:
    if database.is_sqlite:
        raise NotPartitioned("A file has no partitions. They are for the server's database.")


def _is_cut(connection: Connection, name: str) -> bool:
    kind = connection.execute(
        sa.text("SELECT relkind FROM pg_class WHERE oid = to_regclass(:name)"), {"name": name}
    )
    return bool(kind.scalar() == "p")


def _exists(connection: Connection, part: str) -> bool:
    found = connection.execute(sa.text("SELECT to_regclass(:name)"), {"name": f"{SCHEMA}.{part}"})
    return found.scalar() is not None


def _years(connection: Connection, names: list[str], until: int) -> range:
    """From the first that there is to the last that is wanted."""
    periods = " UNION ALL ".join(f"SELECT min(period) AS period FROM {name}" for name in names)  # noqa: S608 - our names
    first = connection.exec_driver_sql(f"SELECT min(period) FROM ({periods}) AS found").scalar()  # noqa: S608 - the same
    return range(int(first[:4]) if first else datetime.now(UTC).year, until + 1)


def _cut(connection: Connection, names: list[str], years: range) -> None:
    """The tables made anew, in parts, under their names and those of their keys, and their rows put into them."""
    for name in names:  # with all their names, which are free then
        connection.exec_driver_sql(f"ALTER TABLE {name} SET SCHEMA {SCHEMA}")
    for name in names:
        old = f"{SCHEMA}.{name}"
        connection.exec_driver_sql(
            f"CREATE TABLE {name} (LIKE {old} INCLUDING DEFAULTS INCLUDING STORAGE) PARTITION BY RANGE (period)"
        )
        for constraint, said in _constraints(connection, old, "p", "u", "c"):
            connection.exec_driver_sql(f'ALTER TABLE {name} ADD CONSTRAINT "{constraint}" {said}')
        for part, bounds in _parts(name, years):
            connection.exec_driver_sql(
                f"CREATE TABLE {SCHEMA}.{part} PARTITION OF {name} FOR VALUES {bounds}"
            )
        connection.exec_driver_sql(f"INSERT INTO {name} SELECT * FROM {old}")  # noqa: S608 - our names
        for said in _indexes(connection, old):
            connection.exec_driver_sql(said.replace(f" ON {old} ", f" ON {name} "))
        for constraint, said in _constraints(connection, old, "f"):
            # what refers to another table of these is to refer to the new one
            here = said.replace(f"REFERENCES {SCHEMA}.", "REFERENCES ")
            connection.exec_driver_sql(f'ALTER TABLE {name} ADD CONSTRAINT "{constraint}" {here}')
    for name in reversed(names):
        connection.exec_driver_sql(f"DROP TABLE {SCHEMA}.{name}")


def _extend(connection: Connection, name: str, until: int) -> list[str]:
    """Make the years that are missing at the end of a table that is cut already."""
    later = f"{SCHEMA}.{name}_{_LATER}"
    attached = connection.execute(
        sa.text(
            "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
            "WHERE inhparent = to_regclass(:name) AND relname ~ '_[0-9]{4}$'"
        ),
        {"name": name},
    )
    missing = range(max((int(part[-4:]) for part in attached.scalars()), default=until) + 1, until + 1)
    if not missing:
        return []
    if connection.exec_driver_sql(f"SELECT EXISTS (SELECT FROM {later})").scalar():  # noqa: S608 - our names
        raise NotPartitioned(f"There are rows behind the last year of {name} already: {later}.")
    connection.exec_driver_sql(f"ALTER TABLE {name} DETACH PARTITION {later}")
    connection.exec_driver_sql(f"DROP TABLE {later}")
    for part, bounds in _parts(name, missing)[1:]:
        connection.exec_driver_sql(f"CREATE TABLE {SCHEMA}.{part} PARTITION OF {name} FOR VALUES {bounds}")
    return [f"{name}_{year}" for year in missing]


def _parts(name: str, years: range) -> list[tuple[str, str]]:
    """Names and bounds: the years, and what lies before and behind them, so that no row is ever refused."""
    found = [(f"{name}_{_EARLIER}", f"FROM (MINVALUE) TO ('{years.start}')")]
    found += [(f"{name}_{year}", f"FROM ('{year}') TO ('{year + 1}')") for year in years]
    return [*found, (f"{name}_{_LATER}", f"FROM ('{years.stop}') TO (MAXVALUE)")]


def _constraints(connection: Connection, name: str, *kinds: str) -> list[tuple[str, str]]:
    found = connection.execute(
        sa.text(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
            'WHERE conrelid = to_regclass(:name) AND contype = ANY (CAST(:kinds AS "char"[])) ORDER BY conname'
        ),
        {"name": name, "kinds": list(kinds)},
    )
    return [(row[0], row[1]) for row in found]


def _indexes(connection: Connection, name: str) -> list[str]:
    """Those that are not of a constraint."""
    found = connection.execute(
        sa.text(
            "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = to_regclass(:name) "
            "AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid) ORDER BY 1"
        ),
        {"name": name},
    )
    return [row[0] for row in found]
