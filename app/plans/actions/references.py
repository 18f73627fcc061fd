"""What lines refer to must exist: agencies, codes, funding sources and regions, looked up for many
lines at once, with the nearest candidates where one is unknown."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlmodel import Session

from app.agencies.models import AgencyState
from app.agencies.queries import agencies_by_code, agency_labels
from app.kit.http.validation import unknown_reference
from app.kit.problems import FieldError, Kind
from app.plans.actions.rules import Draft
from app.plans.core.models import Plan
from app.plans.core.queries import check_locations, unknown, unknown_edition
from app.plans.core.rules import government_level
from app.reference.nomenclature.queries import editions, subactivities_by_code, subactivities_like
from app.reference.queries import funding_source_labels, funding_sources_by_code

retired_agency = Kind(
    "retired_agency",
    id="perangkat daerah {value} sudah tidak aktif; penggantinya: {nearest}",
    en="agency {value} is no longer active; its successor: {nearest}",
)
unnamed_subactivity = Kind(
    "unnamed_subactivity",
    id="isi kode atau nama sub kegiatan",
    en="give the code or the name of the sub-activity",
)


def check_references(
    session: Session, plan: Plan, drafts: Sequence[Draft]
) -> tuple[dict[str, dict[str, object]], dict[str, list[FieldError]]]:
    """(content by code, completed with edition and official names; errors by code) of many drafts."""
    errors: dict[str, list[FieldError]] = {}
    wanted = {draft.code: draft.content.model_dump(mode="json") for draft in drafts}
    pointers = {draft.code: draft.pointer for draft in drafts}

    def wrong(code: str, error: FieldError) -> None:
        errors.setdefault(code, []).append(error)

    _check_agencies(session, plan.region_code, wanted, pointers, wrong)
    _check_funding(session, wanted, pointers, wrong)
    places = [
        (code, f"{pointers[code]}/locations/{n}/region_code", location["region_code"])
        for code, content in wanted.items()
        for n, location in enumerate(content["locations"])
    ]
    if places:
        by_pointer = {pointer: code for code, pointer, _ in places}
        for error in check_locations(session, plan.region_code, [(p, region) for _, p, region in places]):
            assert error.pointer is not None
            wrong(by_pointer[error.pointer], error)
    _complete_nomenclature(session, plan, wanted, pointers, wrong)
    return wanted, errors


def _check_agencies(session: Session, region: str, wanted: Any, pointers: dict[str, str], wrong: Any) -> None:
    codes = {c["lead_agency"] for c in wanted.values()} | {
        a for c in wanted.values() for a in c["supporting_agencies"]
    }
    known = agencies_by_code(session, region, codes)
    labels: dict[str, str] | None = None
    for code, content in wanted.items():
        named = [("/lead_agency", content["lead_agency"])]
        named += [
            (f"/supporting_agencies/{n}", agency) for n, agency in enumerate(content["supporting_agencies"])
        ]
        for place, agency in named:
            found = known.get(agency)
            if found is None:
                labels = (
                    agency_labels(session, region, state=AgencyState.active) if labels is None else labels
                )
                wrong(code, unknown(f"{pointers[code]}{place}", agency, labels, f"regions/{region}/agencies"))
            elif found.state != "active":
                successor = (found.merged_into,) if found.merged_into else ()
                wrong(
                    code,
                    FieldError(
                        retired_agency, pointer=f"{pointers[code]}{place}", value=agency, nearest=successor
                    ),
                )


def _check_funding(session: Session, wanted: Any, pointers: dict[str, str], wrong: Any) -> None:
    codes = {line["funding_source"] for content in wanted.values() for line in content["budget_lines"]}
    known = funding_sources_by_code(session, codes)
    labels: dict[str, str] | None = None
    for code, content in wanted.items():
        for n, line in enumerate(content["budget_lines"]):
            if line["funding_source"] not in known:
                labels = funding_source_labels(session) if labels is None else labels
                pointer = f"{pointers[code]}/budget_lines/{n}/funding_source"
                wrong(code, unknown(pointer, line["funding_source"], labels, "funding-sources"))


def _complete_nomenclature(
    session: Session, plan: Plan, wanted: Any, pointers: dict[str, str], wrong: Any
) -> None:
    """Look codes up in their editions and fill the official names where none were sent."""
    level = government_level(plan.region_code)
    by_edition: dict[str, dict[str, dict[str, Any]]] = {}
    for code, content in wanted.items():
        if content["subactivity_code"] is None:
            if content["subactivity"] is None:
                wrong(code, FieldError(unnamed_subactivity, pointer=f"{pointers[code]}/subactivity_code"))
        elif content["nomenclature_edition"] is None:
            content["nomenclature_edition"] = plan.nomenclature_edition
        if content["nomenclature_edition"] is not None:
            by_edition.setdefault(content["nomenclature_edition"], {})[code] = content
    loaded = editions(session) if by_edition else []
    for edition, contents in by_edition.items():
        if edition not in loaded:
            for code in contents:
                wrong(code, unknown_edition(edition, loaded, f"{pointers[code]}/nomenclature_edition"))
            continue
        contents = {code: c for code, c in contents.items() if c["subactivity_code"] is not None}
        known = subactivities_by_code(
            session, edition, level, {c["subactivity_code"] for c in contents.values()}
        )
        missing = {code: c for code, c in contents.items() if c["subactivity_code"] not in known}
        for code, error in _unknown_codes(session, edition, level, missing, pointers):
            wrong(code, error)
        for code in contents.keys() - missing.keys():
            found = known[contents[code]["subactivity_code"]]
            for name, official in (
                ("subactivity", found.name),
                ("activity", found.activity),
                ("program", found.program),
            ):
                contents[code][name] = contents[code][name] or official


def _unknown_codes(
    session: Session, edition: str, level: str, missing: dict[str, dict[str, Any]], pointers: dict[str, str]
) -> Iterator[tuple[str, FieldError]]:
    for code, content in missing.items():
        near = subactivities_like(
            session,
            edition,
            level,
            subactivity=content["subactivity"] or content["title"],
            activity=content["activity"],
        )
        yield (
            code,
            FieldError(
                unknown_reference,
                pointer=f"{pointers[code]}/subactivity_code",
                value=content["subactivity_code"],
                nearest=[f"{found.code} {found.name}" for found in near],
                values={"source": f"nomenclatures/{edition}/subactivities ({level})"},
            ),
        )
