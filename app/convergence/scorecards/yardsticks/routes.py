"""Yardsticks over HTTP."""

from fastapi import Response

from app.access.actor import Caller
from app.changes.history import History, answer_history
from app.changes.models import HistoryEntry
from app.convergence.scorecards.yardsticks import queries
from app.convergence.scorecards.yardsticks.models import (
    ProvinceKey,
    YardstickOut,
    YardstickPeriod,
    YardsticksQuery,
)
from app.convergence.scorecards.yardsticks.rules import CHAIN, format_yardstick_subject
from app.kit.http.pagination import Page
from app.kit.http.replies import answer
from app.kit.http.routing import FromQuery, make_router

router = make_router(tags=["convergence"])


@router.get("/yardsticks", response_model=Page[YardstickOut])
def list_yardsticks(call: Caller, query: FromQuery[YardsticksQuery]) -> Response:
    """List the settled yardsticks of the provinces that the caller sees: the highest spending figure of a quarter, with
    the plans that count and those that do not."""
    return call.answer_list(queries.list_yardsticks(call.actor, query), query, sort=query.sort)


@router.get("/regions/{region}/yardsticks/{period}", response_model=YardstickOut)
def read_yardstick(call: Caller, region: ProvinceKey, period: YardstickPeriod) -> Response:
    """Return the yardstick of a province's quarter, which never changes once it is settled.

    The freeze of the last plan in force settles it, else the first freeze or `rata deliver` after the quarter's closing
    day, 120 days after the due day where the calendar never closes. 404 before that; scorecards then show a provisional
    one.
    """
    text = queries.read_yardstick(call.session, call.actor, region, period)
    return answer(call.request, text.encode())


@router.get("/regions/{region}/yardsticks/{period}/history", response_model=Page[HistoryEntry])
def list_yardstick_history(
    call: Caller, region: ProvinceKey, period: YardstickPeriod, query: History
) -> Response:
    """List the settlement of a province's yardstick, with actor and time. 404 before it."""
    subject = format_yardstick_subject(region, period)
    return answer_history(call, f"{CHAIN}{region}", subject, query)
