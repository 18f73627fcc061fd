"""The record of an import, which the import writes after its lines."""

from collections.abc import Mapping

import sqlalchemy as sa

from app.access.commands import Write
from app.changes.commands import ImportedFile, record_file
from app.kit.database.upsert import upsert
from app.plans.core.models import Plan
from app.plans.core.rules import format_plan_chain
from app.plans.imports.queries import imported_lines, imports


def record_import(
    write: Write,
    plan: Plan,
    file: ImportedFile,
    lines: Mapping[str, tuple[int, int]],
    *,
    is_amendment: bool,
) -> int:
    """Record an import that changed something, with (version, row) of each line that it wrote. Return its number."""
    chain, session = format_plan_chain(plan.code), write.session
    last = sa.select(sa.func.max(imports.c.number)).where(imports.c.plan_id == plan.id)
    number = (session.scalar(last) or 0) + 1
    key: dict[str, object] = {"plan_id": plan.id, "number": number}
    stamp = {"at": write.author.at.isoformat(), "actor": write.author.actor, "is_amendment": is_amendment}
    upsert(session, imports, [{**key, **stamp, **file._asdict()}])
    rows = [{**key, "code": code, "version": version, "row": row} for code, (version, row) in lines.items()]
    if rows:
        upsert(session, imported_lines, rows)
    record_file(write, chain, plan.region_code, f"plans/{plan.code}", file, number=number, is_draft=True)
    return number
