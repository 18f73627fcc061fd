"""Merge of a file's line into an action, and the cells of its errors. Pure.

A column changes an action only if its cell differs from the one that the action would write, and then only the
fields that the column shows: recipients with a new count keep their deciles, a place its amount. Fields without a
column, and columns that the file lacks, never change.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from app.agencies.models import AgencyKind
from app.exchange.matrix.cells import (
    CLASS_LETTERS,
    TEXT_FIELDS,
    CodeNames,
    add_sources,
    list_cells,
    make_line,
    write_cell,
)
from app.exchange.matrix.codes import write_named
from app.exchange.matrix.columns import BY_KEY
from app.exchange.matrix.models import Content, MatrixRow, Named, Share
from app.kit.fields import fold_name
from app.kit.problems import Cell, FieldError, Problem


@dataclass(frozen=True)
class Subactivity:
    """The sub-activity that a row names; without a code only its names identify it."""

    code: str | None
    name: str
    activity: str | None
    program: str | None
    edition: str | None
    successors: tuple[str, ...] | None = None
    """Successors of a retired code; None: the code is in force."""
    is_chosen: bool = False
    """Whether a resolution gives it."""


@dataclass(frozen=True)
class ResolvedLine:
    """A line of the file with the codes of everything that it names."""

    line: MatrixRow
    agency: str
    subactivity: Subactivity
    sources: tuple[tuple[str, int | None], ...] = ()
    """(funding source, amount)."""
    places: tuple[str, ...] = field(default=())
    """Region codes; empty if any place of the cell is unknown."""
    source_words: str | None = None
    """The cell of the funding sources if they do not hold all its words, such as a donor's name."""


@dataclass(frozen=True)
class LineWrite:
    """A line of the file, and the action that it becomes."""

    code: str
    resolved: ResolvedLine
    content: Content
    """The action to store."""
    is_unchanged: bool
    is_of_quarter: bool = False
    """Whether the line equals that of a quarter alone: the target of the import has a newer one, or none."""

    def cell(self, pointer: str) -> Cell:
        return self.resolved.line.cell(find_column(pointer, self.content))


def make_free_text(line: MatrixRow) -> Subactivity:
    """Return the sub-activity of a row by its names alone."""
    program, activity = line["program"], line["activity"]
    return Subactivity(
        None,
        write_named(line["subactivity"]) or "",
        activity.name if activity else None,
        program.name if program else None,
        None,
    )


# Merging a line into an action


def has_equal_content(resolved: ResolvedLine, stored: Content, names: CodeNames) -> bool:
    """Return whether a line of the file shows the stored action. If neither has a code, the names decide.

    The code that such a line has in another version of the plan does not count, but that of a resolution does.
    """
    codes = stored["subactivity_code"], resolved.line["subactivity"].code
    if codes == (None, None) and not resolved.subactivity.is_chosen:
        resolved = replace(resolved, subactivity=make_free_text(resolved.line))
    return merge_content(resolved, stored, names) == stored


def merge_content(resolved: ResolvedLine, stored: Content | None, names: CodeNames) -> Content:
    """Merge a line of the file into the stored action, or into a new one for None."""
    line = resolved.line
    content = dict(stored) if stored else _make_blank(resolved)
    before = list_cells(make_line(stored, names)) if stored else {}
    says = {
        key
        for key in line.columns
        if key in BY_KEY and write_cell(BY_KEY[key], line) not in before.get(key, {None})
    }
    if resolved.places and not content["locations"]:
        says.add("location")  # the cell is the kept text, and its places are known now
    content |= {
        "strategy": line["strategy"],
        "lead_agency": resolved.agency,
        "allocation": line["allocation"],
        **_merge_nomenclature(resolved, stored, says),
    }
    if stored and "funding_sources" not in says:
        content["budget_lines"] = _follow_allocation(stored, line["allocation"])
    texts = dict(content["matrix_texts"]) | _collect_own_words(resolved)
    for key, setter in _SETTERS.items():
        if key not in says:
            continue
        content |= setter(resolved, content)
        texts.pop(key, None)
        if key in line.texts and _has_kept_words(key, resolved):
            texts[key] = line.texts[key]
        elif key == "funding_sources" and resolved.source_words:
            texts[key] = resolved.source_words
    content["matrix_texts"] = texts
    if line["stage"] is not None:
        content["budget_lines"] = [{**item, "stage": line["stage"]} for item in content["budget_lines"]]
    return content


def _make_blank(resolved: ResolvedLine) -> Content:
    lists = "supporting_agencies components budget_lines outputs recipients locations milestones tags benefit_forms"
    return {
        **{name: [] for name in lists.split()},
        "matrix_texts": {},
        "title": resolved.subactivity.name,
        "benefit_amount": None,
        "benefit_description": "",
    }


