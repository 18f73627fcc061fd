"""Queries of the actions of a plan that the actor sees, and look-ups of the references in their drafts."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple

import sqlalchemy as sa
from pydantic import BaseModel, Field
from pydantic_core import to_jsonable_python
from sqlalchemy.sql import ColumnElement, FromClause
from sqlmodel import Session

from app.access.queries import is_in_region
from app.agencies.queries import check_agencies
from app.kit.database.engine import get_table
from app.kit.database.json_sql import (
    TextSelect,
    build_json_array,
    build_json_values,
    build_once,
    dump_json,
    make_fixed_object,
    select_fields,
    select_json,
)
from app.kit.database.upsert import unnest_records
from app.kit.fields import AgencyCode, FundingSourceCode, RegionCode, Tag, fold_name, split_words
from app.kit.http.pagination import Listing, PageQuery, match_values
from app.kit.http.validation import describe_unknown, unknown_reference
from app.kit.problems import FieldError, Kind, require_found
from app.kit.wording import Text, declare_words
from app.plans.actions.models import (
    PARTS,
    ActionIn,
    ActionOut,
    ActionRow,
    BudgetLineRow,
    LocationRow,
    Part,
    Strategy,
    SupportingAgencyRow,
    TagRow,
)
from app.plans.actions.rules import ActionContent, ActionRecord, Draft
from app.plans.core.models import Plan
from app.plans.core.queries import check_locations, describe_unknown_edition, plans
from app.plans.core.rules import find_government_level
from app.plans.imports.queries import build_origin
from app.reference.models import Words
from app.reference.nomenclature.queries import (
    find_similar_subactivities,
    find_subactivities_by_code,
    list_editions,
)
from app.reference.queries import find_funding_sources_by_code, read_funding_source_labels

actions = get_table(ActionRow)


def is_expected_in(line: FromClause, period: str | sa.SQLColumnExpression[str]) -> ColumnElement[bool]:
    """Predicate: a report on the line is due in a quarter (`is_expected`); `line` has both of its quarters."""
    first, last = line.c.starts_in, line.c.ends_after
    return sa.and_(
        sa.or_(first.is_(None), first <= period),
        sa.or_(last.is_(None), last >= period),
    )


class ActionQuery(PageQuery):
    """Filters and order of a plan's actions."""

    strategy: Strategy | None = Field(default=None, description="Strategy of the action.")
    lead_agency: AgencyCode | None = Field(default=None, description="Lead agency of the action.")
    supporting_agency: AgencyCode | None = Field(default=None, description="One of the supporting agencies.")
    location: RegionCode | None = Field(
        default=None, description="Region of a location or of those above it."
    )
    funding_source: FundingSourceCode | None = Field(default=None, description="Source of a budget line.")
    subactivity_code: str | None = Field(
        default=None, max_length=20, description="Code or the beginning of one: `1.06` takes the whole field."
    )
    tag: Tag | None = Field(default=None, description="One of the tags.")
    q: Words | None = Field(
        default=None, description="Words in the title or the official names, all required."
    )
    reported: Annotated[
        str | None, Field(pattern=r"^20[0-9]{2}-Q[1-4]$", description="Quarter of the latest report.")
    ] = None
    sort: Literal[
        "code",
        "-code",
        "title",
        "-title",
        "strategy",
        "-strategy",
        "lead_agency",
        "-lead_agency",
        "allocation",
        "-allocation",
        "spent",
        "-spent",
    ] = "code"


@cache
def build_action_columns() -> list[ColumnElement[Any]]:
    """Return the columns of an action (`ActionOut`); the database builds the JSON of its parts."""
    # PostgreSQL rounds numerics to decimals, not floats.
    share = sa.cast(actions.c.spent * 100.0 / actions.c.allocation, sa.Numeric)
    percent = sa.case((actions.c.allocation > 0, sa.func.round(share, 2)))
    return select_fields(
        ActionOut,
        actions,
        plan=sa.select(plans.c.code).where(plans.c.id == actions.c.plan_id).scalar_subquery(),
        absorption_percent=percent,
        imported_from=build_origin(actions),
        **{
            part.name: build_part_json(part, part.table, actions, part.table.c.action_id == actions.c.id)
            for part in PARTS
        },
    )


