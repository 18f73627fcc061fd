"""Commands of definitions, observations and targets; a batch of observations takes as many statements as one."""

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import groupby
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from sqlmodel import Session

from app.access.commands import Write
from app.changes.commands import ImportedFile, record_file
from app.convergence.editions.queries import check_visible
from app.convergence.indicators.files.rules import LocatedObservation, ObservedTable
from app.convergence.indicators.models import (
    IndicatorCode,
    IndicatorIn,
    ObservationsImported,
    ObservationsWritten,
    SeriesWritten,
    TargetIn,
)
from app.convergence.indicators.queries import (
    INDICATOR,
    OBSERVATION,
    TARGET,
    Indicator,
    has_observations,
    read_indicators,
)
from app.convergence.indicators.rules import (
    INDICATORS_CHAIN,
    NATION,
    OBSERVATIONS_CHAIN,
    PERSONS,
    SurveyPeriod,
    find_last_day,
    find_population_error,
    find_value_error,
    format_targets_chain,
    is_period_of,
    list_periods,
    period_not_over,
    too_many_decimals,
    wrong_period,
)
from app.kit.database.journal import Author, lock_chain
from app.kit.database.resources import StoredRow, WriteOutcome
from app.kit.http.validation import describe_unknown
from app.kit.periods import get_local_date
from app.kit.problems import FieldError, Invalid, Kind, Problem, refuse, require_found
from app.kit.wording import Language, Text
from app.reference.queries import find_regions_by_code, read_populations

SHIPPED = Path(__file__).parent / "data" / "indicators.csv"

_CODE: TypeAdapter[str] = TypeAdapter(IndicatorCode)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(";")]


_PARSERS: Mapping[str, Callable[[str], object]] = {
    "months": lambda text: [int(month) for month in _split(text)],
    "aliases": _split,
    "related": _split,
    "annual_month": int,
    "decimals": int,
    "minimum": float,
    "maximum": float,
}
"""Parsers of the shipped file's columns that are not plain text."""

malformed_indicator = Kind(
    "malformed_indicator_code",
    id="“{value}” bukan kode indikator; gunakan huruf kecil, angka, dan garis bawah",
    en="“{value}” is not a code of an indicator; use lower-case letters, digits and underscores",
)
not_before = Kind(
    "not_before_target",
    id="tahun dasar “{value}” harus sebelum tahun target ({allowed})",
    en="the baseline year “{value}” must precede the target's year ({allowed})",
)


class IndicatorInUse(Problem):
    status = 409
    code = "indicator_in_use"
    title = Text("Indikator sudah memiliki data", "The indicator has observations")
    detail = Text(
        "Indikator “{indicator}” sudah memiliki data, sehingga frekuensinya tidak dapat diubah. Buat indikator baru.",
        "The indicator “{indicator}” has observations, so that its frequency cannot change. Define a new indicator.",
    )


def load_indicators(session: Session, author: Author, file: Path = SHIPPED) -> list[str]:
    """Upsert the shipped definitions, except those that an administrator has replaced.

    Return `["indicators"]`, or an empty list if nothing changed.
    """
    chain = lock_chain(session, INDICATORS_CHAIN)
    known = read_indicators(session)
    drafts = {
        (code,): content.model_dump(mode="json")
        for code, content in read_shipped_indicators(file).items()
        if code not in known or known[code].shipped
    }
    stored = {(code,): _make_stored(indicator) for code, indicator in known.items()}
    outcomes = INDICATOR.put(session, author, chain, drafts, stored, shipped=True)
    return ["indicators"] if {*outcomes.values()} - {"unchanged"} else []


def read_shipped_indicators(file: Path = SHIPPED) -> dict[str, IndicatorIn]:
    """Return code → definition from a file."""
    with file.open(encoding="utf-8", newline="") as lines:
        rows = [{name: value for name, value in line.items() if value} for line in csv.DictReader(lines)]
    definitions = {}
    for row in rows:
        code = row.pop("code")
        content: dict[str, object] = {name: _PARSERS.get(name, str)(value) for name, value in row.items()}
        definitions[code] = IndicatorIn.model_validate(content)
    return definitions


