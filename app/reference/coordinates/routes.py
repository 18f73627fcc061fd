"""Routes of the points of regions."""

from fastapi import Response

from app.access.actor import Caller, RequestContext
from app.changes.commands import ImportedFile, record_file
from app.changes.history import History, answer_history
from app.changes.models import HistoryEntry
from app.kit.files.reader import open_book
from app.kit.http.forms import Upload
from app.kit.http.pagination import Page
from app.kit.http.replies import (
    answer,
    answer_no_content,
    answer_resource,
    choose_language,
    declare_created,
)
from app.kit.http.routing import FromQuery, make_router
from app.kit.problems import NotFound
from app.kit.tables.choices import COLUMNS_PART, parse_columns
from app.kit.tables.resolutions import parse_resolutions
from app.reference.coordinates import commands, queries
from app.reference.coordinates.models import (
    CoordinatesImportQuery,
    CoordinatesIn,
    CoordinatesOut,
    CoordinatesQuery,
    CoordinatesReply,
    CoordinatesWritten,
)
from app.reference.coordinates.rules import CHAIN, LARGEST_TABLE, NATION, RegionPoint
from app.reference.models import RegionKey
from app.reference.places.areas.models import AREA_RESOLUTIONS, RESOLUTIONS_PART
from app.reference.queries import is_region

router = make_router(tags=["reference"])

_COORDINATES = "/regions/{region}/coordinates"


@router.get("/coordinates", response_model=Page[CoordinatesOut])
def list_coordinates(call: Caller, query: FromQuery[CoordinatesQuery]) -> Response:
    """List the regions with a known point, in degrees of WGS 84, as GPS gives them.

    Open to every valid token. The product comes without points; administrators enter them.
    """
    return call.answer_list(queries.list_coordinates(query), query, sort=query.sort)


_TABLE = Upload(
    "The table: .xlsx or .csv, at most 20 MB.", {"resolutions": RESOLUTIONS_PART, "columns": COLUMNS_PART}
)


@router.post("/coordinates/import", response_model=CoordinatesWritten, openapi_extra=_TABLE.declared)
def import_coordinates(call: Caller, query: FromQuery[CoordinatesImportQuery]) -> Response:
    """Import the points of many regions from a table, all of it or nothing, as an administrator of all of them.

    Columns in any order, in Indonesian or English: `Kode` or names (`Kecamatan`, `Desa`, `Nama`), `Bujur`, `Lintang`,
    and optionally `Sumber`. Decimal degrees with comma or point. The import reads names within `region`; one that is
    not clear has candidates, which `resolutions` settle. 422 lists each wrong cell: a point outside Indonesia
    (longitude and latitude exchanged, mostly), a name that is not that of the code. The table replaces earlier points;
    a second import of it changes nothing.
    """
    call.actor.require_anywhere("write_coordinates")
    table = _TABLE.read(call.request)
    resolutions = parse_resolutions(AREA_RESOLUTIONS, table.texts["resolutions"])
    columns = parse_columns(table.texts["columns"])
    book = open_book(table.data, table.filename or "-", most_rows=LARGEST_TABLE)
    read = queries.read_coordinates_file(call.unit.reading, book, query, resolutions, columns)
    write = call.write.drop_precondition()
    done = commands.put_coordinates(write, read.points)
    if done["created"] or done["updated"]:
        sheet = read.table.sheet.name
        file = ImportedFile.of(
            table.filename, table.data, sheet, query, resolutions=resolutions, columns=columns
        )
        record_file(write, CHAIN, NATION, "coordinates", file)
    language = choose_language(call.request)
    result = CoordinatesWritten(
        created=done["created"],
        updated=done["updated"],
        unchanged=done["unchanged"],
        skipped_rows=read.table.skipped,
        warnings=[warning.render(language) for warning in read.table.warnings],
    )
    return answer(call.request, result.model_dump_json(exclude_none=True).encode())


@router.get(_COORDINATES, response_model=CoordinatesReply)
def read_coordinates(call: Caller, region: RegionKey) -> Response:
    """Return the point of a region. 404 for a region without one."""
    return _reply(call, region)


@router.put(_COORDINATES, response_model=CoordinatesReply, responses=declare_created(CoordinatesReply))
def put_coordinates(call: Caller, region: RegionKey, content: CoordinatesIn) -> Response:
    """Set the point of a region: a point in it, its office or its middle, in degrees of WGS 84.

    For the administrators of the region and of those above it. 422 for a point outside Indonesia (95 to 141.1 east,
    11.1 south to 6.1 north).
    """
    call.actor.require("write_coordinates", region)
    if region == NATION or not is_region(call.session, region):
        raise NotFound()
    point = RegionPoint(region, content, lambda name: {"pointer": f"/{name}"})
    done = commands.put_coordinates(call.write, [point])
    return _reply(call, region, status=201 if done["created"] else 200)


@router.delete(_COORDINATES, status_code=204)
def delete_coordinates(call: Caller, region: RegionKey) -> Response:
    """Delete the point of a region."""
    commands.delete_coordinates(call.write, region)
    return answer_no_content()


@router.get(f"{_COORDINATES}/history", response_model=Page[HistoryEntry])
def list_coordinates_history(call: Caller, region: RegionKey, query: History) -> Response:
    """List every write to the point of a region. The history outlives the point."""
    return answer_history(call, CHAIN, queries.COORDINATES.format_subject(region), query)


def _reply(call: RequestContext, region: str, *, status: int = 200) -> Response:
    text, version = queries.read_coordinates(call.session, region)
    allowed = ["edit", "delete"] if call.actor.may("write_coordinates", region) else []
    address = queries.COORDINATES.format_subject(region)
    return answer_resource(call.request, text, version, address, status=status, allowed=allowed)