def build_part_json(
    part: Part, table: sa.Table, lines: sa.Table, is_of_line: ColumnElement[bool]
) -> sa.SQLColumnExpression[object]:
    """Return the items of a part as JSON, correlated with a line; `table` holds the rows of the part."""
    columns = [table.c[part.key]] if part.shape is None else select_fields(part.shape, table)
    query = sa.select(*columns).where(is_of_line).order_by(table.c.position).correlate(lines)
    make = build_json_values if part.shape is None else build_json_array
    return make(query, name=part.name)


def list_actions(plan: Plan, query: ActionQuery) -> Listing:
    """Return the list of a visible plan's actions."""
    statement = sa.select(actions.c.id).where(actions.c.plan_id == plan.id, *_build_conditions(query))
    sorts = {name.removeprefix("-"): actions.c[name.removeprefix("-")] for name in ACTION_SORTS}
    return Listing(statement, sorts, {"code": actions.c.code}, item=_build_item())


@cache
def _build_item() -> ColumnElement[str]:
    return make_fixed_object("action", build_action_columns())


ACTION_SORTS = ("code", "title", "strategy", "lead_agency", "allocation", "spent")


def _build_conditions(query: ActionQuery) -> Iterator[ColumnElement[bool]]:
    yield from match_values(
        (actions.c.strategy, query.strategy),
        (actions.c.lead_agency, query.lead_agency),
        (actions.c.progress_period, query.reported),
    )
    for column, value in (
        (get_table(SupportingAgencyRow).c.agency_code, query.supporting_agency),
        (get_table(BudgetLineRow).c.funding_source, query.funding_source),
        (get_table(TagRow).c.tag, query.tag),
    ):
        if value is not None:
            yield _has_part(column.table, column == value)
    if query.location is not None:
        table = get_table(LocationRow)
        yield _has_part(table, is_in_region(table.c.region_code, query.location))
    if query.subactivity_code is not None:
        yield _is_code_within(actions.c.subactivity_code, query.subactivity_code.rstrip("."))
    if query.q is not None:
        yield from (actions.c.search.contains(word, autoescape=True) for word in split_words(query.q))


def build_search_text(action: ActionContent) -> str:
    """Return the text in which a search of actions looks: title and names, folded."""
    names = (action["title"], action["subactivity"], action["activity"], action["program"])
    return fold_name(" ".join(filter(None, names)))


def _is_code_within(column: sa.SQLColumnExpression[object], code: str) -> ColumnElement[bool]:
    """Predicate: a dotted code is `code` or lies below it. Unlike a region, `0` does not match all."""
    return sa.or_(column == code, sa.and_(column > f"{code}.", column < f"{code}/"))


