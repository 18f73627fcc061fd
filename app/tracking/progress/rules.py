"""Rules of progress: cumulative figures, and what is to be said of them. Pure."""

from typing import Any

from app.kit.periods import UnknownPeriod
from app.kit.problems import Text
from app.plans.findings.kinds import Finding, FindingKind
from app.tracking.progress.models import PROGRESS_PARTS

E06 = FindingKind(
    "E06",
    title=Text("Angka kumulatif turun", "Cumulative figure falls"),
    says=Text(
        "{what} {value} lebih kecil daripada {before} pada {period}",
        "{what} {value} is less than {before} of {period}",
    ),
    hint=Text(
        "Angka selalu kumulatif sejak Januari dan tidak boleh turun: koreksi salah satu laporannya.",
        "Figures are cumulative from January and never fall: correct one of the two reports.",
    ),
    into=("report",),
)
E07 = FindingKind(
    "E07",
    title=Text("Realisasi melebihi alokasi", "Spent more than allocated"),
    says=Text(
        "Realisasi Rp {value} melebihi alokasi Rp {allocation}",
        "Spending of Rp {value} exceeds the allocation of Rp {allocation}",
    ),
    hint=Text(
        "Periksa apakah angkanya kumulatif, atau ubah alokasinya.",
        "Check whether the figure is cumulative, or change the allocation.",
    ),
    into=("report",),
)
E08 = FindingKind(
    "E08",
    title=Text("Terlayani melebihi sasaran", "Served more than planned"),
    says=Text(
        "Terlayani {value} melebihi sasaran {planned}", "Reached {value} exceeds the planned {planned}"
    ),
    hint=Text(
        "Hitung setiap penerima sekali saja, atau perbaiki jumlah sasarannya.",
        "Count each recipient once only, or mend the number planned.",
    ),
    into=("report",),
)


def progress_subject(plan: str, action: str, period: str) -> str:
    """Return the address below /v1/ of a line's report of a quarter."""
    return f"plans/{plan}/actions/{action}/progress/{period}"


def cumulated(content: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """Figures of one quarter alone, added to the cumulative ones of the latest earlier report.

    Milestones, the physical percentage and the words are states, not flows: they stay as sent. An item
    that only the earlier report has stays as it was then.
    """
    result = {**content, "spent": content["spent"] + before["spent"]}
    for part in PROGRESS_PARTS:
        figure, items = part.figure, content[part.name]
        if figure is not None:
            figures = {item[part.key]: item[figure] for item in before[part.name]}
            items = [
                {**item, figure: round(item[figure] + figures.get(item[part.key], 0), 4)} for item in items
            ]
        sent = {item[part.key] for item in items}
        result[part.name] = items + [item for item in before[part.name] if item[part.key] not in sent]
    return result


def split_single_source(content: dict[str, Any], sources: list[str]) -> dict[str, Any]:
    """A total without a split belongs to the only source there is; with several it stays unsplit."""
    if content["spending"] or not content["spent"] or len(sources) != 1:
        return content
    return {**content, "spending": [{"funding_source": sources[0], "amount": content["spent"]}]}


def without_what_follows(
    content: dict[str, Any], patch: dict[str, Any], sources: list[str]
) -> dict[str, Any]:
    """A report without the money that follows from what a patch sends: the total from its split, the
    split from the total where there is one source only."""
    dropped: set[str] = set()
    if "spent" not in patch and patch.keys() & {"spending", "components"}:
        dropped.add("spent")
    if "spending" not in patch and len(sources) == 1:
        dropped.add("spending")
    return {name: value for name, value in content.items() if name not in dropped}


def findings_of(
    content: dict[str, Any], *, before: dict[str, Any] | None, allocation: int, planned: dict[str, int | None]
) -> list[Finding]:
    """E06 (falls below the quarter before), E07 (beyond the allocation), E08 (beyond those planned).

    `before` is the latest earlier report of the year, `planned` the recipients of the action by code.
    """
    found: list[Finding] = []
    if before is not None:
        period = before["period"]
        if content["spent"] < before["spent"]:
            values = {"what": "spent", "value": content["spent"], "before": before["spent"], "period": period}
            found.append(E06.at("/spent", **values))
        for part in PROGRESS_PARTS:
            if part.figure is None:
                continue
            figures = {item[part.key]: item[part.figure] for item in before[part.name]}
            for n, item in enumerate(content[part.name]):
                old = figures.get(item[part.key], 0)
                if item[part.figure] < old:
                    values = {
                        "what": item[part.key],
                        "value": item[part.figure],
                        "before": old,
                        "period": period,
                    }
                    found.append(E06.at(f"/{part.name}/{n}/{part.figure}", **values))
    if content["spent"] > allocation:
        found.append(E07.at("/spent", value=content["spent"], allocation=allocation))
    for n, item in enumerate(content["recipients"]):
        limit = planned.get(item["code"])
        if limit is not None and item["reached"] > limit:
            found.append(E08.at(f"/recipients/{n}/reached", value=item["reached"], planned=limit))
    return found


def check_period(year: int, period: str) -> None:
    """Raises UnknownPeriod (404) if the period is no quarter of the plan's year."""
    if period not in {f"{year}-Q{n}" for n in range(1, 5)}:
        raise UnknownPeriod(period=period, year=year)
