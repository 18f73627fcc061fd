"""Storing whole actions: a thousand by as many statements as one."""

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from app.kit.database.engine import table_of
from app.kit.database.journal import Author, next_versions
from app.kit.database.json_sql import to_json
from app.kit.database.upsert import records, upsert
from app.kit.problems import PreconditionFailed
from app.plans.actions.models import PARTS, ActionFields, ActionRow, Part
from app.plans.actions.queries import StoredAction
from app.plans.actions.rules import action_subject, search_text
from app.plans.core.models import Plan

AFTER_ACTIONS: list[Callable[[Session, Sequence[int]], None]] = []
"""Called with the ids of actions that were there before and were rewritten: areas above keep figures
that follow from an action's targets and milestones, and the import direction forbids naming them here."""


def write_actions(
    session: Session,
    author: Author,
    plan: Plan,
    contents: dict[str, dict[str, Any]],
    stored: dict[str, StoredAction],
) -> dict[str, int]:
    """Write whole actions and give their new versions, by code."""
    if not contents:
        return {}
    fixed = {
        "plan_id": plan.id,
        "region_code": plan.region_code,
        "year": plan.year,
        "updated_at": author.at.isoformat(),
    }
    subjects = {code: action_subject(plan.code, code) for code in contents}
    versions = next_versions(session, subjects, stored)
    rows = [
        {
            **{name: content[name] for name in ActionFields.model_fields},
            **fixed,
            "code": code,
            "search": search_text(content),
            "version": versions[code],
        }
        for code, content in contents.items()
    ]
    written = upsert(
        session,
        table_of(ActionRow),
        rows,
        key=["plan_id", "code"],
        versioned=True,
        returning=["id", "code", "version"],
    )
    if len(written) != len(rows):
        raise PreconditionFailed()
    ids = {row.code: row.id for row in written}
    for part in PARTS:
        _write_part(session, plan, part, ids, contents, stored)
    if rewritten := [ids[code] for code in contents if code in stored]:
        for follow in AFTER_ACTIONS:
            follow(session, rewritten)
    return {row.code: row.version for row in written}


def _write_part(
    session: Session,
    plan: Plan,
    part: Part,
    ids: dict[str, int],
    contents: dict[str, dict[str, Any]],
    stored: dict[str, StoredAction],
) -> None:
    """Make one list of many actions what it shall be; items are matched by key, so that what was
    reported on an item that stays survives."""
    gone, rows = [], []
    extra = {"region_code": plan.region_code} if part.name == "supporting_agencies" else {}
    for code, content in contents.items():
        items = content[part.name]
        old = stored[code].content[part.name] if code in stored else []
        if items == old:
            continue
        keys = {key_of(part, item) for item in items}
        gone += [
            {"action_id": ids[code], part.key: key_of(part, item)}
            for item in old
            if key_of(part, item) not in keys
        ]
        rows += [
            {**(item if part.shape else {part.key: item}), **extra, "action_id": ids[code], "position": n}
            for n, item in enumerate(items)
        ]
    if gone:
        _delete_items(session, part, gone)
    upsert(session, part.table, rows, key=["action_id", part.key])


def key_of(part: Part, item: Any) -> str:
    return str(item[part.key] if part.shape else item)


def _delete_items(session: Session, part: Part, gone: Sequence[dict[str, Any]]) -> None:
    """Delete items by (action, key)."""
    source = records(session, {name: part.table.c[name].type for name in ("action_id", part.key)})
    statement = sa.delete(part.table).where(
        sa.tuple_(part.table.c.action_id, part.table.c[part.key]).in_(
            sa.select(source.c.action_id, source.c[part.key])
        )
    )
    session.connection().execute(statement, {"records": to_json(list(gone))})
