"""The usual code: ORM objects with relationships, and a `response_model`.

It is a fair comparison: equal tables, indexes and authentication, one transaction per request, `selectinload` for the
reply, one `IN` for a batch, reply models without validators, and an equal journal row for each write. It omits ETags,
unknown parameters, findings and log lines.
"""

import gc
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from pydantic import BaseModel
from sqlalchemy.orm import Session, selectinload

from app.access.queries import find_token_bearer
from app.access.rules import Actor, is_within
from app.kit.database.journal import FEED, FORMAT, hash_row
from app.settings import Settings
from app.tracking.progress.models import ProgressIn
from benchmarks.naive_shapes import ActionOut, ActionsOut, Batch, BatchOut, ProgressOut
from benchmarks.naive_tables import ACTION_PARTS, PROGRESS_PARTS, Action, Head, Journal, Plan, Progress

# Caller and transaction


def open_session(request: Request) -> Iterator[Session]:
    with Session(request.app.state.engine) as session:
        yield session
        session.commit()


OneSession = Annotated[Session, Depends(open_session, scope="function")]


def find_caller(request: Request, session: OneSession) -> Actor:
    _, _, secret = request.headers.get("authorization", "").partition(" ")
    bearer = find_token_bearer(session, secret, now=datetime.now(UTC), client=None)  # type: ignore[arg-type]
    if bearer is None:
        raise HTTPException(401)
    return bearer[0]


Caller = Annotated[Actor, Depends(find_caller)]

router = APIRouter(prefix="/v1")


def _find_plan(session: Session, actor: Actor, code: str) -> Plan:
    plan = session.scalars(sa.select(Plan).where(Plan.code == code)).one_or_none()
    if plan is None or not actor.sees(plan.region_code):
        raise HTTPException(404)
    return plan


@router.get("/plans/{plan}/actions", response_model=ActionsOut)
def read_actions(session: OneSession, actor: Caller, plan: str, limit: int = 100, after: str = "") -> Any:
    stored = _find_plan(session, actor, plan)
    query = (
        sa.select(Action)
        .where(Action.plan_id == stored.id, Action.code > after)
        .order_by(Action.code)
        .limit(limit + 1)
        .options(*[selectinload(part) for part in ACTION_PARTS])
    )
    actions = session.scalars(query).all()
    return {"items": actions[:limit], "next": actions[limit - 1].code if len(actions) > limit else None}


@router.get("/pulls/{period}")
def read_pull(request: Request, actor: Caller, period: str, region: str = "0") -> Response:
    """Return all lines with their reports of a quarter, loaded plan by plan to bound memory."""
    # With these versions the garbage collector crashes on thousands of expunged objects.
    gc.disable()
    try:
        whole = "".join(_render_lines(request, actor, period, region))
    finally:
        gc.enable()
    return Response(whole, media_type="application/x-ndjson")


def _render_lines(request: Request, actor: Actor, period: str, region: str) -> Iterator[str]:
    reports = selectinload(Action.reports.and_(Progress.period == period))
    parts = [reports.selectinload(getattr(Progress, name)) for name in PROGRESS_PARTS]
    with Session(request.app.state.engine) as session:
        of_year = sa.select(Plan).where(Plan.year == int(period[:4])).order_by(Plan.region_code)
        for plan in session.scalars(of_year).all():
            if not (actor.sees(plan.region_code) and is_within(plan.region_code, region)):
                continue
            lines = sa.select(Action).where(Action.plan_id == plan.id).order_by(Action.code)
            eager = [*(selectinload(part) for part in ACTION_PARTS), *parts]
            yield "".join(_render_line(action) for action in session.scalars(lines.options(*eager)).all())
            session.expunge_all()


def _render_line(action: Action) -> str:
    line = ActionOut.model_validate(action, from_attributes=True).model_dump_json()
    reports = [ProgressOut.model_validate(report, from_attributes=True) for report in action.reports]
    return f'{{"line":{line},"report":{reports[0].model_dump_json() if reports else "null"}}}\n'


# Writing progress


def _set_report(
    session: Session, actor: Actor, action: Action, period: str, content: ProgressIn, plan: Plan
) -> Progress:
    """Write the content and its derived figures to the report; the caller flushes and journals."""
    report = next((item for item in action.reports if item.period == period), None)
    if report is None:
        report = Progress(
            action_id=action.id,
            period=period,
            plan_id=plan.id,
            region_code=plan.region_code,
            year=plan.year,
            version=0,
        )
        action.reports.append(report)
    for name in ("physical_reported_percent", "obstacle", "follow_up", "evidence", "spent"):
        setattr(report, name, getattr(content, name))
    for name, table in PROGRESS_PARTS.items():
        _replace_rows(getattr(report, name), table, getattr(content, name), period)
    report.version += 1
    report.reported_at = datetime.now(UTC)
    report.reported_by = actor.token
    report.physical_percent, report.physical_basis = _compute_physical(action, report)
    latest = max(action.reports, key=lambda item: item.period)
    action.progress_period, action.spent, action.physical_percent = (
        latest.period,
        latest.spent,
        latest.physical_percent,
    )
    return report


def _replace_rows(rows: list[Any], table: type[Any], items: list[BaseModel], period: str) -> None:
    """Replace rows by items: update those with equal keys, insert and delete others."""
    key = next(iter(type(items[0]).model_fields)) if items else "code"
    old = {getattr(row, key): row for row in rows}
    replaced = []
    for position, item in enumerate(items):
        values = item.model_dump()
        row = old.get(values[key]) or table(period=period)
        for name, value in values.items():
            setattr(row, name, value)
        row.position = position
        replaced.append(row)
    rows[:] = replaced


