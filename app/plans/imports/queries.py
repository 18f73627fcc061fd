"""Queries of the imports of a plan, and of the rows that its lines came from."""

import json
import re
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement, Select
from sqlmodel import Session

from app.access.rules import Actor
from app.kit.database.engine import get_table
from app.kit.database.json_sql import build_json_array, build_json_object, select_fields, select_json
from app.kit.http.pagination import Listing, PageQuery
from app.kit.problems import NotFound, require_found
from app.plans.core.models import Plan
from app.plans.imports.models import ImportedFrom, ImportedLine, ImportedLineRow, PlanImport, PlanImportRow

imports, imported_lines = get_table(PlanImportRow), get_table(ImportedLineRow)


class ImportsQuery(PageQuery):
    """Order of a plan's imports."""

    sort: Literal["number", "-number"] = "-number"


def list_imports(actor: Actor, plan: Plan) -> Listing:
    """Return the imports of a plan. Raises NotFound if the actor may not read drafts."""
    return Listing(_select_imports(actor, plan), {"number": imports.c.number}, {"number": imports.c.number})


def read_import(session: Session, actor: Actor, plan: Plan, number: str) -> str:
    """Return an import with its lines as JSON text (`PlanImportReply`).

    Raises NotFound if it does not exist, or if the actor may not read drafts.
    """
    if re.fullmatch(r"[1-9][0-9]{0,8}", number) is None:
        raise NotFound()
    columns = select_fields(ImportedLine, imported_lines, line=imported_lines.c.code)
    is_of_import = sa.and_(
        imported_lines.c.plan_id == imports.c.plan_id, imported_lines.c.number == imports.c.number
    )
    lines = sa.select(*columns).where(is_of_import).order_by(imported_lines.c.row, imported_lines.c.code)
    query = _select_imports(actor, plan).where(imports.c.number == int(number))
    query = query.add_columns(build_json_array(lines.correlate(imports), name="lines").label("lines"))
    return require_found(session.scalar(select_json(query)))


def _select_imports(actor: Actor, plan: Plan) -> Select[Any]:
    if not actor.may("read_drafts", plan.region_code):
        raise NotFound()
    return sa.select(*select_fields(PlanImport, imports)).where(imports.c.plan_id == plan.id)


def build_origin(lines: sa.Table) -> ColumnElement[str]:
    """Return the row that a line in force came from as JSON, correlated; null if another write came later."""
    is_of_line = (
        imported_lines.c.plan_id == lines.c.plan_id,
        imported_lines.c.code == lines.c.code,
        imported_lines.c.version == lines.c.version,
        sa.not_(imports.c.is_amendment),
    )
    return build_json_object(_select_origins().where(*is_of_line).correlate(lines), name="origin")


def _select_origins() -> Select[Any]:
    columns = select_fields(
        ImportedFrom, imported_lines, import_number=imported_lines.c.number, sheet=imports.c.sheet
    )
    is_of_import = sa.and_(
        imports.c.plan_id == imported_lines.c.plan_id, imports.c.number == imported_lines.c.number
    )
    return sa.select(*columns).join_from(imported_lines, imports, is_of_import)


def read_draft_origins(session: Session, plan: Plan) -> dict[tuple[str, int], dict[str, Any]]:
    """Return the rows that drafted lines of amendments came from (`ImportedFrom`), by code and version."""
    query = _select_origins().add_columns(imported_lines.c.code, imported_lines.c.version)
    chosen = (imported_lines.c.plan_id == plan.id, imports.c.is_amendment)
    origins = {}
    for text in session.scalars(select_json(query.where(*chosen))):
        origin = json.loads(text)
        origins[origin.pop("code"), origin.pop("version")] = origin
    return origins
