"""Looking up everything that a file names, at once: by code, then by name, and never by guessing.

What is unknown or ambiguous is reported by its cell with what is allowed and the nearest candidates;
the caller settles it with a resolution, or accepts a sub-activity as free text. What a line of the plan
already says by the same names stands: it was settled before.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from sqlmodel import Session

from app.agencies.queries import StoredAgency, agency_labels
from app.exchange.matrix.codes import write_named
from app.exchange.matrix.imports.models import (
    Acceptance,
    ImportQuery,
    Resolution,
    ambiguous_name,
    cell_required,
    merged_agency,
    other_code,
    other_name,
    unknown_agency,
    unresolved_place,
    unresolved_subactivity,
    unused_resolution,
)
from app.exchange.matrix.imports.queries import code_in, look_up, pairs_of
from app.exchange.matrix.imports.rules import Key, Resolved, Subactivity, keys_of, words_key
from app.exchange.matrix.models import Content, MatrixRow, Named, Place
from app.exchange.matrix.rows import joined_lines
from app.kit.fields import folded
from app.kit.http.validation import duplicate_key, nearest, unknown_reference
from app.kit.problems import MOST_CELL_ERRORS, Cell, FieldError, Kind
from app.plans.core.models import Plan
from app.plans.core.rules import government_level, is_inside
from app.reference.nomenclature.queries import FoundSubactivity, subactivities_like
from app.reference.queries import FoundFundingSource, FoundRegion, funding_source_labels

_SOURCES = {
    "agency": "regions/{region}/agencies",
    "subactivity": "nomenclatures/{edition}/subactivities",
    "funding_sources": "funding-sources",
}


@dataclass
class Resolving:
    """The lines of a file as far as they could be resolved, with errors and warnings."""

    lines: list[Resolved] = field(default_factory=list)
    errors: list[FieldError] = field(default_factory=list)
    warnings: list[FieldError] = field(default_factory=list)
    new_agencies: dict[str, tuple[str, Cell]] = field(default_factory=dict)
    """Code → name, and the first cell that has it, of agencies to be made before the lines are written."""


def resolve(
    session: Session,
    plan: Plan,
    rows: Sequence[MatrixRow],
    stored: Iterable[Content],
    resolutions: Sequence[Resolution],
    query: ImportQuery,
) -> Resolving:
    """Resolve the lines of a file against one plan, whose lines are `stored`."""
    run = _Run(session, plan, joined_lines(rows), stored, resolutions, query)
    run.resolve()
    return run.out


class _Run:
    """Each kind of name is looked up in as many statements as one would take."""

    def __init__(
        self,
        session: Session,
        plan: Plan,
        lines: Sequence[MatrixRow],
        stored: Iterable[Content],
        resolutions: Sequence[Resolution],
        query: ImportQuery,
    ) -> None:
        self.session, self.plan, self.lines = session, plan, lines
        self.accept_free_text = Acceptance.free_text in query.accept
        self.new_agencies = query.new_agencies == "create"
        self.level, self.edition = government_level(plan.region_code), plan.nomenclature_edition
        self.out = Resolving()
        self.resolutions = resolutions
        self.settled: dict[tuple[str, str, int | None], int] = {}
        self.used: set[int] = set()
        self.known = look_up(session, plan, lines, resolutions)
        self._own_lines(stored)
        self.like = cache(self._like)
        self.agency_labels = cache(lambda: _shown(agency_labels(session, plan.region_code)))
        self.source_labels = cache(lambda: _shown(funding_source_labels(session)))

    def resolve(self) -> None:
        self._check_resolutions()
        for line in self.lines:
            if len(self.out.errors) >= MOST_CELL_ERRORS:
                break  # no more are reported, and to look for what a name is like takes long
            self._required(line)
            agency = self._agency(line)
            subactivity = self._subactivity(line, agency)
            sources, places = self._funding(line), self._places(line)
            if agency and subactivity and line["strategy"] and line["allocation"] is not None:
                self.out.lines.append(Resolved(line, agency, subactivity, tuple(sources), tuple(places)))
        self._wrong_resolutions(
            unused_resolution, (n for n, _ in enumerate(self.resolutions) if n not in self.used), "value"
        )

    def _own_lines(self, stored: Iterable[Content]) -> None:
        """What lines of the plan say, by code and by what identifies them; None where they disagree."""
        self.own_codes: dict[str, Subactivity] = {}
        self.own_names: dict[Key | None, Subactivity | None] = {}
        for content in stored:
            own = Subactivity(
                content["subactivity_code"],
                content["subactivity"] or content["title"],
                content["activity"],
                content["program"],
                content["nomenclature_edition"],
            )
            if own.code:
                self.own_codes.setdefault(own.code, own)
            for key in set(keys_of(content)[1:3]):
                other = self.own_names.setdefault(key, own)
                if other is not None and other.code != own.code:
                    self.own_names[key] = None

    # Resolutions

    def _check_resolutions(self) -> None:
        for n, resolution in enumerate(self.resolutions):
            key = (resolution.column, folded(resolution.value), resolution.row)
            if key in self.settled:
                self._wrong_resolutions(duplicate_key, [n], "value")
            self.settled.setdefault(key, n)
        known: dict[str, Any] = {
            "agency": self.known.agencies,
            "subactivity": self.known.subs,
            "funding_sources": self.known.sources,
        }
        for n, resolution in enumerate(self.resolutions):
            if resolution.code is not None and resolution.code not in known[resolution.column]:
                self._wrong_resolutions(unknown_reference, [n], "code", near=self._near(resolution))

    def _near(self, resolution: Resolution) -> Sequence[str]:
        if resolution.column == "subactivity":
            successors = self.known.successors.get(resolution.code or "", ())
            return [one.label for one in successors] or self.like(resolution.value, None)
        labels = self.agency_labels() if resolution.column == "agency" else self.source_labels()
        return nearest(f"{resolution.code} {resolution.value}", labels)

    def _wrong_resolutions(
        self, kind: Kind, places: Iterable[int], name: Literal["value", "code"], near: Sequence[str] = ()
    ) -> None:
        for n in places:
            resolution = self.resolutions[n]
            source = _SOURCES[resolution.column].format(region=self.plan.region_code, edition=self.edition)
            self.out.errors.append(
                FieldError(
                    kind,
                    pointer=f"/resolutions/{n}/{name}",
                    value=getattr(resolution, name),
                    nearest=near,
                    values={"source": source},
                )
            )

    def _settled(self, column: str, line: MatrixRow, *words: str | None) -> Resolution | None:
        """The resolution for a cell, by any of its `words`; that of its row before one for everywhere."""
        for row in (line.row, None):
            for word in words:
                n = self.settled.get((column, folded(word), row)) if word else None
                if n is not None:
                    self.used.add(n)
                    return self.resolutions[n]
        return None

    # Cells

    def _required(self, line: MatrixRow) -> None:
        for key in ("strategy", "agency", "subactivity", "allocation"):
            if line[key] is None:
                self.out.errors.append(FieldError(cell_required, cell=line.cell(key)))

    def _agency(self, line: MatrixRow) -> str | None:
        named: Named | None = line["agency"]
        if named is None:
            return None
        cell, seen = line.cell("agency"), named.name or named.code or ""
        if settled := self._settled("agency", line, named.name, named.code, write_named(named)):
            return self._in_force(self.known.agencies.get(settled.code or ""), cell, seen)
        found = self.known.agencies.get(named.code or "")
        if found is not None:
            if named.name and found.state == "active" and folded(named.name) != folded(found.name):
                self._warn(other_name, cell, named.name, code=found.code, name=found.name)
            return self._in_force(found, cell, seen)
        several = self.known.agencies_named.get(named.name or "", [])
        if len(several) > 1:
            self._error(ambiguous_name, cell, seen, allowed=[f"{one.code} {one.name}" for one in several])
            return None
        if several:
            if named.code:
                self._warn(other_code, line.cell("code"), named.code, code=several[0].code)
            return self._in_force(several[0], cell, seen)
        if named.code and named.name and self.new_agencies:
            self.out.new_agencies.setdefault(named.code, (named.name, cell))
            return named.code
        self._error(
            unknown_agency, cell, seen, near=nearest(write_named(named) or seen, self.agency_labels())
        )
        return None

    def _in_force(self, found: StoredAgency | None, cell: Cell, seen: str) -> str | None:
        """An agency, or the one that it was merged into. One that is retired may keep its lines as they are."""
        if found is not None and found.merged_into is not None:
            heir = self.known.agencies.get(found.merged_into)
            self._warn(merged_agency, cell, seen, code=found.merged_into, name=heir.name if heir else "")
            return found.merged_into
        return found.code if found else None

    def _subactivity(self, line: MatrixRow, agency: str | None) -> Subactivity | None:
        named: Named | None = line["subactivity"]
        if named is None:
            return None
        cell, words = line.cell("subactivity"), write_named(named) or ""
        free = Subactivity(None, words, _name(line["activity"]), _name(line["program"]), None)
        if settled := self._settled("subactivity", line, words, named.name, named.code):
            return free if settled.code is None else self._official(self.known.subs.get(settled.code))
        if named.code and (found := self._of_code(line, named.code)):
            return found
        key = words_key(line["strategy"] or "", agency or "", write_named(line["activity"]), words)
        if own := self.own_names.get(key):
            return free if own.code is None else own
        several = self._named(line)
        if len(several) == 1:
            if named.code:
                self._warn(other_code, cell, named.code, code=several[0].label)
            return self._official(several[0])
        if self.accept_free_text:
            return free
        if several:
            self._error(ambiguous_name, cell, words, allowed=[f"{one.code} {one.name}" for one in several])
        else:
            successors = [one.label for one in self.known.successors.get(named.code or "", ())]
            near = successors or self.like(named.name or words, _name(line["activity"]))
            self._error(unresolved_subactivity, cell, words, near=near, edition=self.edition)
        return None

    def _of_code(self, line: MatrixRow, code: str) -> Subactivity | None:
        """What a code is in the plan's edition, else in a line of the plan; names that differ are warned of."""
        official, own = self._official(self.known.subs.get(code)), self.own_codes.get(code)
        found = official or own
        if found is None:
            return None
        for key in ("program", "activity", "subactivity"):
            said = _name(line[key])
            names = [getattr(one, "name" if key == "subactivity" else key) for one in (official, own) if one]
            if said and folded(said) not in {folded(name or "") for name in names}:
                self._warn(other_name, line.cell(key), said, code=code, name=names[0])
        return found

    def _named(self, line: MatrixRow) -> list[FoundSubactivity]:
        """Sub-activities of exactly this name in exactly this activity, known by its code or its name."""
        activity: Named | None = line["activity"]
        return [
            found
            for pair in pairs_of(line)
            for found in self.known.subs_named.get(pair, [])
            if pair[0] or (activity and found.activity_code == activity.code)
        ]

    def _official(self, found: FoundSubactivity | None) -> Subactivity | None:
        if found is None:
            return None
        after = (
            tuple(one.label for one in self.known.successors.get(found.code, ())) if found.retired else None
        )
        return Subactivity(found.code, found.name, found.activity, found.program, self.edition, after)

    def _like(self, name: str, activity: str | None) -> list[str]:
        near = subactivities_like(self.session, self.edition, self.level, subactivity=name, activity=activity)
        return [one.label for one in near]

    def _funding(self, line: MatrixRow) -> list[tuple[str, int | None]]:
        result = []
        for share in line["funding_sources"] or ():
            found = self._source(line, share.name)
            if found is not None:
                result.append((found.code, share.amount))
        return result

    def _source(self, line: MatrixRow, name: str) -> FoundFundingSource | None:
        cell = line.cell("funding_sources")
        if settled := self._settled("funding_sources", line, name):
            return self.known.sources.get(settled.code or "")
        if by_code := self.known.sources.get(code_in(name)):
            return by_code
        several = self.known.sources_named.get(name, [])
        if len(several) == 1:
            return several[0]
        if several:
            self._error(ambiguous_name, cell, name, allowed=[f"{one.code} {one.name}" for one in several])
        else:
            near = nearest(name, self.source_labels())
            self._error(unknown_reference, cell, name, near=near, source=_SOURCES["funding_sources"])
        return None

    def _places(self, line: MatrixRow) -> list[str]:
        """Region codes of the cell; none of them where one was not found, so that its words are kept whole."""
        found = {place: self._place(place) for place in line["location"] or ()}
        for place, regions in found.items():
            if len(regions) != 1 and not place.every:
                near = [f"{one.code} {one.name}" for one in regions]
                self._warn(unresolved_place, line.cell("location"), place.text, near=near)
        return (
            [regions[0].code for regions in found.values()]
            if all(len(r) == 1 for r in found.values())
            else []
        )

    def _place(self, place: Place) -> Sequence[FoundRegion]:
        """The regions that a place may be; exactly one where it is clear."""
        if place.every:
            return []
        if place.code is not None:
            known = self.known.regions.get(place.code)
            return [known] if known and is_inside(known.code, self.plan.region_code) else []
        named = self.known.regions_named
        found: Sequence[FoundRegion] = named.get(place.text) or named.get(place.name) or []
        if place.level is not None:
            found = [one for one in found if one.level == place.level]
        if place.within is not None:
            inside = {
                one.code for one in self.known.regions_named.get(place.within, []) if one.level == "district"
            }
            found = [one for one in found if one.parent_code in inside]
        return found

    def _error(
        self,
        kind: Kind,
        cell: Cell,
        value: str,
        *,
        allowed: object = None,
        near: Sequence[str] = (),
        **values: object,
    ) -> None:
        self.out.errors.append(
            FieldError(kind, cell=cell, value=value, allowed=allowed, nearest=near, values=values)
        )

    def _warn(
        self, kind: Kind, cell: Cell, value: str, *, near: Sequence[str] = (), **values: object
    ) -> None:
        self.out.warnings.append(FieldError(kind, cell=cell, value=value, nearest=near, values=values))


def _shown(labels: dict[str, str]) -> list[str]:
    return [f"{code} {name}" for code, name in labels.items()]


def _name(named: Named | None) -> str | None:
    return named.name if named else None
