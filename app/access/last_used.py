"""When tokens and persons were last used, written behind the requests.

A request only notes what it saw, and only where what is stored is older than a few minutes. What a killed process
had noted is lost: less than the time between two writings.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session

from app.access.models import Principal, Token
from app.access.queries import Bearer
from app.kit.database.engine import table_of
from app.kit.write_behind import WriteBehind

GRAIN = timedelta(minutes=5)
"""How old the stored instant may be before a use is noted again."""

_TABLES = {"service": table_of(Token), "person": table_of(Principal)}
_UPDATES = {
    kind: sa.update(table)
    .where(
        table.c.id == sa.bindparam("used"),
        sa.or_(table.c.last_used_at.is_(None), table.c.last_used_at < sa.bindparam("at")),
    )
    .values(last_used_at=sa.bindparam("at"))
    for kind, table in _TABLES.items()
}


class Uses(WriteBehind[tuple[str, int], datetime]):
    """The uses of one process that are not written yet: (kind of bearer, id) → instant."""

    name = "uses"
    pause = 30.0
    largest = 100_000

    def note(self, bearer: Bearer, now: datetime) -> None:
        """Remember a use, where the stored one is not of these minutes."""
        if bearer.last_used_at is None or now - bearer.last_used_at >= GRAIN:
            self.add({(bearer.kind, bearer.id): now})

    def save(self, session: Session, values: Mapping[tuple[str, int], datetime]) -> None:
        """Write the instants where they are later than the stored ones."""
        for kind, update in _UPDATES.items():
            used = [{"used": id, "at": at} for (of, id), at in values.items() if of == kind]
            if used:
                session.connection().execute(update, used)
