"""Definitions, observations and targets over HTTP."""

from collections.abc import Callable

from fastapi import Response

from app.access.actor import Caller, RequestContext, authenticate_in_thread
from app.changes.commands import ImportedFile
from app.changes.history import History, answer_history
from app.changes.models import HistoryEntry
from app.convergence.editions.queries import check_visible
from app.convergence.indicators import commands, queries
from app.convergence.indicators.files.rules import LocatedObservation
from app.convergence.indicators.models import (
    IndicatorIn,
    IndicatorKey,
    IndicatorOut,
    IndicatorQuery,
    IndicatorReply,
    ObservationBatch,
    ObservationIn,
    ObservationItem,
    ObservationOut,
    ObservationQuery,
    ObservationReply,
    ObservationsImported,
    ObservationsWritten,
    ObservedKey,
    TableQuery,
    TargetIn,
    TargetOut,
    TargetQuery,
    TargetReply,
    TargetYearKey,
)
from app.convergence.indicators.rules import (
    INDICATORS_CHAIN,
    NATION,
    OBSERVATIONS_CHAIN,
    format_targets_chain,
)
from app.kit.database.journal import state_hash
from app.kit.http.etags import STATE_LENGTH, make_etag
from app.kit.http.forms import Upload
from app.kit.http.pagination import Page, read_page
from app.kit.http.replies import (
    answer,
    answer_no_content,
    answer_page,
    answer_resource,
    choose_language,
    declare_created,
)
from app.kit.http.routing import FromQuery, make_router, revalidate_by
from app.kit.http.validation import read_each
from app.kit.problems import ErrorPlace, NotFound
from app.kit.tables.choices import COLUMNS_PART, parse_columns
from app.kit.tables.resolutions import parse_resolutions
from app.reference.models import RegionKey
from app.reference.places.areas.models import AREA_RESOLUTIONS, RESOLUTIONS_PART
from app.reference.rules import CHAIN as REFERENCE

router = make_router(tags=["convergence"])

_OBSERVATION = "/regions/{region}/indicators/{indicator}/observations/{period}"
_TARGET = "/regions/{region}/indicators/{indicator}/targets/{year}"


@router.get("/indicators", response_model=Page[IndicatorOut])
def list_indicators(call: Caller, query: FromQuery[IndicatorQuery]) -> Response:
    """List the outcome indicators with unit, direction, publisher, frequency and their names in tables.

    Every valid token may read them, like all reference data.
    """
    return call.answer_list(queries.list_indicators(query), query, sort="code")


@router.get("/indicators/{indicator}", response_model=IndicatorReply)
def read_indicator(call: Caller, indicator: IndicatorKey) -> Response:
    """Return the definition of an indicator; 404 if there is none."""
    return _reply_indicator(call, indicator)


@router.put(
    "/indicators/{indicator}", response_model=IndicatorReply, responses=declare_created(IndicatorReply)
)
def put_indicator(call: Caller, indicator: IndicatorKey, content: IndicatorIn) -> Response:
    """Define an indicator or replace its definition, as the nation's administrator with the scope `administer`.

    Releases no longer update a shipped definition after that. 409 if the frequency changes and the indicator has
    observations.
    """
    is_new = commands.put_indicator(call.write, indicator, content)
    return _reply_indicator(call, indicator, status=201 if is_new else 200)


@router.get("/indicators/{indicator}/history", response_model=Page[HistoryEntry])
def list_indicator_history(call: Caller, indicator: IndicatorKey, query: History) -> Response:
    """List the writes to a definition, by releases and by administrators."""
    return answer_history(call, INDICATORS_CHAIN, f"indicators/{indicator}", query)


def _reply_indicator(call: RequestContext, code: str, *, status: int = 200) -> Response:
    text, version = queries.INDICATOR.read_reply(call.session, IndicatorOut, code)
    allowed = ["edit"] if call.actor.may("write_indicators", NATION) else []
    return answer_resource(call.request, text, version, f"indicators/{code}", status=status, allowed=allowed)


def build_observations_tag(call: RequestContext) -> str:
    """Return the ETag of a list of observations, from the state of observations and of regions' names.

    The state of observations precedes the dash, so that a batch can send it as its precondition.
    """
    state = state_hash(call.session, OBSERVATIONS_CHAIN)[:STATE_LENGTH]
    return make_etag(call.request.url, state_hash(call.session, REFERENCE), version=state)


