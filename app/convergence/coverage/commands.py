"""Commands of coverage. The number of statements hardly grows with the villages of a batch."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from app.access.commands import Write
from app.access.rules import RIGHTS, Actor, list_memberships
from app.convergence.coverage.models import CoverageFields, CoverageIn
from app.convergence.coverage.queries import cells, coverage, read_stored_coverage
from app.convergence.coverage.rules import (
    CoverageCount,
    find_balance,
    find_district,
    find_regency,
    find_status,
    is_village,
    pool_by_strategy,
    pool_counts,
)
from app.convergence.coverage.sums.commands import refresh_after_reports
from app.convergence.editions.commands import lock_choices, pin_choices
from app.convergence.editions.methods.models import Service
from app.convergence.editions.methods.queries import EDITIONS, RegionEditions, read_methods, read_services
from app.convergence.editions.methods.rules import COVERAGE_CHAIN
from app.kit.batch import BatchItem, BatchWrite, ItemOutcome
from app.kit.database.journal import Entry, append, assign_versions, lock_chain
from app.kit.database.parts import PartList, write_parts
from app.kit.database.resources import StoredRow
from app.kit.database.upsert import upsert
from app.kit.http.validation import find_nearest, unknown_reference
from app.kit.problems import Cell, ErrorPlace, FieldError, Kind, NotFound, require_found
from app.kit.wording import Text, declare_words
from app.reference.queries import find_regions_by_code, is_region
from app.tracking.quarters.queries import read_closed_quarters
from app.tracking.quarters.rules import QuarterClosed

not_your_region = Kind(
    "not_your_region",
    id="Hanya {roles:or} di wilayah {region} yang dapat mengisi cakupan desa “{value}”.",
    en="Only {roles:or} in region {region} can enter the coverage of the village “{value}”.",
)
declare_words(
    {
        "villages": Text("daftar desa dan kelurahan", "the list of villages"),
        "services": Text("paket layanan", "the service package"),
    },
    form="list",
)


@dataclass(frozen=True)
class VillageReport(BatchItem[CoverageIn]):
    """Coverage of one village (`code`) in a request.

    In a file it has the cell of each field (`/village`, `/services/{code}`).
    """

    cells: Mapping[str, Cell] = field(default_factory=dict)

    def locate(self, pointer: str) -> ErrorPlace:
        """Return the place of an error at a pointer into the content. A file without the column takes the query's."""
        if not self.cells:
            return super().locate(pointer)
        return {"cell": self.cells[pointer]} if pointer in self.cells else {"parameter": pointer[1:]}

    def build_error(self, at: str, kind: Kind, *, service: str = "", **details: Any) -> FieldError:
        """Return an error at a field of this report: at its cell in a file, else at its pointer."""
        if self.cells:
            return FieldError(kind, cell=self.cells.get(f"/services/{service}" if service else at), **details)
        return FieldError(kind, pointer=f"{self.pointer}{at}", **details)

    def place_error(self, error: FieldError) -> FieldError:
        """Return an error of the request as one of this report in a batch or a file."""
        if not (self.cells or self.pointer):
            return error
        return self.build_error("/village", error.kind, value=error.value, values=error.values)


def report_coverage(write: Write, period: str, batch: BatchWrite[VillageReport]) -> list[ItemOutcome]:
    """Create or replace the coverage of villages in a quarter; skip reports equal to the stored ones.

    Raises NotFound if the actor sees none of the villages. Raises Forbidden or Invalid if a village has errors,
    unless the batch has `each`, which refuses only that village.
    """
    session, year = write.session, int(period[:4])
    reports = list(batch.items.values())
    errors = _find_unseen(write, reports)
    seen = [report for report in reports if report.code not in errors]
    # The reply names an unknown village only to an actor that sees one of the regencies.
    is_near = any(write.actor.sees(find_regency(report.code)) for report in reports)
    if reports and not seen and not (batch.errors_before or is_near):
        raise NotFound()
    if any(not report.pointer and not report.cells for report in reports if report.code in errors):
        raise NotFound()  # the village comes from the address of the request
    forbidden = _find_forbidden(write.actor, seen)
    batch.forbid(forbidden)
    seen = [report for report in seen if report.code not in forbidden]
    by_regency: defaultdict[str, list[str]] = defaultdict(list)
    for report in seen:
        by_regency[find_regency(report.code)].append(report.code)
    # Lock in sorted order, so that two writers of several regencies cannot deadlock.
    chains = {regency: lock_chain(session, f"{COVERAGE_CHAIN}{regency}") for regency in sorted(by_regency)}
    editions = lock_choices(session, EDITIONS, by_regency, year) if by_regency else {}
    packages = read_services(session, {edition.service_package for edition in editions.values()})
    stored = read_stored_coverage(session, period, [report.code for report in seen])
    for regency, villages in by_regency.items():
        versions = [stored[village].version for village in villages if village in stored]
        write.precondition.check_many(session, versions, f"{COVERAGE_CHAIN}{regency}")
    for report in seen:
        package = packages[editions[find_regency(report.code)].service_package]
        if foreign := _find_foreign_services(report, package):
            errors[report.code] = foreign
    batch.find_numbers(stored)
    batch.invalidate(errors)
    contents = {report.code: report.content.model_dump(mode="json") for report in seen}
    changes = batch.changes(contents, stored)
    _refuse_closed(write, period, batch, changes)
    changes = batch.select_accepted(changes)
    entries: list[Entry] = []
    written: dict[str, int] = {}
    if changes:
        used = {region: editions[region] for region in {find_regency(village) for village in changes}}
        entries += pin_choices(session, write.author, EDITIONS, used, year)
        written = _write(write, period, changes, stored, editions, packages)
        refresh_after_reports(session, period, changes)
    for village, content in changes.items():
        before = stored[village].content if village in stored else None
        address = _format_address(period, village)
        entries.append(
            Entry.of("coverage", find_regency(village), address, written[village], before, content)
        )
    of_region = attrgetter("region_code")
    for region, own in groupby(sorted(entries, key=of_region), of_region):
        append(session, chains[region], write.author, list(own))
    return batch.outcomes(stored, written)