def put_indicator(write: Write, code: str, content: IndicatorIn) -> bool:
    """Create or replace a definition; equal content changes nothing. Return whether it is new.

    Raises IndicatorInUse if the frequency changes and the indicator has observations.
    """
    write.actor.require("write_indicators", NATION)
    chain = lock_chain(write.session, INDICATORS_CHAIN)
    stored = read_indicators(write.session)
    before = stored.get(code)
    write.precondition.check(before.version if before else None)
    if before is None:
        _check_code(code)
    elif before.frequency != content.frequency and has_observations(write.session, code):
        raise IndicatorInUse(indicator=code)
    others = stored.keys() - {code}
    errors = [
        describe_unknown(related, "indicators", others, pointer=f"/related/{n}")
        for n, related in enumerate(content.related)
        if related not in others
    ]
    refuse(errors)
    key, after = (code,), content.model_dump(mode="json")
    replaced = {key: _make_stored(before)} if before else {}
    INDICATOR.put(write.session, write.author, chain, {key: after}, replaced, shipped=False)
    return before is None


def _check_code(code: str) -> None:
    try:
        _CODE.validate_python(code)
    except ValidationError:
        error = FieldError(malformed_indicator, parameter="indicator", value=code)
        raise Invalid(errors=[error]) from None


def _make_stored(indicator: Indicator) -> StoredRow:
    return StoredRow({name: getattr(indicator, name) for name in IndicatorIn.model_fields}, indicator.version)


def put_observations(write: Write, items: Sequence[LocatedObservation]) -> ObservationsWritten:
    """Create or replace observations, all of them or none; skip unchanged ones.

    Raises Invalid with every unknown region, indicator or period, and every value outside its unit.
    """
    write.actor.require("write_observations", NATION)
    chain = lock_chain(write.session, OBSERVATIONS_CHAIN)
    drafts = {item.key: item.content for item in items}
    stored = OBSERVATION.read(write.session, drafts)
    write.precondition.check_many(write.session, [row.version for row in stored.values()], OBSERVATIONS_CHAIN)
    places = {item.key: item.place for item in items}
    errors = _find_errors(write.session, items, write.caller.at)
    refuse([*errors, *OBSERVATION.find_numbers(drafts, stored, places)])
    return _count_outcomes(items, OBSERVATION.put(write.session, write.author, chain, drafts, stored))


def import_observations(
    write: Write, table: ObservedTable, file: ImportedFile, language: Language
) -> ObservationsImported:
    """Write the observations of a file like `put_observations`, and record the file if it changed any."""
    done = put_observations(write, table.items)
    if done.created or done.updated:
        record_file(write, OBSERVATIONS_CHAIN, NATION, "observations", file)
    return ObservationsImported(
        **dict(done),
        factors=list(table.factors),
        skipped_rows=list(table.skipped),
        warnings=[warning.render(language) for warning in table.warnings],
    )


def _find_errors(session: Session, items: Sequence[LocatedObservation], at: datetime) -> list[FieldError]:
    known, regions = read_indicators(session), find_regions_by_code(session, {item.region for item in items})
    counted = {code for code, item in known.items() if item.unit in PERSONS}
    populations = read_populations(session, {item.region for item in items if item.indicator in counted})
    errors: list[FieldError] = []
    for item in items:
        indicator, region = known.get(item.indicator), regions.get(item.region)
        if region is None:
            errors.append(describe_unknown(item.region, "regions", (), **item.place("region_code")))
        if indicator is None:
            errors.append(describe_unknown(item.indicator, "indicators", known, **item.place("indicator")))
            continue
        today = get_local_date(at, region.timezone if region else "WIB")
        errors += _find_period_errors(indicator, item, today)
        value = item.content["value"]
        if value is None:
            continue
        population = populations.get(item.region) if item.indicator in counted else None
        if beyond := find_population_error(indicator, value, population, **item.place("value")):
            errors.append(beyond)
        elif wrong := find_value_error(indicator, value):
            kind, allowed = wrong
            errors.append(FieldError(kind, **item.place("value"), value=value, allowed=allowed))
    # The heading of a column is the place of the period for all its cells.
    return list(
        {(error.kind.code, error.pointer, error.parameter, error.cell): error for error in errors}.values()
    )


