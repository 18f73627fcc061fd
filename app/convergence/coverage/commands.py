"""Reporting coverage: a province's villages are written by about as many statements as one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from app.access.rules import Actor
from app.access.write import Write
from app.convergence.coverage.aggregates import refresh_after_reports
from app.convergence.coverage.models import (
    CoverageFields,
    CoverageIn,
    CoverageRow,
)
from app.convergence.coverage.queries import cells, coverage, stored_coverage
from app.convergence.coverage.rules import (
    Count,
    balance,
    by_strategy,
    district_of,
    is_village,
    pooled,
    regency_of,
    status_of,
)
from app.convergence.editions.commands import hold_choices, pin_choices
from app.convergence.editions.methods.models import Service
from app.convergence.editions.methods.queries import EDITIONS, Editions, methods_of, services_of
from app.convergence.editions.methods.rules import COVERAGE_CHAIN
from app.kit.database.engine import table_of
from app.kit.database.journal import Chain, Entry, hold, next_versions, record
from app.kit.database.json_sql import built_once, to_json
from app.kit.database.resources import Stored
from app.kit.database.upsert import records, upsert
from app.kit.http.validation import nearest, unknown_reference
from app.kit.problems import Cell, FieldError, Forbidden, Invalid, Kind, NotFound, PreconditionFailed
from app.plans.findings.batches import Status
from app.reference.queries import is_region, regions_by_code

not_your_region = Kind(
    "not_your_region",
    id="cakupan desa {value} hanya ditulis dengan peran {roles} di wilayah {region}",
    en="coverage of {value} is written only with the role {roles} in region {region}",
)


@dataclass(frozen=True)
class Report:
    """Coverage as somebody wants it for one village, and where in the request it stands: a pointer, or in a file
    the cell of each field (`/village`, `/services/{code}`)."""

    village: str
    content: CoverageIn
    pointer: str = ""
    cells: Mapping[str, Cell] = field(default_factory=dict)

    def error(self, at: str, kind: Kind, *, service: str = "", **told: Any) -> FieldError:
        if self.cells:
            return FieldError(kind, cell=self.cells.get(f"/services/{service}" if service else at), **told)
        return FieldError(kind, pointer=f"{self.pointer}{at}", **told)


@dataclass(frozen=True)
class Reported:
    """What became of one report; `code` is the village's."""

    code: str
    status: Status
    version: int | None = None
    errors: tuple[FieldError, ...] = ()


def report_coverage(
    write: Write,
    period: str,
    reports: Sequence[Report],
    *,
    each: bool = False,
    errors_before: Sequence[FieldError] = (),
) -> list[Reported]:
    """Create or replace the coverage of villages in a quarter; unchanged reports are not written.

    All or nothing (`errors_before` of the caller count too), or with `each` village by village. Raises NotFound if
    the actor sees none of the villages, Forbidden if the right is missing in one of their regencies.
    """
    year = int(period[:4])
    errors = _unseen(write, reports)
    seen = [report for report in reports if report.village not in errors]
    if reports and not seen and not (errors_before or _is_near(write.actor, reports)):
        raise NotFound()
    if any(not report.pointer and not report.cells for report in reports if report.village in errors):
        raise NotFound()  # it stands in the address
    forbidden = _forbidden(write.actor, seen)
    if forbidden and not each:
        raise Forbidden(errors=forbidden.values(), **next(iter(forbidden.values())).values)
    by_regency = _by_regency([report for report in seen if report.village not in forbidden])
    # Always in this order: two writers of several regencies wait for one another, never in a circle.
    chains = {regency: hold(write.session, f"{COVERAGE_CHAIN}{regency}") for regency in sorted(by_regency)}
    editions = hold_choices(write.session, EDITIONS, by_regency, year) if by_regency else {}
    packages = services_of(write.session, {found.service_package for found in editions.values()})
    stored = stored_coverage(
        write.session, period, [village for found in by_regency.values() for village in found]
    )
    for regency, villages in by_regency.items():
        existing = [stored[village].version for village in villages if village in stored]
        write.precondition.check_many(write.session, existing, f"{COVERAGE_CHAIN}{regency}")
    for report in seen:
        if report.village not in forbidden:
            found = _foreign(report, packages[editions[regency_of(report.village)].service_package])
            if found:
                errors[report.village] = found
    if not each and (errors or errors_before):
        raise Invalid(errors=_all(errors_before, errors))
    errors |= {village: [refusal] for village, refusal in forbidden.items()}
    wanted = {
        report.village: report.content.model_dump(mode="json")
        for report in reports
        if report.village not in errors
    }
    changed = {
        village: content
        for village, content in wanted.items()
        if village not in stored or stored[village].content != content
    }
    entries: list[Entry] = []
    versions: dict[str, int] = {}
    if changed:
        written = {regency_of(village) for village in changed}
        used = {region: editions[region] for region in written}
        entries += pin_choices(write.session, write.author, EDITIONS, used, year)
        versions = _write(write, period, changed, stored, editions, packages)
        refresh_after_reports(write.session, period, changed)
    for village, content in changed.items():
        before = stored[village].content if village in stored else None
        entries.append(_entry(period, village, versions[village], before, content))
    _record(write, chains, entries)
    return [_reported(report.village, stored, versions, errors) for report in reports]


