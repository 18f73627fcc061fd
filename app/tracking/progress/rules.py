"""Rules of progress: cumulative figures and their findings. Pure."""

from collections.abc import Iterator
from dataclasses import replace

from app.kit.http.validation import describe_unknown
from app.kit.periods import UnknownPeriod
from app.kit.problems import FieldError, Kind
from app.kit.wording import Text, declare_words
from app.plans.actions.rules import is_expected, list_quarters
from app.plans.findings.kinds import E07, Finding, FindingKind
from app.plans.findings.spending.rules import check_spending
from app.tracking.progress.models import (
    PROGRESS_PARTS,
    ProgressIn,
    ReportableLine,
    ReportContent,
    StoredProgress,
)

E06 = FindingKind(
    "E06",
    title=Text("Angka kumulatif turun", "Cumulative figure falls"),
    says=Text(
        "Realisasi Rp {value} lebih kecil daripada Rp {before} pada {period}",
        "Spending of Rp {value} is less than Rp {before} of {period}",
    ),
    spending=Text(
        "Realisasi dari “{what}” Rp {value} lebih kecil daripada Rp {before} pada {period}",
        "Spending from “{what}” of Rp {value} is less than Rp {before} of {period}",
    ),
    components=Text(
        "Realisasi aktivitas {what:component} Rp {value} lebih kecil daripada Rp {before} pada {period}",
        "Spending on {what:component} activities of Rp {value} is less than Rp {before} of {period}",
    ),
    outputs=Text(
        "Capaian keluaran “{what}” sebesar {value} lebih kecil daripada {before} pada {period}",
        "Output “{what}” at {value} is less than {before} of {period}",
    ),
    recipients=Text(
        "Penerima “{what}” sebanyak {value} lebih kecil daripada {before} pada {period}",
        "Recipients “{what}” at {value} are less than {before} of {period}",
    ),
    hint=Text(
        "Angka selalu kumulatif sejak Januari dan tidak boleh turun: koreksi salah satu laporannya.",
        "Figures are cumulative from January and never fall: correct one of the two reports.",
    ),
    into=("report",),
)
E08 = FindingKind(
    "E08",
    title=Text("Terlayani melebihi sasaran", "Served more than planned"),
    says=Text(
        "Penerima terlayani sebanyak {value} melebihi sasaran {planned}",
        "The {value} recipients reached exceed the {planned} planned",
    ),
    hint=Text(
        "Hitung setiap penerima satu kali, atau perbaiki jumlah sasarannya.",
        "Count each recipient once, or correct the number planned.",
    ),
    into=("report",),
)
line_not_in_quarter = Kind(
    "line_not_in_quarter",
    id="baris “{value}” tidak berlaku pada {period}; triwulan yang dapat dilaporkan: {allowed}",
    en="line “{value}” does not cover {period}; quarters that take a report: {allowed}",
)
line_deleted = Kind(
    "line_deleted",
    id="baris “{value}” sudah dihapus dari rencana dan tidak dapat dilaporkan lagi; ajukan triwulan ini tanpa "
    "laporannya dengan alasan, atau pindahkan ke salah satu revisi rencana",
    en="line “{value}” was deleted from the plan and takes no report any more; submit the quarter without it and give "
    "a reason, or move the quarter to a revision of the plan",
)
W11 = FindingKind(
    "W11",
    title=Text("Capaian jauh di atas target", "Achieved far above the target"),
    says=Text(
        "Capaian keluaran “{what}” sebesar {value} adalah {percent} % dari target {target}; "
        "seharusnya paling banyak {limit} %",
        "Output “{what}” at {value} is {percent} % of the target of {target}; it should be at most {limit} %",
    ),
    hint=Text(
        "Periksa satuan dan angkanya, atau perbaiki targetnya pada perubahan rencana.",
        "Check the unit and the figure, or correct the target in an amendment.",
    ),
    into=("report",),
    thresholds=("target_percent",),
)
W12 = FindingKind(
    "W12",
    title=Text("Keuangan dan fisik tidak sejalan", "Money far from work"),
    says=Text(
        "Realisasi keuangan sudah {money_percent} % dari alokasi, sedangkan capaian fisik baru {physical_percent} %; "
        "mulai {ahead} % keuangan, capaian fisik seharusnya paling sedikit {behind} %",
        "Spending is at {money_percent} % of the allocation, but physical progress only at {physical_percent} %; "
        "with {ahead} % of the money spent it should be at least {behind} %",
    ),
    work=Text(
        "Capaian fisik sudah {physical_percent} %, sedangkan realisasi keuangan baru {money_percent} % dari alokasi; "
        "mulai {ahead} % fisik, realisasi keuangan seharusnya paling sedikit {behind} %",
        "Physical progress is at {physical_percent} %, but spending only at {money_percent} % of the allocation; "
        "with {ahead} % of the work done it should be at least {behind} %",
    ),
    hint=Text(
        "Periksa kedua angka, atau jelaskan perbedaannya pada kendala.",
        "Check both figures, or explain the difference as an obstacle.",
    ),
    into=("report",),
    thresholds=("ahead_percent", "behind_percent"),
)
UNPLANNED = "unplanned_item"
"""Error of an item in a stored report that the line does not have, after its quarter moved to another revision."""
declare_words(
    {
        **{kind.code: kind.title for kind in (E06, E07, E08)},
        UNPLANNED: Text("Pos yang tidak ada pada baris rencana", "Item that the line does not have"),
    },
    form="finding",
)


