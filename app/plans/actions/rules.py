"""Rules of actions: what is to be said of a line, and what becomes of a draft. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from app.kit.problems import ErrorShape, FieldError, Kind, Language, Text
from app.plans.actions.models import ActionIn

# Findings of one line (domain, section 4)


@dataclass(frozen=True)
class Finding:
    """Something to mend (E) or to know (W) about a line, with where and why."""

    code: str
    pointer: str
    values: dict[str, Any] = field(default_factory=dict)
    about: str = ""
    """Which of a code's sentences, where it has several."""

    @property
    def severity(self) -> Literal["error", "warning"]:
        return "error" if self.code.startswith("E") else "warning"

    def shown(self, language: Language) -> dict[str, Any]:
        return {
            "code": self.code,
            "severity": self.severity,
            "pointer": self.pointer,
            "message": FINDING_TEXTS[self.about or self.code].render(language, spoken(self.values, language)),
            "values": self.values,
        }


_WORDS = {
    "components": Text("Komponen", "Components"),
    "budget_lines": Text("Baris anggaran", "Budget lines"),
    "spent": Text("Realisasi", "Spending"),
}


def spoken(values: dict[str, Any], language: Language) -> dict[str, Any]:
    """Values as a sentence shows them: figures grouped, `1.250.000,5` or `1,250,000.5`; fields in words."""
    return {name: value if name == "year" else _spoken(value, language) for name, value in values.items()}


def _spoken(value: Any, language: Language) -> Any:
    if isinstance(value, (int, float)):
        grouped = f"{int(value) if value == int(value) else value:,}"
        return grouped.translate(str.maketrans(",.", ".,")) if language == "id" else grouped
    return _WORDS[value].render(language, {}) if value in _WORDS else value


FINDING_TEXTS: dict[str, Text] = {
    "E01": Text(
        "{part} berjumlah Rp {sum}, sedangkan alokasinya Rp {allocation}; samakan keduanya",
        "{part} sum to Rp {sum} but the allocation is Rp {allocation}; make them equal",
    ),
    "E02": Text(
        "Sub kegiatan “{subactivity}” belum berkode; pilih kodenya dari nomenklatur",
        "Sub-activity “{subactivity}” has no code yet; choose it from the nomenclature",
    ),
    "E02 retired": Text(
        "Kode {code} sudah dicabut dari nomenklatur {edition}; penggantinya: {successors}",
        "Code {code} was retired from nomenclature {edition}; its successors: {successors}",
    ),
    "E09": Text(
        "Baris tanpa anggaran; isi alokasi dan sumber pembiayaannya",
        "The line has no budget; give its allocation and funding source",
    ),
    "W01": Text(
        "Tidak ada lokasi tingkat desa; sebutkan desa atau kelurahannya",
        "No location at village level; name the villages",
    ),
    "W02": Text(
        "Tidak ada aktivitas langsung, hanya tidak langsung atau penunjang",
        "Nothing direct, only indirect or supporting",
    ),
    "W08": Text(
        "Perjalanan dinas dihitung sebagai belanja langsung; ubah kelasnya",
        "Travel is counted as direct spending; change its class",
    ),
    "W10": Text(
        "Tonggak {milestone} tanpa tenggat, atau tenggatnya setelah tahun {year}",
        "Milestone {milestone} has no due date, or one after {year}",
    ),
}

LineRule = Callable[[dict[str, Any], int], Iterator[Finding]]


def _sums(action: dict[str, Any], year: int) -> Iterator[Finding]:
    for part in ("components", "budget_lines"):
        amounts = [item["amount"] for item in action[part]]
        if not amounts or (part == "components" and None in amounts):
            continue  # The matrix gives components as words; without amounts there is nothing to compare.
        total = sum(amount or 0 for amount in amounts)
        if total != action["allocation"]:
            yield Finding("E01", f"/{part}", {"part": part, "sum": total, "allocation": action["allocation"]})


def _without_code(action: dict[str, Any], year: int) -> Iterator[Finding]:
    if action["subactivity_code"] is None:
        yield Finding("E02", "/subactivity_code", {"subactivity": action["subactivity"] or action["title"]})


def _without_budget(action: dict[str, Any], year: int) -> Iterator[Finding]:
    if not action["budget_lines"] or action["allocation"] == 0:
        yield Finding("E09", "/budget_lines")


def _without_village(action: dict[str, Any], year: int) -> Iterator[Finding]:
    if not any(location["region_code"].count(".") == 3 for location in action["locations"]):
        yield Finding("W01", "/locations")


def _nothing_direct(action: dict[str, Any], year: int) -> Iterator[Finding]:
    classes = {component["component_class"] for component in action["components"]}
    if classes and "direct" not in classes:
        yield Finding("W02", "/components")


def _direct_travel(action: dict[str, Any], year: int) -> Iterator[Finding]:
    for place, component in enumerate(action["components"]):
        if component["is_travel"] and component["component_class"] == "direct":
            yield Finding("W08", f"/components/{place}/component_class")


def _milestone_dates(action: dict[str, Any], year: int) -> Iterator[Finding]:
    for place, milestone in enumerate(action["milestones"]):
        due = milestone["due"] and date.fromisoformat(milestone["due"])
        if due is None or due.year > year:
            yield Finding("W10", f"/milestones/{place}/due", {"milestone": milestone["code"], "year": year})


LINE_RULES: tuple[LineRule, ...] = (
    _sums,
    _without_code,
    _without_budget,
    _without_village,
    _nothing_direct,
    _direct_travel,
    _milestone_dates,
)


def findings_of(action: dict[str, Any], year: int, successors: Sequence[str] | None = None) -> list[Finding]:
    """What is to be said of one line, as its JSON stands, in the order of the rules.

    `successors` of a code that was retired, as a person reads them; None: it is in force.
    """
    found = [finding for rule in LINE_RULES for finding in rule(action, year)]
    if successors is not None:
        values = {
            "code": action["subactivity_code"],
            "edition": action["nomenclature_edition"],
            "successors": ", ".join(successors) or "–",
        }
        found.append(Finding("E02", "/subactivity_code", values, about="E02 retired"))
    return sorted(found, key=lambda finding: finding.code)


blocking_finding = Kind(
    "blocking_finding", id="{value}: {finding} {message}", en="{value}: {finding} {message}"
)


@dataclass(frozen=True)
class BlockingFinding(FieldError):
    """A finding of a line that keeps the plan from being submitted; speaks as the finding does."""

    finding: Finding | None = None

    @classmethod
    def of(cls, line: str, finding: Finding) -> "BlockingFinding":
        pointer = f"/actions/{line}{finding.pointer}"
        return cls(blocking_finding, pointer=pointer, value=line, finding=finding)

    def shown(self, language: Language) -> ErrorShape:
        assert self.finding is not None
        said = {"finding": self.finding.code, "message": self.finding.shown(language)["message"]}
        return FieldError(self.kind, pointer=self.pointer, value=self.value, values=said).shown(language)


# Writing


@dataclass(frozen=True)
class Draft:
    """An action as somebody wants it, and where in the request it stands."""

    code: str
    content: ActionIn
    pointer: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of one draft."""

    code: str
    status: Literal["created", "updated", "unchanged", "refused"]
    version: int | None = None
    errors: tuple[FieldError, ...] = ()
    findings: tuple[Finding, ...] = ()
