"""Counted spending: at most the amount of each class, and in sum at most the allocation of each line."""

from collections import defaultdict
from typing import Any

import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.convergence.scorecards.figures.spending.queries import (
    ClassSpending,
    add_spending,
    cap_spending,
    select_divided,
    sum_whole,
)
from app.convergence.scorecards.groups.rules import build_inputs, complete_sums, parse_method
from app.convergence.scorecards.models import NO_COVERAGE, SUMS
from app.plans.actions.models import ComponentClass
from tests.database import OneTransaction
from tests.plans.world import report
from tests.scorecards.conftest import World
from tests.scorecards.world import get_json, get_values, measure_fairly

rupiah = st.integers(0, 12) | st.integers(0, 10**15)
component = st.tuples(st.sampled_from(ComponentClass), st.none() | rupiah, st.booleans())
lines = st.lists(
    st.tuples(
        rupiah,
        st.lists(component, max_size=4),
        st.dictionaries(st.sampled_from(ComponentClass), rupiah, min_size=1),
    ),
    min_size=1,
    max_size=4,
)
Line = tuple[int, list[tuple[ComponentClass, int | None, bool]], dict[ComponentClass, int]]


def make_cte(name: str, kinds: dict[str, Any], rows: list[tuple[Any, ...]]) -> sa.CTE:
    """Make a CTE of rows."""
    nulls = (None,) * len(kinds)
    selects = [
        sa.select(
            *[
                sa.cast(sa.literal(value, kind), kind).label(column)
                for (column, kind), value in zip(kinds.items(), row, strict=True)
            ]
        ).where(sa.literal(row is not nulls))
        for row in (nulls, *rows)
    ]
    return sa.union_all(*selects).cte(name)


def count_in_sql(database: OneTransaction, drawn: list[Line]) -> dict[str, int]:
    """Return the counted spending by class as the service computes it."""
    number, text = sa.BigInteger(), sa.Text()
    of_lines = [(n, 7, allocation) for n, (allocation, _, _) in enumerate(drawn)]
    classes, spending = [], []
    for n, (_, components, spent) in enumerate(drawn):
        for name in {name for name, _, _ in components}:
            own = [(amount, is_travel) for other, amount, is_travel in components if other == name]
            amounts = [amount or 0 for amount, _ in own]
            travel = sum(amount or 0 for amount, is_travel in own if is_travel)
            known = all(amount is not None for amount, _ in own)
            all_travel = int(all(is_travel for _, is_travel in own))
            classes.append((n, str(name), sum(amounts), known, travel, all_travel))
        spending += [(7, n, str(name), amount) for name, amount in spent.items()]
    planned = {"action_id": number, "component_class": text, "amount": number, "is_known": sa.Boolean()}
    capped = cap_spending(
        make_cte("lines", {"id": number, "plan_id": number, "allocation": number}, of_lines),
        make_cte("classes", {**planned, "travel": number, "all_travel": number}, classes),
        make_cte(
            "spending", {"plan_id": number, "id": number, "component_class": text, "spent": number}, spending
        ),
    )
    sums = {7: dict.fromkeys(SUMS, 0)}
    with database.read_session() as session:
        for query in (sum_whole(capped), select_divided(capped)):
            rows = session.execute(query).mappings()
            add_spending(sums, [ClassSpending(**row) for row in rows])
    return {name: amount for name, amount in sums[7].items() if name.startswith("counted_")}


def count_by_hand(line: Line) -> tuple[dict[str, int], int, int]:
    """Return the counted spending of a line by class, and its capped sum with and without travel."""
    allocation, components, spent = line
    caps = {}
    for name in spent:
        amounts = [amount for other, amount, _ in components if other == name]
        if not components or None in amounts:
            caps[name] = allocation
        else:
            caps[name] = sum(amount or 0 for amount in amounts)
    capped = {name: min(amount, caps[name]) for name, amount in spent.items()}
    total, counted = sum(capped.values()), {}
    for name, amount in capped.items():
        part = amount * allocation // total if total > allocation else amount
        own = [(amount or 0, is_travel) for other, amount, is_travel in components if other == name]
        if own and all(is_travel for _, is_travel in own):
            part = 0
        elif planned := sum(amount for amount, _ in own):
            part -= part * sum(amount for amount, is_travel in own if is_travel) // planned
        counted[f"counted_{name}"] = part
    return counted, min(total, allocation), total


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines)
@example([(10, [], {ComponentClass.direct: 10**15, ComponentClass.supporting: 10**15})])
@example([(10**15, [(ComponentClass.direct, None, False)], dict.fromkeys(ComponentClass, 10**15))])
def test_spending_counts_up_to_the_allocation_of_line_and_class(
    database: OneTransaction, drawn: list[Line]
) -> None:
    expected: dict[str, int] = defaultdict(int)
    for line in drawn:
        counted, limit, _ = count_by_hand(line)
        assert sum(counted.values()) <= min(limit, sum(line[2].values()))
        for name, amount in counted.items():
            assert amount <= line[2][ComponentClass(name.removeprefix("counted_"))]
            expected[name] += amount
    assert {name: amount for name, amount in count_in_sql(database, drawn).items() if amount} == {
        name: amount for name, amount in expected.items() if amount
    }


def test_without_overspending_all_spending_counts(world: World) -> None:
    plain = get_json(world.secretariat)
    assert plain["inputs"]["counted_direct"] is None
    measure_fairly(world.database)
    report(world.secretariat, "A-4", 2, spent=0, obstacle="Hujan")
    fair = get_json(world.secretariat)
    names = [str(name) for name in ComponentClass]
    assert [fair["inputs"][f"counted_{name}"] for name in names] == [350, 30, 50]
    assert [fair["inputs"][f"spent_{name}"] for name in names] == [350, 30, 50]
    assert (fair["index_percent"], get_values(fair)) == (plain["index_percent"], get_values(plain))
    formulas = {item["component"]: item["formula"] for item in fair["components"]}
    assert "counted_direct" in formulas["spending"]


def test_sums_of_rows_without_counted_spending_count_all(world: World) -> None:
    stored: Any = dict.fromkeys(complete_sums(defaultdict(int)), 3)
    old = {**stored, **{f"counted_{name}": None for name in ComponentClass}}
    assert complete_sums(old) == stored
    content: Any = {**NO_COVERAGE, "process_percent": None, "indicators": [], "method": {"edition": "1"}}
    assert parse_method(content).fair_yardstick is False
    assert build_inputs(content, stored, None).counted_direct is None