def _refuse_closed(
    write: Write, period: str, batch: BatchWrite[VillageReport], villages: Iterable[str]
) -> None:
    """Refuse changes in regencies that have submitted the quarter. The caller holds the locks of their chains."""
    regencies = {find_regency(village) for village in villages}
    closed = read_closed_quarters(write.session, regencies, period, write.author.at)
    errors = {
        village: [batch.items[village].place_error(reason)]
        for village in villages
        if (reason := closed.get(find_regency(village))) is not None
    }
    region = ", ".join(sorted(closed))
    batch.refuse(errors, lambda errors: QuarterClosed(period=period, region=region, errors=errors))


def _find_unseen(write: Write, reports: Sequence[VillageReport]) -> dict[str, list[FieldError]]:
    """Return the errors of villages that do not exist or that the actor cannot see."""
    known = find_regions_by_code(write.session, {report.code for report in reports})
    errors = {}
    for report in reports:
        code = report.code
        if code not in known or not is_village(code) or not write.actor.sees(find_regency(code)):
            source = {"source": "villages"}
            errors[code] = [report.build_error("/village", unknown_reference, value=code, values=source)]
    return errors


def _find_forbidden(actor: Actor, reports: Sequence[VillageReport]) -> dict[str, list[FieldError]]:
    """Return the errors of villages in regencies that the actor may not write."""
    right = RIGHTS["write_coverage"]
    errors: dict[str, list[FieldError]] = {}
    for report in reports:
        regency = find_regency(report.code)
        if not actor.may("write_coverage", regency):
            allowed = list_memberships(right, regency, ())
            values = {"roles": sorted(right.roles), "region": regency}
            error = report.build_error(
                "/village", not_your_region, value=report.code, allowed=allowed, values=values
            )
            errors[report.code] = [error]
    return errors


def _find_foreign_services(report: VillageReport, package: Mapping[str, Service]) -> list[FieldError]:
    return [
        report.build_error(
            f"/services/{n}/service",
            unknown_reference,
            service=item.service,
            value=item.service,
            allowed=list(package),
            nearest=find_nearest(item.service, package),
            values={"source": "services"},
        )
        for n, item in enumerate(report.content.services)
        if item.service not in package
    ]


def _write(
    write: Write,
    period: str,
    contents: Mapping[str, dict[str, Any]],
    stored: Mapping[str, StoredRow],
    editions: Mapping[str, RegionEditions],
    packages: Mapping[str, Mapping[str, Service]],
) -> dict[str, int]:
    """Upsert whole reports with their services. Return the new versions, by village."""
    session = write.session
    thresholds = read_methods(session, {edition.method for edition in editions.values()})
    strategy_of = {
        edition: {code: service.strategy for code, service in services.items()}
        for edition, services in packages.items()
    }
    versions = assign_versions(
        session, {village: _format_address(period, village) for village in contents}, stored
    )
    rows, lists = [], []
    for village, content in contents.items():
        edition = editions[find_regency(village)]
        counts = {
            item["service"]: CoverageCount(item["eligible"], item["served"]) for item in content["services"]
        }
        total = pool_counts(counts.values())
        lowest = find_balance(pool_by_strategy(counts, strategy_of[edition.service_package]))
        key = {"period": period, "village": village}
        rows.append(
            {
                **{name: content[name] for name in CoverageFields.model_fields},
                **key,
                "region_code": find_regency(village),
                "district_code": find_district(village),
                "year": int(period[:4]),
                **total._asdict(),
                "balance_percent": lowest.percent,
                "status": find_status(total, lowest, thresholds[edition.method]),
                "version": versions[village],
                "reported_at": write.author.at.isoformat(),
                "reported_by": write.author.actor,
            }
        )
        before = stored[village].content["services"] if village in stored else []
        lists.append(PartList(key, content["services"], before))
    upsert(session, coverage, rows, key=["period", "village"], versioned=True)
    write_parts(session, cells, "service", lists)
    return versions


def _format_address(period: str, village: str) -> str:
    return f"coverage/{period}/{village}"


def delete_coverage(write: Write, period: str, village: str) -> None:
    """Delete the coverage of a village in a quarter. Raises NotFound if the actor sees none."""
    session = write.session
    regency = find_regency(village)
    if not is_village(village) or not write.actor.sees(regency) or not is_region(write.session, village):
        raise NotFound()
    write.actor.require("write_coverage", regency)
    chain = lock_chain(write.session, f"{COVERAGE_CHAIN}{regency}")
    stored = require_found(read_stored_coverage(write.session, period, [village]).get(village))
    write.precondition.check(stored.version)
    if reason := read_closed_quarters(session, [regency], period, write.author.at).get(regency):
        raise QuarterClosed(period=period, region=regency, errors=[reason])
    session.execute(sa.delete(cells).where(cells.c.period == period, cells.c.village == village))
    session.execute(sa.delete(coverage).where(coverage.c.period == period, coverage.c.village == village))
    refresh_after_reports(session, period, [village])
    address, version = _format_address(period, village), stored.version + 1
    entry = Entry.of("coverage", regency, address, version, stored.content, None)
    append(session, chain, write.author, [entry])
