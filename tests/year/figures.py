"""The meaning of every figure that a reading operation of the document shows, and the figures of a reply.

A figure is compared over all operations by its region, quarter and meaning. In `FIGURES` an operation has its query
and lines of `path: meaning | meaning`; the first path that matches counts. In a path `*` is a field's name and
`(a|b)` a choice. In a meaning `*` is the name of the figure, `{field}` the value of the innermost object that has
the field, `Σ` sums the values of the reply, `@{field}` gives the quarter, `@year` the last one of the year, and `own`
begins a meaning of this operation alone.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

_NOT_COMPARED = (
    # identity, time and place
    "year version sequence revision amendment number count status attempts duration_ms due_month opens_month",
    "annual_month months days_overdue late_by_days first_year baseline_year since first_month last_month",
    "data_quarters area_km2 latitude longitude coordinates population decimals minimum maximum province regency",
    "district village value",
    # the content of a line and of its report
    "amount baseline target quarterly_targets achieved decile_from decile_to benefit_amount benefit_months weight",
    "physical_reported_percent commitment_count",
    # editions of methods, templates and findings
    "a b c d thresholds weight_coverage weight_outcome weight_process weight_spending weight_targeting rank_reach",
    "share_direct share_indirect share_supporting class_high_from class_middle_from converged_balance z_score",
    "converged_coverage partial_coverage ahead_percent behind_percent narrowest_percent supporting_percent",
    "target_percent similar_lines",
    # analyses of indicators
    "achievement_percent actual change change_per_year change_percent correlation difference per_year_after",
    "per_year_before quadrant rank ranked reference_change related_value same_direction_percent value_from",
    "poor per_poor per_person p0_percent",
    # differences, findings, deadlines and grades
    "after before changed created ended errors explained inputs left_out open removed unchanged warnings",
    "deadlines_missed panel_score updated refused row symbols first_allocation",
    "second_allocation without_coordinates",
)
NO_FIGURES = frozenset(name for line in _NOT_COMPARED for name in line.split())
"""Names of numbers that are no figure of a region's quarter."""

NAMES = {
    "absorption_percent": "absorption",
    "actions": "lines",
    "allocation": "allocated",
    "balance_percent": "balance",
    "coverage_percent": "coverage",
    "index_percent": "index",
    "outcome_percent": "outcome",
    "process_percent": "process",
    "row_count": "lines",
    "rows": "lines",
    "spending_percent": "spending",
    "targeting_percent": "targeting",
}
"""Figures whose name differs from the field's."""

_LINE = """
    [].allocation: Σ * | * of {action}
    [].(report|carried).spent: Σ * | * of {action}
    [].(report|carried).physical_percent: * of {action}
    [].recipients[].count: Σ planned {kind}
    [].locations[].recipients: own, one place
    [].report.recipients[].reached: own, one kind
"""
_IN_FORCE = """
    items[].allocation: Σ allocated in force @year
    items[].(spent|absorption_percent|physical_percent): own, by the newest report
    **: own, of the plan in force
"""
_SUMMARY = """
    actions: lines | lines of revision {revision} @year
    allocated: allocated | allocated of revision {revision} @year
    reported: with report
    recipients[].*: * {kind}
    by_*[].recipients[].*: Σ * {kind} | * {kind} of {key}
    by_*[].(absorption_percent|physical_percent): * of {key}
    by_*[].reported: Σ with report | with report of {key}
    by_(funding_source|component_class)[].*: * of {key}
    by_*[].*: Σ * | * of {key}
    *: *
"""
_BALANCE = """
    items[].(families|persons|groups|villages|units): Σ planned * | planned * of {strategy}
    items[].(eligible|served|coverage_percent|absorption_percent): * of {strategy}
    items[].share_percent: own, of the allocation
    items[].*: Σ * | * of {strategy}
"""
_VILLAGE = """
    .(coverage_percent|balance_percent): * of {village}
    .target_families: target_families of {village}
    .strategies[].*: * of {strategy} at {village}
    .agencies[].*: * of {agency_code} at {village}
    .wider[].*: own, lines of a wider place
    .*: * at {village}
"""
_CARD = """
    inputs.budget: allocated
    inputs.spent: spent
    inputs.lines_reported: with report
    inputs.process_percent: process
    inputs.(families_reporting|families_expected): *
    inputs.services[].*: * of {service}
    inputs.highest_spending_percent: ^highest percent
    inputs.*: card *
    components[].value: {component}
    components[].*: own, the index by its components
    index_percent: *
    (targeting|spending)_*: card *
"""
_YARDSTICK = """
    counted[].spending_percent: yardstick figure
    highest_*: ^yardstick *
"""