def format_progress_subject(plan: str, action: str, period: str) -> str:
    """Return the address below /v1/ of a line's report of a quarter."""
    return f"plans/{plan}/actions/{action}/progress/{period}"


def add_to_earlier(content: ReportContent, before: ReportContent) -> dict[str, object]:
    """Add the figures of one quarter alone to the cumulative ones of the latest earlier report.

    Milestones, the physical percentage and texts are states, not flows: they stay unchanged. An item that only the
    earlier report has keeps its earlier figure.
    """
    result: dict[str, object] = {**content, "spent": content["spent"] + before["spent"]}
    for part in PROGRESS_PARTS:
        key, figure = part.key, part.figure
        items, figures = part.list_items(content), part.map_figures(before)
        if figure is not None:
            items = [{**item, figure: round(item[figure] + figures.get(item[key], 0), 4)} for item in items]
        sent = {item[key] for item in items}
        result[part.name] = items + [item for item in part.list_items(before) if item[key] not in sent]
    return result


def split_single_source(content: ReportContent, sources: list[str]) -> ReportContent:
    """Assign a total without a split to the only funding source; with several sources it stays unsplit."""
    if content["spending"] or not content["spent"] or len(sources) != 1:
        return content
    return {**content, "spending": [{"funding_source": sources[0], "amount": content["spent"]}]}


def drop_derived_money(
    content: ReportContent, patch: dict[str, object], sources: list[str]
) -> dict[str, object]:
    """Drop the money that a patch makes derivable: the total from its split, the split of a single source from
    the total."""
    dropped: set[str] = set()
    if "spent" not in patch and patch.keys() & {"spending", "components"}:
        dropped.add("spent")
    if "spending" not in patch and len(sources) == 1:
        dropped.add("spending")
    return {name: value for name, value in content.items() if name not in dropped}


def check_report(
    content: ReportContent,
    before: StoredProgress | None,
    line: ReportableLine,
    physical_percent: float | None,
) -> list[Finding]:
    """Return the findings of a report, errors first.

    `before` is the latest earlier report of the year.
    """
    return [
        *_check_falling(content, before),
        *check_spending(content, line.limits),
        *_check_reached(content, line),
        *_check_achieved(content, line),
        *_check_balance(content, line, physical_percent),
    ]