def _all(before: Sequence[FieldError], errors: Mapping[str, Sequence[FieldError]]) -> list[FieldError]:
    return [*before, *(error for found in errors.values() for error in found)]


def _by_regency(reports: Sequence[Report]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for report in reports:
        found.setdefault(regency_of(report.village), []).append(report.village)
    return found


def _unseen(write: Write, reports: Sequence[Report]) -> dict[str, list[FieldError]]:
    """Villages that do not exist, or as good as that."""
    known = regions_by_code(write.session, {report.village for report in reports})
    errors = {}
    for report in reports:
        code = report.village
        if code not in known or not is_village(code) or not write.actor.sees(regency_of(code)):
            source = {"source": "regions (villages)"}
            errors[code] = [report.error("/village", unknown_reference, value=code, values=source)]
    return errors


def _is_near(actor: Actor, reports: Sequence[Report]) -> bool:
    """Return whether the actor sees one of the regencies: then it may learn that a village does not exist."""
    return any(actor.sees(regency_of(report.village)) for report in reports)


def _forbidden(actor: Actor, reports: Sequence[Report]) -> dict[str, FieldError]:
    found: dict[str, FieldError] = {}
    refused: dict[str, dict[str, Any] | None] = {}
    for report in reports:
        regency = regency_of(report.village)
        if regency not in refused:
            try:
                actor.require("write_coverage", regency)
                refused[regency] = None
            except Forbidden as refusal:
                refused[regency] = refusal.values
        values = refused[regency]
        if values is not None:
            found[report.village] = report.error(
                "/village",
                not_your_region,
                value=report.village,
                allowed=values["memberships"],
                values=values,
            )
    return found


def _foreign(report: Report, package: Mapping[str, Service]) -> list[FieldError]:
    """A report may only speak of services of the package."""
    return [
        report.error(
            f"/services/{n}/service",
            unknown_reference,
            service=item.service,
            value=item.service,
            allowed=list(package),
            nearest=nearest(item.service, package),
            values={"source": "service-packages"},
        )
        for n, item in enumerate(report.content.services)
        if item.service not in package
    ]


def _write(
    write: Write,
    period: str,
    contents: Mapping[str, dict[str, Any]],
    stored: Mapping[str, Stored],
    editions: Mapping[str, Editions],
    packages: Mapping[str, Mapping[str, Service]],
) -> dict[str, int]:
    """Write whole reports and give their new versions, by village."""
    thresholds = methods_of(write.session, {found.method for found in editions.values()})
    strategy_of = {
        edition: {code: service.strategy for code, service in services.items()}
        for edition, services in packages.items()
    }
    versions = next_versions(
        write.session, {village: _address(period, village) for village in contents}, stored
    )
    rows, items = [], []
    for village, content in contents.items():
        edition = editions[regency_of(village)]
        counts = {item["service"]: Count(item["eligible"], item["served"]) for item in content["services"]}
        total = pooled(counts.values())
        lowest = balance(by_strategy(counts, strategy_of[edition.service_package]))
        key = {"period": period, "village": village}
        rows.append(
            {
                **{name: content[name] for name in CoverageFields.model_fields},
                **key,
                "region_code": regency_of(village),
                "district_code": district_of(village),
                "year": int(period[:4]),
                **total._asdict(),
                "balance_percent": lowest.percent,
                "status": status_of(total, lowest, thresholds[edition.method]),
                "version": versions[village],
                "reported_at": write.author.at.isoformat(),
                "reported_by": write.author.actor,
            }
        )
        items += [{**item, **key, "position": n} for n, item in enumerate(content["services"])]
    written = upsert(
        write.session,
        table_of(CoverageRow),
        rows,
        key=["period", "village"],
        versioned=True,
        returning=["village", "version"],
    )
    if len(written) != len(rows):
        raise PreconditionFailed()
    gone = _gone(period, contents, stored)
    if gone:
        write.session.connection().execute(_clear_services(write.session), {"records": to_json(gone)})
    upsert(write.session, cells, items, key=["period", "village", "service"])
    return {row.village: row.version for row in written}


def _gone(
    period: str, contents: Mapping[str, dict[str, Any]], stored: Mapping[str, Stored]
) -> list[dict[str, str]]:
    """The services that a new report no longer speaks of."""
    found: list[dict[str, str]] = []
    for village, content in contents.items():
        kept = {item["service"] for item in content["services"]}
        old = stored[village].content["services"] if village in stored else ()
        gone = (item["service"] for item in old if item["service"] not in kept)
        found += [{"period": period, "village": village, "service": service} for service in gone]
    return found


@built_once
def _clear_services(session: Session) -> sa.Delete:
    names = ("period", "village", "service")
    source = records(session, {name: cells.c[name].type for name in names})
    key = sa.tuple_(*[cells.c[name] for name in names])
    return sa.delete(cells).where(key.in_(sa.select(*[source.c[name] for name in names])))


def _record(write: Write, chains: Mapping[str, Chain], entries: Sequence[Entry]) -> None:
    """Each regency's entries at the end of its chain."""
    by_region: dict[str, list[Entry]] = {}
    for entry in entries:
        by_region.setdefault(entry.region_code, []).append(entry)
    for region in sorted(by_region):
        record(write.session, chains[region], write.author, by_region[region])


def _entry(
    period: str,
    village: str,
    version: int,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
) -> Entry:
    return Entry.of("coverage", regency_of(village), _address(period, village), version, before, after)


def _address(period: str, village: str) -> str:
    return f"coverage/{period}/{village}"


def _reported(
    village: str,
    stored: Mapping[str, Stored],
    versions: Mapping[str, int],
    errors: Mapping[str, Sequence[FieldError]],
) -> Reported:
    if village in errors:
        return Reported(village, "refused", errors=tuple(errors[village]))
    if village not in versions:
        return Reported(village, "unchanged", stored[village].version)
    return Reported(village, "updated" if village in stored else "created", versions[village])


def delete_coverage(write: Write, period: str, village: str) -> None:
    """Take the coverage of a village in a quarter back. Raises NotFound if the actor sees none."""
    regency = regency_of(village)
    if not is_village(village) or not write.actor.sees(regency) or not is_region(write.session, village):
        raise NotFound()
    write.actor.require("write_coverage", regency)
    chain = hold(write.session, f"{COVERAGE_CHAIN}{regency}")
    stored = stored_coverage(write.session, period, [village]).get(village)
    if stored is None:
        raise NotFound()
    write.precondition.check(stored.version)
    write.session.execute(sa.delete(cells).where(cells.c.period == period, cells.c.village == village))
    write.session.execute(
        sa.delete(coverage).where(coverage.c.period == period, coverage.c.village == village)
    )
    refresh_after_reports(write.session, period, [village])
    entry = _entry(period, village, stored.version + 1, stored.content, None)
    record(write.session, chain, write.author, [entry])