def _indent(prefix: str, lines: str) -> str:
    return "\n".join(prefix + line.strip() for line in lines.strip().splitlines())


_STEP = """
    (score|machine_score): step {step} *
    **: own, evidence of one step
"""
_PAGES = "&limit=500"
_QUARTER = "?region={region}&period={period}"
_BOTH = f"{_QUARTER} ?region=63&period={{period}}"

FIGURES: dict[str, tuple[str | None, str]] = {
    "/v1/completeness": (
        f"{_QUARTER}&by=agency ?region=63&period={{period}}",
        """
        totals.(expected|reported|missing): *
        totals.*: own, regions by the state of their quarter
        regions[].agencies[].*: Σ * of plan {plan} | * of {agency_code}
        regions[].*: * of plan {plan}
        """,
    ),
    "/v1/completeness/missing": (f"{_QUARTER}{_PAGES}", "items[]: missing"),
    "/v1/reports/unreported-lines": (
        f"{_QUARTER}{_PAGES} /v1/reports/unreported-lines.csv{_QUARTER}&dialect=machine",
        "items[]: missing",
    ),
    "/v1/quarters": (_QUARTER, "items[].*: * | * of plan {plan}"),
    "/v1/regions/{region}/quarters": ("?year={year}", "items[].*: * @{period}"),
    "/v1/regions/{region}/quarters/{period}": ("", "parts[].*: Σ * | * of part {agency_code}\n*: *"),
    "/v1/regions/{region}/quarters/{period}/agencies/{agency}": ("", "*: * of part {agency_code}"),
    "/v1/regions/{region}/semesters/{semester}": ("", "quarters[].*: * @{period}"),
    "/v1/plans/{plan}/summary": ("?period={period}", _SUMMARY),
    "/v1/summaries": (_BOTH, _SUMMARY),
    "/v1/reports/absorption": (
        f"{_QUARTER}{_PAGES} /v1/reports/absorption.csv{_QUARTER}&dialect=machine",
        """
        items[].absorption_percent: * of {agency_code}
        items[].reported: Σ with report | with report of {agency_code}
        items[].*: Σ * | * of {agency_code}
        """,
    ),
    "/v1/reports/strategy-balance": (
        f"{_QUARTER}{_PAGES} /v1/reports/strategy-balance.csv{_QUARTER}&dialect=machine",
        _BALANCE,
    ),
    "/v1/scorecards/{region}": (
        "?period={period} /v1/scorecards/63?period={period}",
        f"""
        {_CARD}
        by_strategy[].*: * of {{strategy}}
        (lines|balance_percent|reach_percent): *
        spent_*: own, left out of the classes
        loci_without_target: own, of the inputs
        change.**: own, with the quarter before
        raise_most[].**: own, of a change
        yardstick.counted[].spending_percent: yardstick figure
        yardstick.*: ^yardstick *
        money.budget: allocated
        money.budget_*: card *
        money.by_class[].planned: allocated of {{component_class}}
        money.by_class[].spent: spent of {{component_class}}
        money.**: own, beside the index
        """,
    ),
    "/v1/scorecards/{region}/what-if": (
        "?period={period}",
        f"{_indent('now.', _CARD)}\nthen.**: own, with other inputs\n",
    ),
    "/v1/scorecards": (
        "?region=63&period={period}",
        """
        regencies[].reach_percent: *
        regencies[].*: *
        highest_spending_percent: ^highest percent
        yardstick.counted[].spending_percent: yardstick figure
        yardstick.*: ^yardstick *
        """,
    ),
    "/v1/regions/{region}/yardsticks/{period}": ("/v1/regions/63/yardsticks/{period}", _YARDSTICK),
    "/v1/yardsticks": ("?region=63&period={period}", _indent("items[].", _YARDSTICK)),
    "/v1/regions/{region}/steps/{year}": (
        "",
        f"score: process @year\n{_indent('steps[].', _STEP)}",
    ),
    "/v1/regions/{region}/steps/{year}/{step}": ("", _STEP),
    "/v1/steps": (
        "?region=63&year={year}",
        "regions[].score: process @year\nregions[].steps[].*: step {step} *",
    ),
    "/v1/regions/{region}/coverage": (
        "?period={period} /v1/regions/63/coverage?period={period} /v1/regions/63.02.01/coverage?period={period}",
        "by_strategy[].*: * of {strategy}\nby_service[].*: * of {service}\n*: *",
    ),
    "/v1/regions/{region}/coverage/children": (
        "?period={period} /v1/regions/63/coverage/children?period={period}",
        "items[].*: *",
    ),
    "/v1/coverage/{period}": (
        "?region={region}",
        """(villages|skipped_rows[].rows[]): own, of a file
items[].services[].*: own, of one village
items[].*: * of {village}""",
    ),
    "/v1/coverage/{period}/{village}": (
        "",
        "(by_strategy|services)[].*: own, of one village\n*: * of {village}",
    ),
    "/v1/convergence/villages": (
        f"{_QUARTER}{_PAGES}",
        f"items[]: villages\ntotals.villages: villages\ntotals.*: all villages *\n{_indent('items[]', _VILLAGE)}",
    ),
    "/v1/convergence/villages.geojson": (
        _QUARTER,
        f"totals.villages: villages\ntotals.*: all villages *\n{_indent('features[].properties', _VILLAGE)}",
    ),
    "/v1/pulls/{period}": ("?region={region}", f"[].end.rows: lines\n{_LINE}"),
    "/v1/pulls/{period}.{format}": (
        "/v1/pulls/{period}.ndjson?region={region}",
        f"[].end.rows: lines\n{_LINE}",
    ),
    "/v1/digests/{period}": (
        "?region={region}",
        "plans[].agencies[].rows: Σ lines | lines of {lead_agency}\n(plans[].|)rows: lines",
    ),
    "/v1/snapshots": (_QUARTER, "items[].row_count: lines"),
    "/v1/snapshots/{period}/{region}": (
        "",
        f"sums.*: *\nrow_count: lines\nrows[]: lines\n{_indent('rows', _LINE)}",
    ),
    "/v1/snapshots/{period}/{region}/amendments": (
        "/v1/snapshots/{period}/{region}/amendments",
        "**: own, one amendment",
    ),
    "/v1/snapshots/{period}/{region}/amendments/{amendment}": (
        "",
        f"sums.*: *\nrow_count: lines\nrows[]: lines\n{_indent('rows', _LINE)}",
    ),
    "/v1/plans/{plan}/progress/{period}": (
        "?limit=500",
        "items[].recipients[].reached: own, one kind\nitems[].*: * of {action}",
    ),
    "/v1/plans/{plan}/actions/{action}/progress": (
        "",
        "items[].recipients[].reached: own, one kind\nitems[].*: * of {action} @{period}",
    ),
    "/v1/plans/{plan}/actions/{action}/progress/{period}": (
        "",
        "recipients[].reached: own, one kind\n*: * of {action}",
    ),
    "/v1/plans/{plan}/matrix.csv": (
        "?period={semester}",
        "[].allocation: Σ allocated\n[].spent: Σ spent\n[]: lines",
    ),
    "/v1/plans": (
        "?region={region}",
        "items[].allocation: allocated in force @year\n**: own, of the plan in force",
    ),
    "/v1/plans/{plan}": ("", "allocation: allocated in force @year\n**: own, of the plan in force"),
    "/v1/plans/{plan}/actions": ("?limit=500", _IN_FORCE),
    "/v1/exports/iati/{plan}": (
        "",
        "[].allocation: Σ allocated in force @year\n**: own, dated by its report",
    ),
    "/v1/plans/{plan}/actions/{action}": (None, "**: own, of the plan in force"),
    "/v1/plans/{plan}/revisions": (
        "",
        """
        items[].action_count: lines of revision {revision} @year
        items[].allocation: allocated of revision {revision} @year
        """,
    ),
    "/v1/plans/{plan}/revisions/{revision}": (
        "",
        "actions[].allocation: Σ allocated of revision {revision} @year\n**: own, one revision",
    ),
    "/v1/plans/{plan}/amendment": (None, "**: own, of the draft"),
    "/v1/plans/{plan}/amendment/actions": (None, "**: own, of the draft"),
    "/v1/plans/{plan}/amendment/actions/{action}": (None, "**: own, of the draft"),
    "/v1/plans/{plan}/submit": (None, "**: own, of the draft"),
    "/v1/plans/{plan}/imports": (None, "**: own, of a file"),
    "/v1/observations/import": (None, "**: own, of a file"),
    "/v1/coordinates/import": (None, "**: own, of a file"),
    "/v1/plans/{plan}/findings": (None, "**: own, of the draft"),
    "/v1/plans/{plan}/overlaps": (None, "**: own, of the plan in force"),
    "/v1/reports/priority-locations": (None, "**: own, of the plan in force"),
    "/v1/nomenclatures": (None, "**: own, of a file"),
    "/v1/regions/{region}/indicators/{indicator}/analysis": (None, "**: own, a sign"),
}


