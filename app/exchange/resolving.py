"""Looking up everything that a file names, at once: by code, then by name, and never by guessing.

What is unknown or ambiguous is reported by its cell with what is allowed and the nearest candidates;
the caller settles it with a resolution, or accepts a sub-activity as free text.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from app.agencies.queries import agencies_by_code, agencies_named, agency_labels
from app.exchange.matrix.models import MatrixRow, Named, Place
from app.exchange.models import Resolution
from app.exchange.rules import Resolved, Subactivity, joined
from app.kit.inputs import nearest, unknown_reference
from app.kit.problems import FieldError, Kind
from app.plans.rules import government_level, is_inside
from app.reference.nomenclature.queries import (
    FoundSubactivity, subactivities_by_code, subactivities_like, subactivities_named,
)
from app.reference.queries import (
    funding_source_labels, funding_sources_by_code, funding_sources_named, regions_by_code, regions_named,
)

ambiguous_name = Kind(
    "ambiguous_name", id="{value} cocok dengan beberapa: {allowed}; sebutkan kodenya lewat resolutions",
    en="{value} fits several: {allowed}; name the code in resolutions",
)
unresolved_subactivity = Kind(
    "unresolved_subactivity",
    id="sub kegiatan {value} tidak ada pada kegiatannya dalam nomenklatur {edition}; terdekat: {nearest}",
    en="sub-activity {value} is not in its activity in nomenclature {edition}; nearest: {nearest}",
)
unknown_agency = Kind(
    "unknown_agency",
    id="perangkat daerah {value} belum terdaftar; terdekat: {nearest}. Daftarkan, pakai resolutions, atau new_agencies=create",
    en="agency {value} is not registered; nearest: {nearest}. Register it, use resolutions, or new_agencies=create",
)
cell_required = Kind("cell_required", id="sel ini wajib diisi", en="this cell must be filled")
unresolved_place = Kind(
    "unresolved_place", id="lokasi {value} tidak ditemukan di wilayah rencana; teksnya disimpan",
    en="the place {value} was not found in the plan's region; its words are kept",
)
unused_resolution = Kind(
    "unused_resolution", id="resolutions untuk {value} tidak cocok dengan sel mana pun",
    en="the resolution for {value} fits no cell",
)


@dataclass
class Outcome:
    """The lines of a file as far as they could be resolved, and everything to be said."""

    lines: list[Resolved] = field(default_factory=list)
    errors: list[FieldError] = field(default_factory=list)
    warnings: list[FieldError] = field(default_factory=list)
    unknown_agencies: dict[str, str] = field(default_factory=dict)
    """Code → name of agencies that the region does not have but the file names fully."""


def spans(rows: Sequence[MatrixRow]) -> list[list[MatrixRow]]:
    """Each line of the file with the rows that continue it."""
    lines: dict[int, list[MatrixRow]] = {}
    for row in rows:
        if row.continues is None:
            lines[row.row] = [row]
        else:
            lines[row.continues].append(row)
    return list(lines.values())


class Resolver:
    """One file against one plan. Each kind of name is looked up in as many statements as one would take."""

    def __init__(
        self, session: Session, plan: sa.Row[Any], rows: Sequence[MatrixRow], resolutions: Sequence[Resolution],
        *, accept_free_text: bool,
    ) -> None:
        self.session, self.plan, self.accept_free_text = session, plan, accept_free_text
        self.level, self.edition = government_level(plan.region_code), plan.nomenclature_edition
        self.lines = [(span, joined(span[0], span[1:])) for span in spans(rows)]
        self.settled = {(r.column, r.value.casefold(), r.row): r for r in resolutions}
        self.used: set[tuple[str, str, int | None]] = set()
        self.out = Outcome()

    def run(self) -> Outcome:
        self._look_up()
        for span, line in self.lines:
            agency, subactivity = self._agency(line), self._subactivity(line)
            sources, places = self._sources(span, line), self._places(line)
            self._required(line)
            if agency is not None and subactivity is not None and line["strategy"] and line["allocation"] is not None:
                self.out.lines.append(Resolved(line, tuple(span), agency, subactivity, tuple(sources), tuple(places)))
        self.out.errors += [
            FieldError(unused_resolution, parameter="resolutions", value=r.value)
            for key, r in self.settled.items()
            if key not in self.used
        ]
        return self.out

    def _settled(self, column: str, value: str, row: MatrixRow) -> Resolution | None:
        for key in ((column, value.casefold(), row.row), (column, value.casefold(), None)):
            if key in self.settled:
                self.used.add(key)
                return self.settled[key]
        return None

    def _look_up(self) -> None:
        lines = [line for _, line in self.lines]
        coded = {r.code for r in self.settled.values() if r.code}
        region = self.plan.region_code
        agencies = [line["agency"] for line in lines if line["agency"]]
        self.agencies = agencies_by_code(self.session, region, {a.code for a in agencies if a.code} | coded)
        self.agencies_named = agencies_named(self.session, region, {a.name for a in agencies if a.name})
        subs = [line["subactivity"] for line in lines if line["subactivity"]]
        self.subs = subactivities_by_code(
            self.session, self.edition, self.level, {s.code for s in subs if s.code} | coded
        )
        self.subs_named = subactivities_named(
            self.session, self.edition, self.level, {pair for line in lines if (pair := _pair(line))}
        )
        shares = {share.name for line in lines for share in line["funding_sources"] or ()}
        self.sources = funding_sources_by_code(self.session, {_code_in(name) for name in shares} | coded)
        self.sources_named = funding_sources_named(self.session, shares)
        places: list[Place] = [place for line in lines for place in line["location"] or ()]
        self.regions = regions_by_code(self.session, {p.code for p in places if p.code})
        self.regions_named = regions_named(self.session, region, {p.text for p in places} | {p.name for p in places})

    def _required(self, line: MatrixRow) -> None:
        for key in ("strategy", "agency", "subactivity"):
            if not line[key]:
                self.out.errors.append(FieldError(cell_required, cell=line.cell(key)))
        if line["allocation"] is None:
            self.out.errors.append(FieldError(cell_required, cell=line.cell("allocation")))

    def _agency(self, line: MatrixRow) -> str | None:
        named: Named | None = line["agency"]
        if named is None:
            return None
        seen = named.name or named.code or ""
        if settled := self._settled("agency", seen, line):
            if settled.code in self.agencies:
                return settled.code
        elif named.code in self.agencies:
            return named.code
        elif found := self.agencies_named.get(named.name or ""):
            if len(found) == 1:
                return found[0].code
            self._ambiguous(line, "agency", seen, [f"{one.code} {one.name}" for one in found])
            return None
        elif named.code and named.name:
            self.out.unknown_agencies[named.code] = named.name
        labels = agency_labels(self.session, self.plan.region_code)
        near = nearest(seen, [f"{code} {name}" for code, name in labels.items()])
        self.out.errors.append(FieldError(unknown_agency, cell=line.cell("agency"), value=seen, nearest=near))
        return None

    def _subactivity(self, line: MatrixRow) -> Subactivity | None:
        named: Named | None = line["subactivity"]
        if named is None:
            return None
        seen = named.name or named.code or ""
        settled = self._settled("subactivity", seen, line)
        if settled is not None:
            if settled.code is None:
                return self._free(line, seen)
            if settled.code in self.subs:
                return self._official(self.subs[settled.code])
        elif named.code in self.subs:
            return self._official(self.subs[named.code])
        elif named.code is None and (pair := _pair(line)):
            found = self.subs_named.get(pair, [])
            if len(found) == 1:
                return self._official(found[0])
            if len(found) > 1 and not self.accept_free_text:
                self._ambiguous(line, "subactivity", seen, [f"{one.code} {one.name}" for one in found])
                return None
        if settled is None and self.accept_free_text:
            return self._free(line, seen)
        activity: Named | None = line["activity"]
        near = subactivities_like(
            self.session, self.edition, self.level, subactivity=seen, activity=activity.name if activity else None
        )
        self.out.errors.append(
            FieldError(
                unresolved_subactivity, cell=line.cell("subactivity"), value=settled.code if settled else seen,
                nearest=[f"{one.code} {one.name}" for one in near], values={"edition": self.edition},
            )
        )
        return None

    def _free(self, line: MatrixRow, name: str) -> Subactivity:
        return Subactivity(None, name, _name(line["activity"]), _name(line["program"]), None)

    def _official(self, found: FoundSubactivity) -> Subactivity:
        return Subactivity(found.code, found.name, found.activity, found.program, self.edition)

    def _ambiguous(self, line: MatrixRow, key: str, seen: str, allowed: list[str]) -> None:
        self.out.errors.append(FieldError(ambiguous_name, cell=line.cell(key), value=seen, allowed=allowed))

    def _sources(self, span: Sequence[MatrixRow], line: MatrixRow) -> Iterable[tuple[str, int | None]]:
        result = []
        for share in line["funding_sources"] or ():
            settled = self._settled("funding_sources", share.name, line)
            code = settled.code if settled else _code_in(share.name)
            if code in self.sources:
                result.append((code, share.amount))
                continue
            found = [] if settled else self.sources_named.get(share.name, [])
            if len(found) == 1:
                result.append((found[0].code, share.amount))
                continue
            labels = [f"{one.code} {one.name}" for one in found]
            if found:
                self._ambiguous(line, "funding_sources", share.name, labels)
                continue
            near = nearest(share.name, [f"{c} {name}" for c, name in funding_source_labels(self.session).items()])
            cell = line.cell("funding_sources")
            self.out.errors.append(
                FieldError(unknown_reference, cell=cell, value=share.name, nearest=near, values={"source": "funding-sources"})
            )
        return [(str(code), amount) for code, amount in result]

    def _places(self, line: MatrixRow) -> list[str]:
        """Region codes of the cell; none of them where one was not found, so that its words are kept whole."""
        codes = []
        for place in line["location"] or ():
            code = self._place(place)
            if code is None:
                self.out.warnings.append(FieldError(unresolved_place, cell=line.cell("location"), value=place.text))
                return []
            codes.append(code)
        return codes

    def _place(self, place: Place) -> str | None:
        if place.every:
            return None
        if place.code is not None:
            return place.code if place.code in self.regions and is_inside(place.code, self.plan.region_code) else None
        found = self.regions_named.get(place.text) or self.regions_named.get(place.name) or []
        if place.level is not None:
            found = [one for one in found if one.level == place.level]
        if place.within is not None and len(found) > 1:
            inside = {one.code for one in self.regions_named.get(place.within, [])}
            found = [one for one in found if one.parent_code in inside]
        return found[0].code if len(found) == 1 else None


def _pair(line: MatrixRow) -> tuple[str, str] | None:
    """(activity, sub-activity) names; without an activity no name is looked up, for it would be a guess."""
    activity, sub = _name(line["activity"]), _name(line["subactivity"])
    return (activity, sub) if activity and sub else None


def _name(named: Named | None) -> str | None:
    return named.name if named else None


def _code_in(name: str) -> str:
    """`1.01.01.15 Pajak Bumi dan Bangunan` → its code; a lone code is itself."""
    return name.partition(" ")[0].rstrip(".")
