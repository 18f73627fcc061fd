"""Resolver of the names in a file: by code, then by name, never by a guess.

It reports an unknown or ambiguous cell with the allowed values and the nearest candidates; the caller answers with
a resolution, or accepts a sub-activity as free text. Names that a line of the plan already has need no resolution.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property

from sqlmodel import Session

from app.agencies.queries import StoredAgency, read_agency_index
from app.exchange.matrix.amounts import write_sources
from app.exchange.matrix.codes import write_named
from app.exchange.matrix.imports.matching.rules import make_words_key
from app.exchange.matrix.imports.models import (
    Acceptance,
    ImportQuery,
    Resolution,
    agency_code_made,
    agency_two_codes,
    all_places,
    ambiguous_name,
    ambiguous_place,
    cell_required,
    merged_agency,
    other_code,
    other_name,
    outside_place,
    unknown_agency,
    unresolved_place,
    unresolved_subactivity,
)
from app.exchange.matrix.imports.queries import list_name_pairs, look_up
from app.exchange.matrix.imports.resolving.rules import (
    SOURCES,
    NewCodes,
    OwnLines,
    describe_place,
    list_questions,
)
from app.exchange.matrix.imports.rules import ResolvedLine, Subactivity, make_free_text
from app.exchange.matrix.models import Content, MatrixRow, Named, Share
from app.exchange.matrix.rows import join_lines
from app.kit.fields import fold_name
from app.kit.http.validation import unknown_reference
from app.kit.problems import MOST_CELL_ERRORS, Candidate, Cell, FieldError, Kind, ResolutionShape
from app.kit.tables.candidates import NameIndex
from app.kit.tables.resolutions import ResolutionSet
from app.kit.wording import Text
from app.plans.core.models import Plan
from app.plans.core.rules import find_government_level
from app.reference.names.rules import SourceMatch
from app.reference.nomenclature.queries import SubactivityRef, find_similar_subactivities
from app.reference.nomenclature.rules import can_use_code
from app.reference.queries import index_sources


@dataclass
class ResolvedFile:
    """The resolved lines of a file, with errors and warnings about the others."""

    lines: list[ResolvedLine] = field(default_factory=list)
    errors: list[FieldError] = field(default_factory=list)
    warnings: list[FieldError] = field(default_factory=list)
    new_agencies: dict[str, tuple[str, Cell]] = field(default_factory=dict)
    """Agencies to create before the lines: code → name, and the first cell with it."""


def resolve(
    session: Session,
    plan: Plan,
    rows: Sequence[MatrixRow],
    versions: Sequence[Mapping[str, Content]],
    resolutions: Sequence[Resolution],
    query: ImportQuery,
) -> ResolvedFile:
    """Resolve the lines of a file against the lines of a plan; names in its first version win over the others."""
    run = _Run(session, plan, join_lines(rows), versions, resolutions, query)
    run.resolve()
    return run.out


class _Run:
    def __init__(
        self,
        session: Session,
        plan: Plan,
        lines: Sequence[MatrixRow],
        versions: Sequence[Mapping[str, Content]],
        resolutions: Sequence[Resolution],
        query: ImportQuery,
    ) -> None:
        self.session, self.plan, self.lines = session, plan, lines
        self.accept_free_text = Acceptance.free_text in query.accept
        self.level, self.edition = find_government_level(plan.region_code), plan.nomenclature_edition
        self.out = ResolvedFile()
        self.known = look_up(session, plan, lines, resolutions)
        self.resolutions = ResolutionSet(resolutions, list_questions(lines, self.known.places.find), SOURCES)
        self.new_codes = NewCodes(lines, self.known.agencies, are_created=query.new_agencies == "create")
        self.own = OwnLines(versions)
        self.like = cache(self._find_like)

    def resolve(self) -> None:
        self._check_resolutions()
        for line in self.lines:
            if len(self.out.errors) >= MOST_CELL_ERRORS:
                break  # the report has no room for more, and the search for similar names is slow
            self._check_required(line)
            agency = self._resolve_agency(line)
            subactivity = self._resolve_subactivity(line, agency)
            (sources, words), places = self._resolve_sources(line), self._resolve_places(line)
            if agency and subactivity and line["strategy"] and line["allocation"] is not None:
                self.out.lines.append(
                    ResolvedLine(line, agency, subactivity, tuple(sources), tuple(places), words)
                )
        self.out.errors += self.resolutions.list_misfits()

    # Resolutions

    def _check_resolutions(self) -> None:
        self.out.errors += self.resolutions.errors
        known: dict[str, Container[str]] = {
            "agency": self.known.agencies,
            "subactivity": self.known.subs,
            "funding_sources": self.known.sources.by_code,
            "location": self.known.places.labels,
        }
        for n, resolution in enumerate(self.resolutions.given):
            is_new = resolution.column == "agency" and resolution.code in self.new_codes
            if resolution.code is not None and not is_new and resolution.code not in known[resolution.column]:
                near = self._suggest(resolution)
                self.out.errors.append(
                    self.resolutions.build_error(unknown_reference, n, "code", candidates=near)
                )

    def _suggest(self, resolution: Resolution) -> Sequence[Candidate]:
        match resolution.column:
            case "subactivity":
                successors = self._list_successors(resolution.code or "")
                return successors or self.like(resolution.value, None)
            case "agency":
                return self.agencies.find_candidates(resolution.value)
            case "funding_sources":
                return self.sources.find_candidates(resolution.value)
            case _:
                return ()

    @cached_property
    def agencies(self) -> NameIndex:
        return read_agency_index(self.session, self.plan.region_code)

    @cached_property
    def sources(self) -> NameIndex:
        return index_sources(self.known.sources.by_code.values())

    # Cells

    def _check_required(self, line: MatrixRow) -> None:
        for key in ("strategy", "agency", "subactivity", "allocation"):
            if line[key] is None:
                self.out.errors.append(FieldError(cell_required, cell=line.cell(key)))

    def _resolve_agency(self, line: MatrixRow) -> str | None:
        named: Named | None = line["agency"]
        if named is None:
            return None
        cell, seen = line.cell("agency"), named.name or named.code or ""
        if resolution := self.resolutions.find(
            "agency", line.row, named.name, named.code, write_named(named)
        ):
            if named.name and resolution.code in self.new_codes:
                return self._create_agency(resolution.code or "", named.name, cell)
            return self._follow_merge(self.known.agencies.get(resolution.code or ""), cell, seen)
        agency = self.known.agencies.get(named.code or "")
        if agency is not None:
            names = {fold_name(agency.name), fold_name(agency.short_name or "")}
            if named.name and agency.state == "active" and fold_name(named.name) not in names:
                self._add_warning(other_name, cell, named.name, code=agency.code, name=agency.name)
            return self._follow_merge(agency, cell, seen)
        candidates = self.known.agencies_by_name.get(named.name or "", [])
        if len(candidates) > 1:
            self._ask(ambiguous_name, "agency", line, seen, [Candidate(c.code, c.name) for c in candidates])
            return None
        if candidates:
            if named.code:
                self._add_warning(other_code, line.cell("code"), named.code, code=candidates[0].code)
            return self._follow_merge(candidates[0], cell, seen)
        if named.name and self.new_codes.are_created:
            codes = self.new_codes.list_codes(named.name)
            if len(codes) > 1 and named.code != codes[0]:
                choices = [Candidate(code, named.name) for code in codes]
                self._ask(agency_two_codes, "agency", line, named.name, choices)
                return None
            if not codes:
                codes.append(self.new_codes.make_code(named.name, self.agencies.codes))
                self._add_warning(agency_code_made, cell, named.name, code=codes[0])
            return self._create_agency(codes[0], named.name, cell)
        self._ask(unknown_agency, "agency", line, seen, self.agencies.find_candidates(seen))
        return None

    def _create_agency(self, code: str, name: str, cell: Cell) -> str:
        known, _ = self.out.new_agencies.setdefault(code, (name, cell))
        if fold_name(known) != fold_name(name):
            self._add_warning(other_name, cell, name, code=code, name=known)
        return code

    def _follow_merge(self, agency: StoredAgency | None, cell: Cell, seen: str) -> str | None:
        """Return the code of an agency, or of the one into which it merged. Retired agencies keep their lines."""
        if agency is not None and agency.merged_into is not None:
            successor = self.known.agencies.get(agency.merged_into)
            self._add_warning(
                merged_agency, cell, seen, code=agency.merged_into, name=successor.name if successor else ""
            )
            return agency.merged_into
        return agency.code if agency else None

    def _resolve_subactivity(self, line: MatrixRow, agency: str | None) -> Subactivity | None:
        named: Named | None = line["subactivity"]
        if named is None:
            return None
        cell, words = line.cell("subactivity"), write_named(named) or ""
        free = make_free_text(line)
        if resolution := self.resolutions.find("subactivity", line.row, words, named.name, named.code):
            if resolution.code is None:
                return free
            chosen = self._make_subactivity(self.known.subs.get(resolution.code))
            return chosen and replace(chosen, is_chosen=True)
        if named.code and (subactivity := self._find_by_code(line, named.code)):
            return subactivity
        key = make_words_key(line["strategy"] or "", agency or "", write_named(line["activity"]), words)
        if own := self.own.names.get(key):
            return free if own.code is None else own
        candidates = self._find_by_name(line)
        if len(candidates) == 1:
            if named.code:
                self._add_warning(other_code, cell, named.code, code=candidates[0].label)
            return self._make_subactivity(candidates[0])
        if self.accept_free_text:
            return free
        if candidates:
            choices = [_make_candidate(item) for item in candidates]
            self._ask(ambiguous_name, "subactivity", line, words, choices)
        else:
            near = self._list_successors(named.code or "")
            near = near or self.like(named.name or words, _get_name(line["activity"]))
            self._ask(unresolved_subactivity, "subactivity", line, words, near, edition=self.edition)
        return None

    def _list_successors(self, code: str) -> list[Candidate]:
        successors = self.known.successors.get(code, ())
        return [
            _make_candidate(item, SUCCESSOR)
            for item in successors
            if can_use_code(self.plan.region_code, item.code)
        ]

    def _find_by_code(self, line: MatrixRow, code: str) -> Subactivity | None:
        """Find a code in the plan's edition, else in a line of the plan. Warn about names that differ."""
        official, own = self._make_subactivity(self.known.subs.get(code)), self.own.codes.get(code)
        subactivity = official or own
        if subactivity is None:
            return None
        for key in ("program", "activity", "subactivity"):
            given = _get_name(line[key])
            known_names = [
                getattr(item, "name" if key == "subactivity" else key) for item in (official, own) if item
            ]
            if given and fold_name(given) not in {fold_name(known or "") for known in known_names}:
                self._add_warning(other_name, line.cell(key), given, code=code, name=known_names[0])
        return subactivity

    def _find_by_name(self, line: MatrixRow) -> list[SubactivityRef]:
        """Find those of the region with exactly this name in exactly this activity, given by its code or its name."""
        activity: Named | None = line["activity"]
        return [
            item
            for pair in list_name_pairs(line)
            for item in self.known.subs_by_name.get(pair, [])
            if (pair[0] or (activity and item.activity_code == activity.code))
            and can_use_code(self.plan.region_code, item.code)
        ]

    def _make_subactivity(self, item: SubactivityRef | None) -> Subactivity | None:
        if item is None:
            return None
        after = (
            tuple(successor.label for successor in self.known.successors.get(item.code, ()))
            if item.retired
            else None
        )
        return Subactivity(item.code, item.name, item.activity, item.program, self.edition, after)

    def _find_like(self, name: str, activity: str | None) -> list[Candidate]:
        near = find_similar_subactivities(
            self.session,
            self.edition,
            self.level,
            region=self.plan.region_code,
            subactivity=name,
            activity=activity,
        )
        return [_make_candidate(item) for item in near]

    def _resolve_sources(self, line: MatrixRow) -> tuple[list[tuple[str, int | None]], str | None]:
        """Return (code, amount) of the funding sources, and the cell's words if the codes do not hold all of them."""
        shares: tuple[Share, ...] = line["funding_sources"] or ()
        matches = [(self._resolve_source(line, share.name), share.amount) for share in shares]
        has_rest = any(match.rest for match, _ in matches)
        return (
            [(match.source.code, amount) for match, amount in matches if match.source],
            write_sources(shares) if has_rest else None,
        )

    def _resolve_source(self, line: MatrixRow, name: str) -> SourceMatch:
        if resolution := self.resolutions.find("funding_sources", line.row, name):
            return SourceMatch(self.known.sources.by_code.get(resolution.code or ""))
        match = self.known.sources.match(name)
        if match.candidates:
            choices = [Candidate(item.code, item.name) for item in match.candidates]
            self._ask(ambiguous_name, "funding_sources", line, name, choices)
        elif match.source is None:
            near = self.sources.find_candidates(name)
            self._ask(
                unknown_reference, "funding_sources", line, name, near, source=SOURCES["funding_sources"]
            )
        return match

    def _resolve_places(self, line: MatrixRow) -> list[str]:
        """Return the region codes of a cell; none if any place is unclear, so that the action keeps the cell's text."""
        cell, codes, is_clear = line.cell("location"), list[str](), True
        is_kept = fold_name(line.texts.get("location", "")) in self.own.places
        for text in line["location"] or ():
            places = self.known.places.find(text)
            codes += places.codes
            for words in places.every:
                self._add_warning(all_places, cell, words)
            for words in places.unread:
                is_clear = False
                self._add_warning(unresolved_place, cell, words)
            for asked in places.asked:
                resolution = self.resolutions.find("location", line.row, asked.words)
                if resolution and resolution.code:
                    codes = [*(code for code in codes if code not in asked.around), resolution.code]
                    continue
                is_clear = False
                if resolution is None and is_kept:
                    self._add_warning(unresolved_place, cell, asked.words)
                elif resolution is None:
                    kind = outside_place if asked.doubt == "outside" else ambiguous_place
                    choices = [describe_place(code, asked, self.known.places.labels) for code in asked.codes]
                    self._ask(kind, "location", line, asked.words, choices)
        return codes if is_clear else []

    def _ask(
        self,
        kind: Kind,
        column: str,
        line: MatrixRow,
        value: str,
        candidates: Sequence[Candidate],
        **values: object,
    ) -> None:
        """Add an error at a cell with its candidates and the resolution that settles it."""
        row = line.row if self.resolutions.needs_row(column, value) else None
        self.out.errors.append(
            FieldError(
                kind,
                cell=line.cell(column),
                value=value,
                allowed=[item.label for item in candidates] if kind is ambiguous_name else None,
                values=values,
                candidates=candidates,
                resolution=ResolutionShape(column=column, value=value, row=row),
            )
        )

    def _add_warning(self, kind: Kind, cell: Cell, value: str, **values: object) -> None:
        self.out.warnings.append(FieldError(kind, cell=cell, value=value, values=values))


SUCCESSOR = Text("pengganti kode dalam sel", "successor of the code in the cell")


def _make_candidate(item: SubactivityRef, note: Text | None = None) -> Candidate:
    return Candidate(item.code, item.name, within=item.activity, note=note)


def _get_name(named: Named | None) -> str | None:
    return named.name if named else None