def _has_kept_words(key: str, resolved: ResolvedLine) -> bool:
    """Return whether the action keeps a cell's text because no field holds all of it."""
    if key == "benefit_amount":
        return resolved.line[key] is not None
    return key in TEXT_FIELDS and not (resolved.places if key == "location" else resolved.line[key])


def _merge_nomenclature(resolved: ResolvedLine, stored: Content | None, says: set[str]) -> Content:
    """Return the changes of code and names; a line with an unchanged code keeps its edition and names."""
    sub = resolved.subactivity
    if stored and stored["subactivity_code"] == sub.code:
        if sub.code is not None:
            return {}
        # Without a code, each name is a value of its own cell.
        named = {"subactivity": sub.name, "activity": sub.activity, "program": sub.program}
        changes: Content = {key: name for key, name in named.items() if key in says}
    else:
        changes = {
            "nomenclature_edition": sub.edition,
            "subactivity_code": sub.code,
            "subactivity": sub.name,
            "activity": sub.activity,
            "program": sub.program,
        }
    if stored and stored["title"] == stored["subactivity"] and "subactivity" in changes:
        changes["title"] = sub.name
    return changes


def _collect_own_words(resolved: ResolvedLine) -> dict[str, str]:
    """Return the file's names if those of the code differ, so that the next file with them matches the line."""
    sub, line = resolved.subactivity, resolved.line
    named: Named | None = line["subactivity"]
    if sub.code is None or named is None or named.code == sub.code:
        return {}
    pairs = {"subactivity": (named, sub.name), "activity": (line["activity"], sub.activity)}
    return {
        key: words
        for key, (cell, official) in pairs.items()
        if (words := write_named(cell)) and fold_name(words) != fold_name(official or "")
    }


def merge_items(
    old: Sequence[Content], new: Sequence[Content], *alike: Callable[[Content], object]
) -> list[Content]:
    """Merge each new item over its old one: the first with an equal key by the first of `alike`, else by the second, ….

    A new item without an old one stays unchanged.
    """
    left, result = list(old), list(new)
    open_places = set(range(len(result)))
    for respect in alike:
        for place in sorted(open_places):
            match = next((item for item in left if respect(item) == respect(result[place])), None)
            if match is not None:
                left.remove(match)
                open_places.discard(place)
                result[place] = match | result[place]
    return result


def _add_codes(items: Sequence[Content], prefix: str, taken: set[str]) -> list[Content]:
    """Give new items codes, `D1`, `D2`, …, none of them in `taken`: codes of removed items never return."""
    fresh: Iterator[str] = (code for n in range(1, 10_000) if (code := f"{prefix}{n}") not in taken)
    return [item if "code" in item else {"code": next(fresh), **item} for item in items]


def _set_components(component_class: str, prefix: str) -> Callable[[ResolvedLine, Content], Content]:
    def setter(resolved: ResolvedLine, content: Content) -> Content:
        is_own = [item["component_class"] == component_class for item in content["components"]]
        old = [item for item, is_match in zip(content["components"], is_own, strict=True) if is_match]
        others = [item for item, is_match in zip(content["components"], is_own, strict=True) if not is_match]
        shares: tuple[Share, ...] = resolved.line[component_class] or ()
        new = [
            {"component_class": component_class, "description": share.name, "amount": share.amount}
            for share in shares
        ]
        merged = merge_items(old, new, lambda item: fold_name(item["description"]))
        if len(old) == len(new):
            merged = merge_items(old, new, lambda item: fold_name(item["description"]), lambda item: None)
        merged = _add_codes(merged, prefix, {item["code"] for item in content["components"]})
        order = list(CLASS_LETTERS)
        return {
            "components": sorted([*others, *merged], key=lambda item: order.index(item["component_class"]))
        }

    return setter


def _set_sources(resolved: ResolvedLine, content: Content) -> Content:
    amounts = add_sources(resolved.sources, resolved.line["allocation"])
    new = [{"funding_source": code, "amount": amount} for code, amount in amounts.items()]
    return {"budget_lines": merge_items(content["budget_lines"], new, lambda item: item["funding_source"])}


def _follow_allocation(stored: Content, allocation: int) -> list[Content]:
    """Return the budget lines of an unchanged cell: a single source of the whole allocation follows the new one."""
    lines: list[Content] = stored["budget_lines"]
    is_whole = len(lines) == 1 and lines[0]["amount"] == stored["allocation"]
    return [{**lines[0], "amount": allocation}] if is_whole else lines


def _set_places(resolved: ResolvedLine, content: Content) -> Content:
    new = [{"region_code": code} for code in dict.fromkeys(resolved.places)]
    return {"locations": merge_items(content["locations"], new, lambda item: item["region_code"])}


