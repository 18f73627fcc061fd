"""Writes of whole actions: a thousand by as many statements as one."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlmodel import Session

from app.kit.database.engine import table_of
from app.kit.database.journal import Author, next_versions
from app.kit.database.parts import PartList, write_parts
from app.kit.database.upsert import upsert
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
    """Write whole actions. Return their new versions, by code."""
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
        lists = [
            PartList(
                {"action_id": ids[code]},
                _items_of(part, content, plan),
                _items_of(part, stored[code].content, plan) if code in stored else [],
            )
            for code, content in contents.items()
        ]
        write_parts(session, part.table, part.key, lists)
    if rewritten := [ids[code] for code in contents if code in stored]:
        for follow in AFTER_ACTIONS:
            follow(session, rewritten)
    return {row.code: row.version for row in written}


def _items_of(part: Part, content: dict[str, Any], plan: Plan) -> list[dict[str, Any]]:
    """Return the rows of one list of an action; an agency is named with its region."""
    items: list[Any] = content[part.name]
    extra = {"region_code": plan.region_code} if part.name == "supporting_agencies" else {}
    return items if part.shape else [{part.key: item, **extra} for item in items]


def key_of(part: Part, item: Any) -> str:
    return str(item[part.key] if part.shape else item)
