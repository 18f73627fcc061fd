"""Coverage over HTTP."""

from fastapi import Response

from app.access.actor import Caller, RequestContext
from app.changes.commands import ImportedFile, record_file
from app.changes.history import History, answer_history
from app.changes.models import HistoryEntry
from app.convergence.coverage import commands, queries
from app.convergence.coverage.commands import VillageReport
from app.convergence.coverage.files.queries import build_import_report, read_coverage_file
from app.convergence.coverage.models import (
    ChildrenQuery,
    CoverageBatch,
    CoverageImportQuery,
    CoverageImportReport,
    CoverageIn,
    CoverageItem,
    CoverageListQuery,
    CoverageOut,
    CoverageReply,
    FiguresQuery,
    QuarterKey,
    RegionCoverage,
    RegionSums,
    VillageKey,
)
from app.convergence.coverage.regions.queries import compute_region_coverage, list_children, parse_strategies
from app.convergence.coverage.rules import find_regency
from app.convergence.editions.methods.rules import COVERAGE_CHAIN
from app.kit.batch import BatchQuery, BatchWrite, ItemOutcome, list_errors, read_items
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
from app.kit.http.routing import FromQuery, make_router
from app.kit.periods import is_quarter, malformed_period
from app.kit.problems import BadRequest, FieldError, NotFound
from app.kit.tables.choices import COLUMNS_PART, parse_columns
from app.kit.tables.resolutions import parse_resolutions
from app.plans.findings.models import BatchResult, build_batch_result
from app.reference.models import RegionKey
from app.reference.places.areas.models import AREA_RESOLUTIONS, RESOLUTIONS_PART

router = make_router(tags=["convergence"])


def _parse_quarter(text: str) -> str:
    if not is_quarter(text):
        raise BadRequest(
            errors=[FieldError(malformed_period, parameter="period", value=text, allowed=["2026-Q2"])]
        )
    return text


@router.get("/coverage/{period}", response_model=Page[CoverageOut])
def list_coverage(call: Caller, period: QuarterKey, query: FromQuery[CoverageListQuery]) -> Response:
    """List the villages of a region with a report on a quarter, with the figures that follow from it.

    404 if the caller cannot see the region. The children of a district include the villages without a report.
    """
    listing = queries.list_coverage(call.actor, _parse_quarter(period), query)
    body = read_page(call.session, call.request, listing, query, sort=query.sort)
    # Before the first write to the regency's coverage its state is empty.
    state = state_hash(call.session, f"{COVERAGE_CHAIN}{find_regency(query.region)}")[:STATE_LENGTH]
    return answer_page(call.request, body, tag=make_etag(body, version=state or None))


@router.put("/coverage/{period}", response_model=BatchResult)
def put_region_coverage(
    call: Caller, period: QuarterKey, query: FromQuery[BatchQuery], batch: CoverageBatch
) -> Response:
    """Report the coverage of up to 10,000 villages, all of them or none.

    The secretariat of each village's regency may write it, or an administrator of the regency or of a region above.
    With `each=true` the service writes the villages without errors and refuses the others. Needs `If-Match` with the
    tags of the lists of their regencies or `*` if one of the villages has a report.
    """
    quarter = _parse_quarter(period)
    items, refused = read_items(CoverageItem, batch.items, key="village")
    reports = [
        VillageReport(item.village, CoverageIn.model_construct(**dict(item)), pointer=f"/items/{n}")
        for n, item in items
    ]
    written = BatchWrite(reports, each=query.each, errors_before=list_errors(refused))
    done = commands.report_coverage(call.write_of_list, quarter, written)
    result = build_batch_result(done, refused, {}, language=choose_language(call.request))
    return answer(call.request, result.model_dump_json(exclude_none=True).encode())


_TABLE = Upload(
    "The table: .xlsx or .csv, at most 20 MB.", {"resolutions": RESOLUTIONS_PART, "columns": COLUMNS_PART}
)