def _set_recipients(resolved: ResolvedLine, content: Content) -> Content:
    """Set recipients. Those without a count have no cell, so they stay."""
    unseen = [item for item in content["recipients"] if item["count"] is None]
    shown = [item for item in content["recipients"] if item["count"] is not None]
    new = [
        {"kind": item.kind or "units", "unit": item.unit or None, "count": item.count}
        for item in resolved.line["recipients"] or ()
    ]
    merged = merge_items(
        shown,
        new,
        lambda item: (item["kind"], item["unit"], item["count"]),
        lambda item: (item["kind"], item["unit"]),
        lambda item: item["kind"],
    )
    return {
        "recipients": [*_add_codes(merged, "R", {item["code"] for item in content["recipients"]}), *unseen]
    }


def _set_benefit(resolved: ResolvedLine, content: Content) -> Content:
    """Set an amount, or text in its place. With an amount, the cell does not show the description, so it stays."""
    amount, words = resolved.line["benefit_amount"], resolved.line.texts.get("benefit_amount", "")
    if amount is None or content["benefit_amount"] is None:
        return {"benefit_amount": amount, "benefit_description": words if amount is None else ""}
    return {"benefit_amount": amount}


_SETTERS: Mapping[str, Callable[[ResolvedLine, Content], Content]] = {
    **{name: _set_components(name, prefix) for name, prefix in CLASS_LETTERS.items()},
    "funding_sources": _set_sources,
    "regularity": lambda resolved, _: {"benefit_regularity": resolved.line["regularity"]},
    "location": _set_places,
    "recipients": _set_recipients,
    "benefit_amount": _set_benefit,
    "benefit_form": lambda resolved, _: {"benefit_forms": list(resolved.line["benefit_form"] or ())},
    "duration": lambda resolved, _: {"benefit_months": resolved.line["duration"]},
}


# The column of an action's field


_COLUMN_OF = {
    "lead_agency": "agency",
    "strategy": "strategy",
    "allocation": "allocation",
    "budget_lines": "funding_sources",
    "activity": "activity",
    "program": "program",
    "locations": "location",
    "recipients": "recipients",
    "benefit_amount": "benefit_amount",
    "benefit_description": "benefit_amount",
    "benefit_forms": "benefit_form",
    "benefit_months": "duration",
    "benefit_regularity": "regularity",
}


def find_column(pointer: str, content: Content) -> str:
    """Return the column of the field that a JSON Pointer into an action names, else that of the sub-activity."""
    parts = [*pointer.split("/"), "", "", ""]
    match parts[1], parts[2]:
        case "matrix_texts", key if key in BY_KEY:
            return key
        case "components", place if place.isdecimal() and int(place) < len(content["components"]):
            return str(content["components"][int(place)]["component_class"])
        case "components", _:
            return "direct"
        case name, _:
            return _COLUMN_OF.get(name, "subactivity")


def make_codes(taken: Sequence[str]) -> Iterator[str]:
    """Yield codes for new lines: A-001, A-002, …, from the highest taken one on."""
    numbers = [int(code[2:]) for code in taken if code.startswith("A-") and code[2:].isdecimal()]
    last = max(numbers, default=0)
    while True:
        last += 1
        yield f"A-{last:03d}"


_KINDS = {
    "dinas": AgencyKind.dinas,
    "badan": AgencyKind.badan,
    "kecamatan": AgencyKind.kecamatan,
    "sekretariat": AgencyKind.sekretariat,
    "bagian": AgencyKind.sekretariat,
}


def find_agency_kind(name: str) -> AgencyKind:
    """Return the kind of an agency by the first word of its name; any other word makes a `unit`."""
    return _KINDS.get(name.split(maxsplit=1)[0].casefold(), AgencyKind.unit)


# Errors at cells


@contextmanager
def locate_errors(writings: Sequence[LineWrite], columns: Sequence[str] = ()) -> Iterator[None]:
    """Turn the pointers of errors into cells of the file, in the column of each writing or by field."""
    try:
        yield
    except Problem as problem:
        errors = []
        for error in problem.errors:
            place, slash, remainder = (error.pointer or "").removeprefix("/").partition("/")
            if place.isdecimal():
                writing = writings[int(place)]
                key = columns[int(place)] if columns else None
                cell = writing.resolved.line.cell(key) if key else writing.cell(slash + remainder)
                error = relocate(cell, error)
            errors.append(error)
        problem.errors = tuple(_drop_duplicates(errors))
        raise


def relocate(cell: Cell, error: FieldError) -> FieldError:
    """Return an error with a cell as its place."""
    return replace(error, pointer=None, parameter=None, header=None, cell=cell)


def _drop_duplicates(errors: Sequence[FieldError]) -> list[FieldError]:
    """Return the first error of each kind and cell: too long a name gives one error as title and one as name."""
    return list(
        {(error.kind.code, error.cell or error.pointer): error for error in reversed(errors)}.values()
    )[::-1]
