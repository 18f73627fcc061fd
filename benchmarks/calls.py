"""The hot calls: the requests to each variant, and the ratios that each must reach."""

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from app.access.rules import CONSOLE
from app.kit.database.engine import Database
from app.plans.actions.queries import read_stored_actions
from app.plans.core.queries import find_plan
from benchmarks.data import BIG_PLAN, PROVINCE, Size, build_report, create_secret, list_plan_codes
from benchmarks.load import ask, build_request


@dataclass(frozen=True)
class Bar:
    """A lower bound of the service's rate: `factor` times that of a variant or of another call."""

    factor: float
    variant: str = "service"
    call: str | None = None
    by_time: bool = False
    """Bound the time instead: at most `factor` times the other's."""


@dataclass(frozen=True)
class HotCall:
    """A call with its variants, bars and requests."""

    name: str
    title: str
    variants: tuple[str, ...]
    bars: tuple[Bar, ...]
    requests: Callable[["World", str, int], Iterator[bytes]]
    """Returns endless requests for a variant on a port."""
    connections: int = 4
    status: int = 200


@dataclass(frozen=True)
class World:
    """The data that the calls need."""

    size: Size
    secret: str
    plans: list[str]
    lines: dict[str, list[dict[str, Any]]]
    """Plan → its stored lines, for the plans that the calls write."""
    nation_secret: str

    @classmethod
    def read(cls, database: Database, size: Size, secret: str) -> "World":
        plans = list_plan_codes(database)
        lines = {plan: _read_lines(database, plan) for plan in [*plans[:8], BIG_PLAN]}
        return cls(size, secret, plans, lines, create_secret(database, "0"))


def _read_lines(database: Database, code: str) -> list[dict[str, Any]]:
    with database.read_session() as session:
        stored = read_stored_actions(session, find_plan(session, CONSOLE, code))
    return [
        {**action.content, "code": code, "line": int(code[2:])} for code, action in sorted(stored.items())
    ]


def build_page_path(world: World, plan: str | None = None) -> str:
    return f"/v1/plans/{plan or world.plans[0]}/actions?limit=100"


def build_summary_path(world: World) -> str:
    return f"/v1/summaries?region={PROVINCE}&period={world.size.quarter}"


def build_ranking_path(world: World) -> str:
    return f"/v1/scorecards?region={PROVINCE}&period={world.size.quarter}"


def build_scorecard_path(world: World, region: str | None = None) -> str:
    return f"/v1/scorecards/{region or world.plans[0][:5]}?period={world.size.quarter}"


def _request_pages(world: World, variant: str, port: int) -> Iterator[bytes]:
    return itertools.cycle(
        [build_request("GET", build_page_path(world, plan), world.secret) for plan in world.plans[:20]]
    )


def _request_unchanged_pages(world: World, variant: str, port: int) -> Iterator[bytes]:
    requests = []
    for plan in world.plans[:20]:
        tag = ask(port, build_request("GET", build_page_path(world, plan), world.secret)).get_header("etag")
        requests.append(build_request("GET", build_page_path(world, plan), world.secret, If_None_Match=tag))
    return itertools.cycle(requests)


def _request_summary(world: World, variant: str, port: int) -> Iterator[bytes]:
    return itertools.repeat(build_request("GET", build_summary_path(world), world.secret))


def _request_reports_by_key(world: World, variant: str, port: int) -> Iterator[bytes]:
    plan = world.plans[0]
    return itertools.cycle(
        [
            build_request("GET", build_progress_path(world, plan, line), world.secret)
            for line in world.lines[plan][:50]
        ]
    )


def _request_ranking(world: World, variant: str, port: int) -> Iterator[bytes]:
    return itertools.repeat(build_request("GET", build_ranking_path(world), world.secret))


def _request_scorecards(world: World, variant: str, port: int) -> Iterator[bytes]:
    regions = [plan[:5] for plan in world.plans[:20]]
    return itertools.cycle(
        [build_request("GET", build_scorecard_path(world, region), world.secret) for region in regions]
    )


def _request_nation(world: World, variant: str, port: int) -> Iterator[bytes]:
    return itertools.repeat(build_request("GET", build_scorecard_path(world, "0"), world.nation_secret))


_share = random.Random(2)


def build_new_report(world: World, line: dict[str, Any]) -> dict[str, Any]:
    """Build a report that differs from the stored one."""
    content = build_report(line, world.size.quarters, share=_share.randrange(1, 100))
    content["follow_up"] = f"Tindak lanjut {_share.randrange(10**9)}"
    return content


def build_progress_path(world: World, plan: str, line: dict[str, Any]) -> str:
    return f"/v1/plans/{plan}/actions/{line['code']}/progress/{world.size.quarter}"


def _write_reports(world: World, variant: str, port: int) -> Iterator[bytes]:
    plans = [plan for plan in world.lines if plan != BIG_PLAN]
    for plan in itertools.cycle(plans):
        line = _share.choice(world.lines[plan])
        yield build_request(
            "PUT",
            build_progress_path(world, plan, line),
            world.secret,
            build_new_report(world, line),
            If_Match="*",
        )


def build_batch(world: World) -> dict[str, Any]:
    return {
        "items": [
            {"action": line["code"], **build_new_report(world, line)} for line in world.lines[BIG_PLAN][:1000]
        ]
    }


def build_batch_path(world: World) -> str:
    return f"/v1/plans/{BIG_PLAN}/progress/{world.size.quarter}"


def _write_batches(world: World, variant: str, port: int) -> Iterator[bytes]:
    while True:
        yield build_request("PUT", build_batch_path(world), world.secret, build_batch(world), If_Match="*")


CALLS = (
    HotCall(
        "page",
        "page of 100 actions, all parts, latest progress",
        ("service", "raw", "naive"),
        (Bar(8, "naive"), Bar(0.5, "raw")),
        _request_pages,
    ),
    HotCall(
        "unchanged",
        "304 of that page",
        ("service",),
        (Bar(4, call="page"),),
        _request_unchanged_pages,
        status=304,
    ),
    HotCall(
        "batch",
        "1,000 progress reports in one call",
        ("service", "naive"),
        (Bar(5, "naive"),),
        _write_batches,
        connections=1,
    ),
    HotCall("report", "one progress report", ("service", "naive"), (Bar(2.5, "naive"),), _write_reports),
    HotCall(
        "summary",
        "a province's summary, 24 regencies",
        ("service", "raw"),
        (Bar(1.5, "raw", by_time=True),),
        _request_summary,
        connections=1,
    ),
    HotCall("key", "one report by its key", ("service",), (), _request_reports_by_key, connections=1),
    HotCall(
        "ranking",
        "a province's ranking of scorecards, 24 regencies",
        ("service", "raw"),
        (Bar(3, call="key", by_time=True), Bar(5, "raw", by_time=True)),
        _request_ranking,
        connections=1,
    ),
    HotCall(
        "scorecard",
        "a regency's scorecard, explained",
        ("service", "raw"),
        (Bar(3, call="key", by_time=True), Bar(5, "raw", by_time=True)),
        _request_scorecards,
        connections=1,
    ),
    HotCall(
        "nation",
        "the nation's scorecard, rolled up",
        ("service", "raw"),
        (Bar(2, "raw", by_time=True),),
        _request_nation,
        connections=1,
    ),
)