@router.post("/coverage/{period}", response_model=CoverageImportReport, openapi_extra=_TABLE.declared)
def import_coverage(call: Caller, period: QuarterKey, query: FromQuery[CoverageImportQuery]) -> Response:
    """Import coverage from a table with a row for each village, or for each village and service.

    The header names the columns in any order, in Indonesian or English: `Kode Desa` or `Kecamatan` and `Desa`,
    `Keluarga Sasaran`, `Keluarga Lengkap`, `Sumber`, `Periode Data`, then for each service `Sasaran` and `Terlayani`
    below its name or behind it (`Sanitasi layak sasaran`); or in a long table `Layanan`, `Sasaran`, `Terlayani`. The
    reply warns about unknown columns and about sums that do not add up. The import reads names within `region`; one
    that is not clear has candidates, which `resolutions` settle. 422 lists every error by cell, and nothing changes.
    The import replaces earlier reports; a second import of a file changes nothing.
    """
    quarter = _parse_quarter(period)
    if not call.actor.grants:
        raise NotFound()
    call.actor.require_anywhere("write_coverage")
    table = _TABLE.read(call.request)
    reading = call.unit.reading
    resolutions = parse_resolutions(AREA_RESOLUTIONS, table.texts["resolutions"])
    columns = parse_columns(table.texts["columns"])
    year = int(quarter[:4])
    read = read_coverage_file(reading, year, table.data, table.filename, query, resolutions, columns)
    written = BatchWrite(read.reports, each=query.each, errors_before=read.errors)
    write = call.write.drop_precondition()
    done = commands.report_coverage(write, quarter, written)
    file = ImportedFile.of(
        table.filename, table.data, read.sheet, query, resolutions=resolutions, columns=columns
    )
    for regency in sorted(
        {find_regency(item.code) for item in done if item.status in ("created", "updated")}
    ):
        record_file(write, f"{COVERAGE_CHAIN}{regency}", regency, f"coverage/{quarter}/{regency}", file)
    report = build_import_report(quarter, read, done, choose_language(call.request))
    return answer(call.request, report.model_dump_json(exclude_none=True).encode())


@router.get("/coverage/{period}/{village}", response_model=CoverageReply)
def read_coverage(call: Caller, period: QuarterKey, village: VillageKey) -> Response:
    """Return the coverage of a village in a quarter, in total and by strategy."""
    return _reply(call, _parse_quarter(period), village)


@router.put(
    "/coverage/{period}/{village}", response_model=CoverageReply, responses=declare_created(CoverageReply)
)
def put_coverage(call: Caller, period: QuarterKey, village: VillageKey, content: CoverageIn) -> Response:
    """Report the coverage of a village in a quarter, and replace an earlier report.

    A report has the eligible and the served of each service, the target families, the complete families among them,
    and the source. 422 if a service has more served than eligible (E08).
    """
    quarter = _parse_quarter(period)
    (done,) = commands.report_coverage(call.write, quarter, BatchWrite([VillageReport(village, content)]))
    return _reply(call, quarter, village, done=done)


@router.delete("/coverage/{period}/{village}", status_code=204)
def delete_coverage(call: Caller, period: QuarterKey, village: VillageKey) -> Response:
    """Delete the coverage of a village in a quarter."""
    commands.delete_coverage(call.write, _parse_quarter(period), village)
    return answer_no_content()


@router.get("/coverage/{period}/{village}/history", response_model=Page[HistoryEntry])
def list_coverage_history(call: Caller, period: QuarterKey, village: VillageKey, query: History) -> Response:
    """List the writes to the coverage of a village in a quarter, also after its deletion."""
    chain = f"{COVERAGE_CHAIN}{find_regency(village)}"
    return answer_history(call, chain, f"coverage/{period}/{village}", query)


def _reply(call: RequestContext, period: str, village: str, *, done: ItemOutcome | None = None) -> Response:
    text = queries.read_coverage_text(call.session, call.actor, period, village)
    strategies, version = parse_strategies(call.session, text)
    fields = {
        "by_strategy": [strategy.model_dump() for strategy in strategies],
        "allowed": ["edit", "delete"] if call.actor.may("write_coverage", find_regency(village)) else [],
    }
    status = 201 if done is not None and done.status == "created" else 200
    address = f"coverage/{period}/{village}"
    return answer_resource(call.request, text, version, address, status=status, **fields)


@router.get("/regions/{region}/coverage", response_model=RegionCoverage, openapi_extra={"x-problems": [409]})
def read_region_coverage(call: Caller, region: RegionKey, query: FromQuery[FiguresQuery]) -> Response:
    """Return the coverage of a district, a regency, a province or the nation in a quarter, with all its inputs.

    The reply has figures by service and by strategy, the reach, and the villages by status. Counts pool over villages;
    nothing averages percentages. A figure without a denominator is null, never 0 or 100. 404 if the caller cannot see
    the region.
    """
    coverage = compute_region_coverage(call.session, call.actor, region, query.period)
    return answer(call.request, coverage.model_dump_json().encode())


@router.get("/regions/{region}/coverage/children", response_model=Page[RegionSums])
def list_region_coverage(call: Caller, region: RegionKey, query: FromQuery[ChildrenQuery]) -> Response:
    """List the coverage of the regions one level below in a quarter, with or without reports.

    The children of a district are its villages. A province and the nation list only the children that the caller sees.
    """
    listing = list_children(call.session, call.actor, region, query)
    return call.answer_list(listing, query, sort=query.sort)