@router.get("/observations", response_model=Page[ObservationOut])
@revalidate_by(lambda request: build_observations_tag(authenticate_in_thread(request)))
def list_observations(call: Caller, query: FromQuery[ObservationQuery]) -> Response:
    """List observations by region, indicator and period.

    An observation has a `value` in the indicator's unit, or the publisher's `symbol`: `...` not available, `-` none,
    `NA` not shown. A symbol is never a zero. Every valid token may read these official statistics.
    """
    listing = queries.list_observations(query)
    body = read_page(call.session, call.request, listing, query, sort=query.sort)
    return answer_page(call.request, body, tag=build_observations_tag(call))


@router.put("/observations", response_model=ObservationsWritten)
def put_observations(call: Caller, batch: ObservationBatch) -> Response:
    """Write up to 5,000 observations, all of them or none, as the nation's administrator.

    Needs `If-Match` with a tag of the list or `*` if one of them exists. 422 with the pointer of each value outside
    the limits of its indicator or with too many decimals.
    """
    call.actor.require("write_observations", NATION)
    items = [
        LocatedObservation(
            item.region_code,
            item.indicator,
            item.period,
            _dump_content(item),
            _point_into_body(f"/items/{n}"),
        )
        for n, item in enumerate(
            read_each(
                ObservationItem, batch.items, key=lambda item: (item.region_code, item.indicator, item.period)
            )
        )
    ]
    return _reply_written(call, commands.put_observations(call.write_of_list, items))


def _reply_written(call: RequestContext, done: ObservationsWritten) -> Response:
    """Return the reply to a batch, with the state of observations in its ETag for the next batch's precondition."""
    body = done.model_dump_json(exclude_none=True).encode()
    return answer(call.request, body, version=state_hash(call.session, OBSERVATIONS_CHAIN)[:STATE_LENGTH])


def _dump_content(item: ObservationIn) -> dict[str, object]:
    return item.model_dump(mode="json", include=set(ObservationIn.model_fields))


def _point_into_body(prefix: str) -> Callable[[str], ErrorPlace]:
    return lambda name: {"pointer": f"{prefix}/{name}"}


_TABLE = Upload(
    "The publisher's table: .xlsx or .csv, at most 20 MB and 20,000 rows.",
    {"resolutions": RESOLUTIONS_PART, "columns": COLUMNS_PART},
)


@router.post("/observations/import", response_model=ObservationsImported, openapi_extra=_TABLE.declared)
def import_observations(call: Caller, query: FromQuery[TableQuery]) -> Response:
    """Import a table of BPS, all or nothing: regions by indicators, regions by years, or one observation a row.

    Headings in up to five rows name the columns: a code or the name of a region; indicators by code, name or alias;
    years, half-years and months; or `indicator`, `year`, `month`, `value`. `code_system` names the system of the codes;
    names are read within `province`, and one that is not clear has candidates, which `resolutions` settle. Numbers may
    have a decimal comma or point, symbols and flags; a blank cell is no observation. The errors give sheet, row and
    column of each number that a spreadsheet turned into a time or a date (with its probable value), each value outside
    the limits or above the population, each period that is not over, and each code that contradicts its name.
    """
    call.actor.require("write_observations", NATION)
    table = _TABLE.read(call.request)
    filename = table.filename or "-"
    resolutions = parse_resolutions(AREA_RESOLUTIONS, table.texts["resolutions"])
    columns = parse_columns(table.texts["columns"])
    read = queries.read_observed_table(call.unit.reading, table.data, filename, query, resolutions, columns)
    file = ImportedFile.of(filename, table.data, read.sheet, query, resolutions=resolutions, columns=columns)
    done = commands.import_observations(
        call.write.drop_precondition(), read, file, choose_language(call.request)
    )
    return _reply_written(call, done)


@router.get(_OBSERVATION, response_model=ObservationReply)
def read_observation(
    call: Caller, region: RegionKey, indicator: IndicatorKey, period: ObservedKey
) -> Response:
    """Return one observation; 404 if the period has none."""
    return _reply_observation(call, region, indicator, period)