def _compute_physical(action: Action, report: Progress) -> tuple[float | None, str | None]:
    if report.physical_reported_percent is not None:
        return report.physical_reported_percent, "reported"
    done = {milestone.code for milestone in report.milestones if milestone.state == "done"}
    weighted = [milestone for milestone in action.milestones if milestone.weight is not None]
    if weighted:
        return round(sum(item.weight for item in weighted if item.code in done), 2), "milestones"
    achieved = {output.code: output.achieved for output in report.outputs}
    targets = {output.code: output.target for output in action.outputs if output.target}
    shares = [min(achieved.get(code, 0) / target, 1) for code, target in targets.items()]
    return (round(sum(shares) / len(shares) * 100, 2), "outputs") if shares else (None, None)


def _dump_report(report: Progress | None) -> dict[str, Any]:
    if report is None:
        return {}
    shown = ProgressOut.model_validate(report, from_attributes=True).model_dump(mode="json")
    return {name: shown[name] for name in ProgressIn.model_fields}


def _build_entry(head: Head, actor: Actor, plan: Plan, report: Progress, before: dict[str, Any]) -> Journal:
    """Build the journal row of a report, without its sequence in the feed."""
    after = _dump_report(report)
    row = {
        "format": FORMAT,
        "at": datetime.now(UTC),
        "actor": actor.token,
        "principal": actor.principal,
        "kind": "progress.changed" if before else "progress.created",
        "region_code": plan.region_code,
        "subject": f"plans/{plan.code}/actions/{report.action}/progress/{report.period}",
        "version": report.version,
        "changes": {
            name: [before.get(name), after[name]] for name in sorted(after) if before.get(name) != after[name]
        },
        "reason": None,
        "request_id": None,
        "chain": head.chain,
        "position": head.position + 1,
        "is_draft": False,
        "salt": secrets.token_hex(32),
    }
    head.position += 1
    head.hash = hash_row(head.hash, row)
    return Journal(**{**row, "hash": head.hash})


def _find_actions(session: Session, plan: Plan, codes: list[str]) -> dict[str, Action]:
    reports = selectinload(Action.reports)
    query = (
        sa.select(Action)
        .where(Action.plan_id == plan.id, Action.code.in_(codes))
        .options(
            selectinload(Action.of_plan),
            selectinload(Action.milestones),
            selectinload(Action.outputs),
            selectinload(Action.budget_lines),
            selectinload(Action.recipients),
            *[reports.selectinload(getattr(Progress, name)) for name in PROGRESS_PARTS],
        )
    )
    return {action.code: action for action in session.scalars(query)}


def _write_reports(
    session: Session, actor: Actor, plan: str, period: str, contents: dict[str, ProgressIn]
) -> list[Progress]:
    stored = _find_plan(session, actor, plan)
    actor.require("report_progress", stored.region_code)
    head = session.scalars(sa.select(Head).where(Head.chain == f"plan:{plan}").with_for_update()).one()
    actions = _find_actions(session, stored, list(contents))
    written = []
    for code, content in contents.items():
        action = actions.get(code)
        if action is None:
            raise HTTPException(404)
        _check_keys(action, content)
        old = next((item for item in action.reports if item.period == period), None)
        before = _dump_report(old)
        report = _set_report(session, actor, action, period, content, stored)
        session.add(report)
        written.append((report, before))
    session.flush()
    rows = [_build_entry(head, actor, stored, report, before) for report, before in written]
    session.flush()
    feed = session.scalars(sa.select(Head).where(Head.chain == FEED).with_for_update()).one()
    for row in rows:
        feed.position += 1
        row.sequence = feed.position
    session.add_all(rows)
    session.flush()
    return [report for report, _ in written]


def _check_keys(action: Action, content: ProgressIn) -> None:
    known = {line.funding_source for line in action.budget_lines}
    for name, key in (("outputs", "code"), ("recipients", "code"), ("milestones", "code")):
        codes = {getattr(item, key) for item in getattr(action, name)}
        if any(getattr(item, key) not in codes for item in getattr(content, name)):
            raise HTTPException(422)
    if any(item.funding_source not in known for item in content.spending):
        raise HTTPException(422)


@router.put("/plans/{plan}/actions/{action}/progress/{period}", response_model=ProgressOut)
def put_progress(
    session: OneSession, actor: Caller, plan: str, action: str, period: str, content: ProgressIn
) -> Any:
    (report,) = _write_reports(session, actor, plan, period, {action: content})
    return report


@router.put("/plans/{plan}/progress/{period}", response_model=BatchOut)
def put_quarter(session: OneSession, actor: Caller, plan: str, period: str, batch: Batch) -> Any:
    written = _write_reports(session, actor, plan, period, {item.action: item for item in batch.items})
    return BatchOut(created=0, updated=len(written), unchanged=0, refused=0)


def create_app(url: str) -> FastAPI:
    app = FastAPI()
    if url.startswith("postgresql"):
        app.state.engine = sa.create_engine(url, pool_size=10, max_overflow=10)
    else:
        app.state.engine = sa.create_engine(url)
    app.include_router(router)
    return app


def application() -> FastAPI:
    """Build the application of a worker process."""
    return create_app(Settings(_env_file=None).database_url)