Key = tuple[str, str, str]
"""Region, quarter and meaning."""


_TOKENS = {"**": ".+", "*": r"[^.\[]*", "[]": r"\[\]", ".": r"\."}


def parse_meanings(lines: str) -> list[tuple[re.Pattern[str], list[str]]]:
    """Return the meanings of the paths that match each pattern."""
    parsed = []
    for line in filter(None, map(str.strip, lines.splitlines())):
        path, meanings = line.split(": ", 1)
        pattern = re.sub(r"\*\*|\*|\[\]|\.", lambda token: _TOKENS[token[0]], path)
        parsed.append((re.compile(pattern), meanings.split(" | ")))
    return parsed


MEANINGS = {operation: parse_meanings(lines) for operation, (_, lines) in FIGURES.items()}


def find_meanings(operation: str, path: str) -> list[str]:
    """Return the meanings of a path, none where the table does not name it."""
    choices = MEANINGS.get(operation, [])
    return next((meanings for pattern, meanings in choices if pattern.fullmatch(path)), [])


def list_numbers(
    schema: Any, schemas: Any, path: str = "", seen: frozenset[str] = frozenset()
) -> Iterator[str]:
    """Yield the path of each number in a shape of the document."""
    if reference := schema.get("$ref"):
        if reference not in seen:
            yield from list_numbers(schemas[reference.rpartition("/")[2]], schemas, path, seen | {reference})
        return
    kinds = schema.get("type", ())
    if {"integer", "number"}.intersection(
        [kinds] if isinstance(kinds, str) else kinds
    ) and "enum" not in schema:
        yield path
    for choice in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from list_numbers(choice, schemas, path, seen)
    for name, value in schema.get("properties", {}).items():
        yield from list_numbers(value, schemas, f"{path}.{name}".removeprefix("."), seen)
    if items := schema.get("items"):
        yield from list_numbers(items, schemas, f"{path}[]", seen)