@router.put(_OBSERVATION, response_model=ObservationReply, responses=declare_created(ObservationReply))
def put_observation(
    call: Caller, region: RegionKey, indicator: IndicatorKey, period: ObservedKey, content: ObservationIn
) -> Response:
    """Write one observation, as the nation's administrator: either a value or the publisher's symbol.

    422 if the indicator has no such period.
    """
    call.actor.require("write_observations", NATION)
    queries.check_place(call.session, region, indicator)
    item = LocatedObservation(
        region,
        indicator,
        period,
        _dump_content(content),
        lambda name: {"pointer": f"/{name}"} if name in ObservationIn.model_fields else {"parameter": name},
    )
    done = commands.put_observations(call.write, [item])
    return _reply_observation(call, region, indicator, period, status=201 if done.created else 200)


@router.delete(_OBSERVATION, status_code=204)
def delete_observation(
    call: Caller, region: RegionKey, indicator: IndicatorKey, period: ObservedKey
) -> Response:
    """Delete an observation."""
    commands.delete_observation(call.write, region, indicator, period)
    return answer_no_content()


@router.get(f"{_OBSERVATION}/history", response_model=Page[HistoryEntry])
def list_observation_history(
    call: Caller, region: RegionKey, indicator: IndicatorKey, period: ObservedKey, query: History
) -> Response:
    """List the writes to an observation, with its deletion."""
    subject = queries.OBSERVATION.format_subject(region, indicator, period)
    return answer_history(call, OBSERVATIONS_CHAIN, subject, query)


def _reply_observation(
    call: RequestContext, region: str, indicator: str, period: str, *, status: int = 200
) -> Response:
    text, version = queries.read_observation_text(call.session, region, indicator, period)
    allowed = ["edit", "delete"] if call.actor.may("write_observations", NATION) else []
    address = queries.OBSERVATION.format_subject(region, indicator, period)
    return answer_resource(call.request, text, version, address, status=status, allowed=allowed)


@router.get("/targets", response_model=Page[TargetOut])
def list_targets(call: Caller, query: FromQuery[TargetQuery]) -> Response:
    """List the targets of visible regions: the value to reach in a year, with its baseline."""
    return call.answer_list(queries.list_targets(call.actor, query), query, sort=query.sort)


@router.get(_TARGET, response_model=TargetReply)
def read_target(call: Caller, region: RegionKey, indicator: IndicatorKey, year: TargetYearKey) -> Response:
    """Return a target of a region; 404 if the caller cannot see the region."""
    check_visible(call.session, call.actor, region)
    return _reply_target(call, region, indicator, _parse_year(year))


@router.put(_TARGET, response_model=TargetReply, responses=declare_created(TargetReply))
def put_target(
    call: Caller, region: RegionKey, indicator: IndicatorKey, year: TargetYearKey, content: TargetIn
) -> Response:
    """Set the target of a region for a year with its baseline, as the region's secretariat.

    The outcome of a region is its achieved share of the way from baseline to target.
    """
    is_new = commands.put_target(call.write, region, indicator, _parse_year(year), content)
    return _reply_target(call, region, indicator, _parse_year(year), status=201 if is_new else 200)


@router.delete(_TARGET, status_code=204)
def delete_target(call: Caller, region: RegionKey, indicator: IndicatorKey, year: TargetYearKey) -> Response:
    """Delete the target of a region for a year; 404 if there is none."""
    commands.delete_target(call.write, region, indicator, _parse_year(year))
    return answer_no_content()


@router.get(f"{_TARGET}/history", response_model=Page[HistoryEntry])
def list_target_history(
    call: Caller, region: RegionKey, indicator: IndicatorKey, year: TargetYearKey, query: History
) -> Response:
    """List the writes to a target, also after its deletion."""
    subject = queries.TARGET.format_subject(region, indicator, _parse_year(year))
    return answer_history(call, format_targets_chain(region), subject, query)


def _parse_year(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) == 4 and "2015" <= text <= "2100"):
        raise NotFound()
    return int(text)


def _reply_target(
    call: RequestContext, region: str, indicator: str, year: int, *, status: int = 200
) -> Response:
    text, version = queries.TARGET.read_reply(call.session, TargetOut, region, indicator, year)
    allowed = ["edit", "delete"] if call.actor.may("write_targets", region) else []
    address = queries.TARGET.format_subject(region, indicator, year)
    return answer_resource(call.request, text, version, address, status=status, allowed=allowed)
