"""The hot calls: what is asked of each variant, and how much better than what each must be."""

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from app.access.rules import CONSOLE
from app.kit.database.engine import Database
from app.plans.actions.queries import read_stored_actions
from app.plans.core.queries import find_plan
from benchmarks.data import BIG_PLAN, PROVINCE, Size, new_token, plan_codes, report
from benchmarks.load import ask, request


@dataclass(frozen=True)
class Bar:
    """The service's rate is at least `factor` times that of a variant, or of another call of its own."""

    factor: float
    variant: str = "service"
    call: str | None = None
    by_time: bool = False
    """Stated the other way round: its time is at most `factor` times the other's."""


@dataclass(frozen=True)
class HotCall:
    name: str
    title: str
    variants: tuple[str, ...]
    bars: tuple[Bar, ...]
    requests: Callable[["World", str, int], Iterator[bytes]]
    """Given where it is asked, of which variant on which port: requests without an end."""
    connections: int = 4
    status: int = 200


@dataclass(frozen=True)
class World:
    """What the calls need to know of the data."""

    size: Size
    secret: str
    plans: list[str]
    lines: dict[str, list[dict[str, Any]]]
    """Lines of the plans that are written to, as the service shows them."""
    nation_secret: str

    @classmethod
    def look(cls, database: Database, size: Size, secret: str) -> "World":
        plans = plan_codes(database)
        wanted = [*plans[:8], BIG_PLAN]
        return cls(
            size, secret, plans, {plan: _lines(database, plan) for plan in wanted}, new_token(database, "0")
        )


def _lines(database: Database, code: str) -> list[dict[str, Any]]:
    with database.read_session() as session:
        stored = read_stored_actions(session, find_plan(session, CONSOLE, code))
    return [{**one.content, "code": key, "line": int(key[2:])} for key, one in sorted(stored.items())]


def page_path(world: World, plan: str | None = None) -> str:
    return f"/v1/plans/{plan or world.plans[0]}/actions?limit=100"


def summary_path(world: World) -> str:
    return f"/v1/summaries?region={PROVINCE}&period={world.size.quarter}"


def ranking_path(world: World) -> str:
    return f"/v1/scorecards?region={PROVINCE}&period={world.size.quarter}"


def scorecard_path(world: World, region: str | None = None) -> str:
    return f"/v1/scorecards/{region or world.plans[0][:5]}?period={world.size.quarter}"


def _page(world: World, variant: str, port: int) -> Iterator[bytes]:
    return itertools.cycle(
        [request("GET", page_path(world, plan), world.secret) for plan in world.plans[:20]]
    )


def _unchanged(world: World, variant: str, port: int) -> Iterator[bytes]:
    made = []
    for plan in world.plans[:20]:
        tag = ask(port, request("GET", page_path(world, plan), world.secret)).header("etag")
        made.append(request("GET", page_path(world, plan), world.secret, If_None_Match=tag))
    return itertools.cycle(made)


def _summary(world: World, variant: str, port: int) -> Iterator[bytes]:
    return itertools.repeat(request("GET", summary_path(world), world.secret))


def _by_key(world: World, variant: str, port: int) -> Iterator[bytes]:
    plan = world.plans[0]
    return itertools.cycle(
        [request("GET", progress_path(world, plan, line), world.secret) for line in world.lines[plan][:50]]
    )


def _ranking(world: World, variant: str, port: int) -> Iterator[bytes]:
    return itertools.repeat(request("GET", ranking_path(world), world.secret))


def _scorecard(world: World, variant: str, port: int) -> Iterator[bytes]:
    regions = [plan[:5] for plan in world.plans[:20]]
    return itertools.cycle([request("GET", scorecard_path(world, one), world.secret) for one in regions])


def _rolled_up(world: World, variant: str, port: int) -> Iterator[bytes]:
    return itertools.repeat(request("GET", scorecard_path(world, "0"), world.nation_secret))


_share = random.Random(2)


def new_report(world: World, line: dict[str, Any]) -> dict[str, Any]:
    """A report that differs from the one that is stored."""
    made = report(line, world.size.quarters, share=_share.randrange(1, 100))
    made["follow_up"] = f"Tindak lanjut {_share.random()}"
    return made


def progress_path(world: World, plan: str, line: dict[str, Any]) -> str:
    return f"/v1/plans/{plan}/actions/{line['code']}/progress/{world.size.quarter}"


def _one_report(world: World, variant: str, port: int) -> Iterator[bytes]:
    plans = [plan for plan in world.lines if plan != BIG_PLAN]
    for plan in itertools.cycle(plans):
        line = _share.choice(world.lines[plan])
        yield request(
            "PUT", progress_path(world, plan, line), world.secret, new_report(world, line), If_Match="*"
        )


def batch(world: World) -> dict[str, Any]:
    return {
        "items": [
            {"action": line["code"], **new_report(world, line)} for line in world.lines[BIG_PLAN][:1000]
        ]
    }


def batch_path(world: World) -> str:
    return f"/v1/plans/{BIG_PLAN}/progress/{world.size.quarter}"


def _thousand_reports(world: World, variant: str, port: int) -> Iterator[bytes]:
    while True:
        yield request("PUT", batch_path(world), world.secret, batch(world), If_Match="*")


CALLS = (
    HotCall(
        "page",
        "page of 100 actions, all parts, latest progress",
        ("service", "raw", "naive"),
        (Bar(8, "naive"), Bar(0.5, "raw")),
        _page,
    ),
    HotCall("unchanged", "304 of that page", ("service",), (Bar(4, call="page"),), _unchanged, status=304),
    HotCall(
        "batch",
        "1,000 progress reports in one call",
        ("service", "naive"),
        (Bar(5, "naive"),),
        _thousand_reports,
        connections=1,
    ),
    HotCall("report", "one progress report", ("service", "naive"), (Bar(2.5, "naive"),), _one_report),
    HotCall(
        "summary",
        "a province's summary, 24 regencies",
        ("service", "raw"),
        (Bar(1.5, "raw", by_time=True),),
        _summary,
        connections=1,
    ),
    HotCall("key", "one report by its key", ("service",), (), _by_key, connections=1),
    HotCall(
        "ranking",
        "a province's ranking of scorecards, 24 regencies",
        ("service", "raw"),
        (Bar(3, call="key", by_time=True), Bar(5, "raw", by_time=True)),
        _ranking,
        connections=1,
    ),
    HotCall(
        "scorecard",
        "a regency's scorecard, explained",
        ("service", "raw"),
        (Bar(3, call="key", by_time=True), Bar(5, "raw", by_time=True)),
        _scorecard,
        connections=1,
    ),
    HotCall(
        "nation",
        "the nation's scorecard, rolled up",
        ("service", "raw"),
        (Bar(2, "raw", by_time=True),),
        _rolled_up,
        connections=1,
    ),
)