def walk(
    content: Any, path: str = "", around: Mapping[str, Any] | None = None
) -> Iterator[tuple[str, Any, Any]]:
    """Yield the path, value and surrounding fields of every value and of the length of every list."""
    around = around or {}
    if isinstance(content, dict):
        around = {
            **around,
            **{name: value for name, value in content.items() if not isinstance(value, dict | list)},
        }
        for name, value in content.items():
            yield from walk(value, f"{path}.{name}".removeprefix("."), around)
    elif isinstance(content, list):
        yield f"{path}[]", len(content), around
        for item in content:
            yield from walk(item, f"{path}[]", around)
    else:
        yield path, content, around


def read_figures(
    operation: str, content: Any, region: str, quarter: str, names: set[str]
) -> dict[Key, set[Any]]:
    """Return the values that a reply shows for each region, quarter and meaning."""
    figures: dict[Key, set[Any]] = defaultdict(set)
    sums: dict[tuple[str, Key], Any] = defaultdict(int)
    for path, value, around in walk(content):
        leaf = path.rpartition(".")[2]
        for meaning in find_meanings(operation, path):
            if (
                meaning.startswith("own")
                or isinstance(value, str | bool)
                or ("*" in meaning and leaf not in names)
            ):
                continue
            words, _, at = meaning.format_map(defaultdict(lambda: None, around)).partition(" @")
            if "None" in words:
                continue
            words = words.replace("*", NAMES.get(leaf, leaf))
            place = str(around.get("region_code", region))
            if words.startswith("^"):
                words, place = words[1:], place[:2]
            time = f"{quarter[:4]}-Q4" if at == "year" else at or quarter
            if words.startswith("Σ "):
                sums[path.partition("[]")[0], (place, time, words[2:])] += value or 0
            else:
                figures[place, time, words].add(value)
    for (_, key), total in sums.items():
        figures[key].add(total)
    return figures