def _check_falling(content: ReportContent, before: StoredProgress | None) -> Iterator[Finding]:
    if before is None:
        return
    period, old_spent = before.period, before.content["spent"]
    if content["spent"] < old_spent:
        yield E06.find_at("/spent", what="spent", value=content["spent"], before=old_spent, period=period)
    for part in PROGRESS_PARTS:
        figures = part.map_figures(before.content)
        for n, (what, value) in enumerate(part.map_figures(content).items()):
            if value < (old := figures.get(what, 0)):
                values = {"what": what, "value": value, "before": old, "period": period}
                yield E06.find_at(f"/{part.name}/{n}/{part.figure}", about=part.name, **values)


def _check_reached(content: ReportContent, line: ReportableLine) -> Iterator[Finding]:
    for n, item in enumerate(content["recipients"]):
        planned = line.known["recipients"].get(item["code"])
        if planned is not None and item["reached"] > planned:
            yield E08.find_at(f"/recipients/{n}/reached", value=item["reached"], planned=planned)


def _check_achieved(content: ReportContent, line: ReportableLine) -> Iterator[Finding]:
    limit = line.thresholds.target_percent
    for n, item in enumerate(content["outputs"]):
        target, value = line.known["outputs"].get(item["code"]), item["achieved"]
        # Quantities have four decimals; the rounding drops the errors of binary fractions.
        if target and round(value * 100 - target * limit, 4) > 0:
            yield W11.find_at(
                f"/outputs/{n}/achieved",
                what=item["code"],
                value=value,
                target=target,
                percent=round(value * 100 / target, 2),
                limit=limit,
            )


def _check_balance(
    content: ReportContent, line: ReportableLine, physical_percent: float | None
) -> Iterator[Finding]:
    allocation = line.limits.allocation
    if physical_percent is None or not allocation:
        return
    money_percent = content["spent"] * 100 / allocation
    ahead, behind = line.thresholds.ahead_percent, line.thresholds.behind_percent
    pairs = (("", money_percent, physical_percent), ("work", physical_percent, money_percent))
    for about, larger, smaller in pairs:
        if larger >= ahead and smaller < behind:
            yield W12.find_at(
                "/spent",
                about=about,
                money_percent=round(money_percent, 2),
                physical_percent=physical_percent,
                ahead=ahead,
                behind=behind,
            )


def check_period(year: int, period: str) -> None:
    """Raise UnknownPeriod (404) if the period is not a quarter of the plan's year."""
    if period not in {f"{year}-Q{n}" for n in range(1, 5)}:
        raise UnknownPeriod(period=period, year=year)


def check_quarter(action: str, line: ReportableLine, period: str, pointer: str) -> list[FieldError]:
    """Return an error if the line was deleted or does not cover the quarter; `pointer` is the place of the report."""
    if line.is_deleted:
        return [FieldError(line_deleted, f"{pointer}/action", value=action)]
    if is_expected(line.quarters, period):
        return []
    allowed = sorted(list_quarters(line.quarters, int(period[:4])))
    place, values = f"{pointer}/action", {"period": period}
    return [FieldError(line_not_in_quarter, place, value=action, allowed=allowed, values=values)]


def find_foreign_keys(content: ProgressIn, line: ReportableLine, pointer: str) -> list[FieldError]:
    """Return an error for each item with a key that the action does not have; `pointer` is the place of the report."""
    errors = []
    for part in PROGRESS_PARTS:
        if part.reports_on is None:
            continue
        for n, item in enumerate(getattr(content, part.name)):
            key, allowed = getattr(item, part.key), list(line.known[part.reports_on])
            if key not in allowed:
                item_pointer = f"{pointer}/{part.name}/{n}/{part.key}"
                error = describe_unknown(key, f"line.{part.reports_on}", allowed, pointer=item_pointer)
                errors.append(replace(error, allowed=allowed))
    return errors