def _has_part(table: FromClause, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return sa.exists().where(table.c.action_id == actions.c.id, condition).correlate(actions)


def read_action_json(session: Session, plan: Plan, code: str) -> str:
    """Return an action of a visible plan as JSON text. Raises NotFound if it does not exist."""
    return require_found(session.scalar(_select_action(), {"plan": plan.id, "code": code}))


@cache
def _select_action() -> TextSelect:
    conditions = (actions.c.plan_id == sa.bindparam("plan"), actions.c.code == sa.bindparam("code"))
    return select_json(sa.select(*build_action_columns()).where(*conditions))


def find_action_id(session: Session, plan: Plan, code: str) -> int:
    """Return the id of an action of a visible plan. Raises NotFound if it does not exist."""
    id = session.scalar(sa.select(actions.c.id).where(actions.c.plan_id == plan.id, actions.c.code == code))
    return int(require_found(id))


class StoredAction(NamedTuple):
    """The id, version, latest reported quarter and content of an action."""

    id: int
    version: int
    progress_period: str | None
    content: ActionContent


def read_stored_actions(
    session: Session, plan: Plan, codes: list[str] | None = None
) -> dict[str, StoredAction]:
    """Return the actions of these codes (all: None), by code, with one statement."""
    return {
        code: StoredAction(id, version, reported, json.loads(text))
        for text, code, id, version, reported in _read_actions(session, plan, codes, ActionIn)
    }


def read_contents(
    session: Session, plan: Plan, codes: Iterable[str] | None = None
) -> dict[str, ActionContent]:
    """Return the contents of the actions of these codes (all: None), by code."""
    names = None if codes is None else sorted(codes)
    return {code: stored.content for code, stored in read_stored_actions(session, plan, names).items()}


def read_whole_actions(
    session: Session, plan: Plan, codes: list[str] | None = None
) -> dict[str, ActionRecord]:
    """Return the actions of these codes (all: None) as `ActionOut`, by code, with one statement."""
    return {code: json.loads(text) for text, code, *_ in _read_actions(session, plan, codes, ActionOut)}


def _read_actions(
    session: Session, plan: Plan, codes: list[str] | None, shape: type[BaseModel]
) -> Iterable[sa.Row[str, str, int, int, str | None]]:
    """Yield (JSON of the shape, code, id, version, latest reported quarter) of actions."""
    parameters = {"plan": plan.id} | (
        {} if codes is None else {"records": dump_json([{"code": c} for c in codes])}
    )
    return session.execute(_select_actions(session, shape, codes is not None), parameters)


@build_once
def _select_actions(session: Session, shape: type[BaseModel], has_codes: bool) -> TextSelect:
    columns = [column for column in build_action_columns() if column.name in shape.model_fields]
    keys = [actions.c[name].label(f"_{name}") for name in ("code", "id", "version", "progress_period")]
    query = sa.select(*columns, *keys).where(actions.c.plan_id == sa.bindparam("plan"))
    if has_codes:
        codes = unnest_records(session, {"code": actions.c.code.type})
        query = query.where(actions.c.code.in_(sa.select(codes.c.code)))
    return select_json(query, *[column.name for column in keys])


# References to actions


REFERRERS: dict[str, sa.Column[int]] = {}
"""Name of a referring thing, with words for sentences → its column of action ids. `app.wiring` adds those of the areas
above: plans must not import commitments, yet a commitment keeps its action from deletion."""


REPORTED_IN: list[Callable[[Session, Plan, str], dict[str, bool]]] = []
"""Hooks of the areas above, from `app.wiring`, which map the quarters of a line, by its code, to whether they have a
report of their own on it: a submitted quarter may count an earlier one."""


def map_reported_quarters(session: Session, plan: Plan, code: str) -> dict[str, bool]:
    """Map the quarters that count a report on a line to whether it is their own."""
    return {quarter: own for hook in REPORTED_IN for quarter, own in hook(session, plan, code).items()}


def count_references(session: Session, plan: Plan, codes: list[str]) -> dict[str, dict[str, int]]:
    """Return {code: {name of the referring thing: count}} of the codes with references, with one statement."""
    counts = {
        name: sa.select(sa.func.count()).where(column == actions.c.id).correlate(actions).scalar_subquery()
        for name, column in REFERRERS.items()
    }
    if not counts or not codes:
        return {}
    statement = sa.select(actions.c.code, *counts.values()).where(
        actions.c.plan_id == plan.id, actions.c.code.in_(codes)
    )
    by_code = {
        code: {name: count for name, count in zip(counts, numbers, strict=True) if count}
        for code, *numbers in session.execute(statement)
    }
    return {code: references for code, references in by_code.items() if references}


# References in lines

unnamed_subactivity = Kind(
    "unnamed_subactivity",
    id="isi kode atau nama sub kegiatan",
    en="give the code or the name of the sub-activity",
)
declare_words(
    {
        "funding_source_list": Text("daftar sumber pembiayaan", "the list of funding sources"),
        "province_codes": Text("kode provinsi dalam edisi ini", "the provincial codes of this edition"),
        "regency_codes": Text("kode kabupaten/kota dalam edisi ini", "the regency codes of this edition"),
    }
)


def check_references(
    session: Session, plan: Plan, drafts: Sequence[Draft]
) -> tuple[dict[str, ActionContent], dict[str, list[FieldError]]]:
    """Return (contents with edition and official names, errors), both by code of the draft."""
    contents: dict[str, ActionContent] = {draft.code: to_jsonable_python(draft.content) for draft in drafts}
    errors: dict[str, list[FieldError]] = {}

    def collect(read: Read, find: Callable[[Pairs], Iterable[FieldError]]) -> None:
        """Collect the errors that `find` reports on the values that `read` yields of all contents."""
        places = {
            f"{draft.pointer}{path}": (draft.code, value)
            for draft in drafts
            for path, value in read(contents[draft.code])
        }
        for error in find([(pointer, value) for pointer, (_, value) in places.items()]):
            errors.setdefault(places[error.pointer or ""][0], []).append(error)

    collect(_read_agencies, lambda pairs: check_agencies(session, plan.region_code, pairs))
    collect(_read_sources, lambda pairs: _check_funding(session, pairs))
    collect(_read_regions, lambda pairs: check_locations(session, plan.region_code, pairs))
    pointers = {draft.code: draft.pointer for draft in drafts}
    for code, error in _complete_nomenclature(session, plan, contents, pointers):
        errors.setdefault(code, []).append(error)
    return contents, errors


Pairs = list[tuple[str, str]]
"""(pointer, value) of each reference."""

Read = Callable[[ActionContent], Iterable[tuple[str, str]]]
"""Yields (path in the content, value) of each reference of one kind."""


def _read_agencies(content: ActionContent) -> Iterator[tuple[str, str]]:
    yield "/lead_agency", content["lead_agency"]
    for n, agency in enumerate(content["supporting_agencies"]):
        yield f"/supporting_agencies/{n}", agency


def _read_sources(content: ActionContent) -> Iterator[tuple[str, str]]:
    for n, line in enumerate(content["budget_lines"]):
        yield f"/budget_lines/{n}/funding_source", line["funding_source"]


def _read_regions(content: ActionContent) -> Iterator[tuple[str, str]]:
    for n, location in enumerate(content["locations"]):
        yield f"/locations/{n}/region_code", location["region_code"]


def _check_funding(session: Session, pairs: Pairs) -> Iterator[FieldError]:
    known = find_funding_sources_by_code(session, {source for _, source in pairs})
    unknown = [(pointer, source) for pointer, source in pairs if source not in known]
    labels = (
        [f"{code} {name}" for code, name in read_funding_source_labels(session).items()] if unknown else []
    )
    for pointer, source in unknown:
        yield describe_unknown(source, "funding_source_list", labels, pointer=pointer)


def _complete_nomenclature(
    session: Session, plan: Plan, contents_by_code: dict[str, ActionContent], pointers: dict[str, str]
) -> Iterator[tuple[str, FieldError]]:
    """Look codes up in their editions and fill in missing official names. Yield (code of the line, error)."""
    level = find_government_level(plan.region_code)
    by_edition: dict[str, dict[str, ActionContent]] = {}
    for code, content in contents_by_code.items():
        if content["subactivity_code"] is None:
            if content["subactivity"] is None:
                yield code, FieldError(unnamed_subactivity, pointer=f"{pointers[code]}/subactivity_code")
        elif content["nomenclature_edition"] is None:
            content["nomenclature_edition"] = plan.nomenclature_edition
        if content["nomenclature_edition"] is not None:
            by_edition.setdefault(content["nomenclature_edition"], {})[code] = content
    loaded = list_editions(session) if by_edition else []
    for edition, contents in by_edition.items():
        if edition not in loaded:
            for code in contents:
                yield (
                    code,
                    describe_unknown_edition(edition, loaded, f"{pointers[code]}/nomenclature_edition"),
                )
            continue
        coded = {code: key for code, c in contents.items() if (key := c["subactivity_code"]) is not None}
        known = find_subactivities_by_code(session, edition, level, {*coded.values()})
        for code, key in coded.items():
            content, official = contents[code], known.get(key)
            if official is None:
                yield code, _describe_unknown_code(session, plan, edition, content, pointers[code])
                continue
            content["subactivity"] = content["subactivity"] or official.name
            content["activity"] = content["activity"] or official.activity
            content["program"] = content["program"] or official.program


def _describe_unknown_code(
    session: Session, plan: Plan, edition: str, content: ActionContent, pointer: str
) -> FieldError:
    level = find_government_level(plan.region_code)
    near = find_similar_subactivities(
        session,
        edition,
        level,
        region=plan.region_code,
        subactivity=content["subactivity"] or content["title"],
        activity=content["activity"],
    )
    return FieldError(
        unknown_reference,
        pointer=f"{pointer}/subactivity_code",
        value=content["subactivity_code"],
        nearest=[f"{subactivity.code} {subactivity.name}" for subactivity in near],
        values={"source": f"{level}_codes"},
    )