def _find_period_errors(indicator: Indicator, item: LocatedObservation, today: date) -> Iterator[FieldError]:
    """Yield the error of a period that the indicator has not, or that is not over."""
    if not is_period_of(indicator, item.period):
        yield FieldError(
            wrong_period, **item.place("period"), value=item.period, allowed=list_periods(indicator)
        )
    elif (last := find_last_day(indicator, SurveyPeriod.parse(item.period))) >= today:
        yield FieldError(period_not_over, **item.place("period"), value=item.period, allowed=last.isoformat())


def _count_outcomes(
    items: Sequence[LocatedObservation], outcomes: Mapping[tuple[str, str, str], WriteOutcome]
) -> ObservationsWritten:
    """Return the numbers of created, updated and unchanged observations, in total and by series."""

    def count(some: Sequence[LocatedObservation]) -> dict[str, int]:
        numbers = Counter(outcomes[item.key] for item in some)
        return {outcome: numbers[outcome] for outcome in ("created", "updated", "unchanged")}

    def get_series(item: LocatedObservation) -> tuple[str, str]:
        return item.indicator, item.period

    by_series = []
    for (indicator, period), group in groupby(sorted(items, key=get_series), key=get_series):
        some = list(group)
        symbols = sum(item.content["symbol"] is not None for item in some)
        by_series.append(SeriesWritten(indicator=indicator, period=period, symbols=symbols, **count(some)))
    return ObservationsWritten(**count(items), series=by_series)


def delete_observation(write: Write, region: str, indicator: str, period: str) -> None:
    """Delete an observation. Raises NotFound if there is none."""
    write.actor.require("write_observations", NATION)
    chain, key = lock_chain(write.session, OBSERVATIONS_CHAIN), (region, indicator, period)
    stored = write.precondition.check_existing(OBSERVATION.read(write.session, [key]).get(key))
    OBSERVATION.delete(write.session, write.author, chain, key, stored)


def put_target(write: Write, region: str, indicator: str, year: int, content: TargetIn) -> bool:
    """Create or replace the target of a region for a year; equal content changes nothing. Return whether it is new."""
    check_visible(write.session, write.actor, region)
    write.actor.require("write_targets", region)
    definition = require_found(read_indicators(write.session).get(indicator))
    chain = lock_chain(write.session, format_targets_chain(region))
    key = (region, indicator, year)
    stored = TARGET.read(write.session, [key])
    write.precondition.check(stored[key].version if stored else None)
    refuse(_find_target_errors(definition, year, content))
    TARGET.put(write.session, write.author, chain, {key: content.model_dump(mode="json")}, stored)
    return not stored


def _find_target_errors(indicator: Indicator, year: int, content: TargetIn) -> list[FieldError]:
    errors = []
    if content.baseline_year >= year:
        errors.append(
            FieldError(not_before, pointer="/baseline_year", value=content.baseline_year, allowed=year)
        )
    for name in ("value", "baseline"):
        value = getattr(content, name)
        wrong = find_value_error(indicator, value)
        if wrong and wrong[0] is not too_many_decimals:  # a target may have more decimals than observations
            kind, allowed = wrong
            errors.append(FieldError(kind, pointer=f"/{name}", value=value, allowed=allowed))
    return errors


def delete_target(write: Write, region: str, indicator: str, year: int) -> None:
    """Delete a target. Raises NotFound if there is none."""
    check_visible(write.session, write.actor, region)
    write.actor.require("write_targets", region)
    chain, key = lock_chain(write.session, format_targets_chain(region)), (region, indicator, year)
    stored = write.precondition.check_existing(TARGET.read(write.session, [key]).get(key))
    TARGET.delete(write.session, write.author, chain, key, stored)
