"""Overlap register: pairs of lines with the same benefit for the same people, in all plans of a region."""

from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.sql import ColumnElement
from sqlmodel import Session

from app.access.rules import Actor
from app.agencies.models import AgencyRow
from app.kit.database.engine import get_table
from app.kit.database.json_sql import build_json_array, build_json_object
from app.kit.fields import AgencyCode, Key, RegionCode, show_example
from app.kit.http.pagination import Listing
from app.kit.tables.columns import column
from app.kit.wording import Text, declare_words
from app.plans.actions.models import BenefitForm, LocationRow, RecipientKind, RecipientRow
from app.plans.actions.queries import actions
from app.plans.core.queries import plans, regions
from app.plans.overlaps.models import Verdict
from app.plans.overlaps.queries import (
    Explanation,
    Overlap,
    explanations,
    is_explanation_of,
    select_overlapping,
)
from app.plans.overlaps.rules import LinePair, find_coincidence
from app.reports.definition import ReportDefinition, Row, build_listing
from app.reports.models import PLAN_EXAMPLE, LeadAgencyQuery, PlanColumns, ReportQuery, YearQuery
from app.tracking.lines.queries import is_visible_plan

_locations, _recipients = get_table(LocationRow), get_table(RecipientRow)
_agencies = get_table(AgencyRow)
_SIDES = ("first", "second")
declare_words(
    {
        "explained": Text("dijelaskan", "explained"),
        "stale": Text("usang", "stale"),
        Verdict.complementary: Text("saling melengkapi", "complementary"),
        Verdict.duplicate_accepted: Text("tumpang tindih diterima", "duplicate accepted"),
        Verdict.will_be_merged: Text("akan digabung", "will be merged"),
    },
    form="cell",
)


class OverlapEntry(PlanColumns):
    """Overlap of two lines of different agencies, with its explanation."""

    pair: str = column(
        Text("Pasangan", "Pair"),
        Text("Kunci pasangan baris.", "Key of the pair, the smaller line key first."),
    )
    state: Literal["open", "explained", "stale"] = column(
        Text("Status Penjelasan", "State"),
        Text(
            "Status penjelasan: terbuka, dijelaskan, atau usang (tumpang tindihnya berubah sesudah dijelaskan).",
            "State of the explanation: open, explained, or stale (the overlap has changed since).",
        ),
        width=14,
    )
    first_action: Key = column(
        Text("Kode Baris 1", "Line 1"), Text("Kunci baris pertama.", "Key of the first line."), width=12
    )
    first_title: str = column(
        Text("Uraian Baris 1", "Title 1"), Text("Judul baris pertama.", "Title of the first line."), width=40
    )
    first_agency: AgencyCode = column(
        Text("Kode Perangkat Daerah 1", "Agency code 1"),
        Text("Perangkat daerah baris pertama.", "Agency that leads the first line."),
        width=24,
    )
    first_agency_name: str = column(
        Text("Perangkat Daerah 1", "Agency 1"),
        Text("Nama perangkat daerah pertama.", "Name of the first agency."),
        width=32,
    )
    first_allocation: int = column(
        Text("Alokasi 1 (Rp)", "Allocation 1 (Rp)"),
        Text("Alokasi baris pertama, rupiah.", "Allocation of the first line, rupiah."),
        width=20,
    )
    second_action: Key = column(
        Text("Kode Baris 2", "Line 2"), Text("Kunci baris kedua.", "Key of the second line."), width=12
    )
    second_title: str = column(
        Text("Uraian Baris 2", "Title 2"), Text("Judul baris kedua.", "Title of the second line."), width=40
    )
    second_agency: AgencyCode = column(
        Text("Kode Perangkat Daerah 2", "Agency code 2"),
        Text("Perangkat daerah baris kedua.", "Agency that leads the second line."),
        width=24,
    )
    second_agency_name: str = column(
        Text("Perangkat Daerah 2", "Agency 2"),
        Text("Nama perangkat daerah kedua.", "Name of the second agency."),
        width=32,
    )
    second_allocation: int = column(
        Text("Alokasi 2 (Rp)", "Allocation 2 (Rp)"),
        Text("Alokasi baris kedua, rupiah.", "Allocation of the second line, rupiah."),
        width=20,
    )
    benefit_forms: list[BenefitForm] = column(
        Text("Jenis Bantuan", "Forms of benefit"),
        Text("Jenis bantuan yang sama.", "Forms of benefit in common."),
        width=18,
    )
    recipients: list[RecipientKind] = column(
        Text("Penerima Manfaat", "Recipients"),
        Text("Jenis penerima yang sama.", "Kinds of recipients in common."),
        width=18,
    )
    places: list[RegionCode] = column(
        Text("Tempat", "Places"), Text("Tempat yang sama.", "Places in common."), width=24
    )
    first_month: int = column(
        Text("Bulan Mulai", "First month"),
        Text("Bulan pertama yang sama.", "First month in common."),
        width=9,
    )
    last_month: int = column(
        Text("Bulan Selesai", "Last month"),
        Text("Bulan terakhir yang sama.", "Last month in common."),
        width=9,
    )
    verdict: Verdict | None = column(
        Text("Putusan", "Verdict"),
        Text("Putusan; kosong bila belum dijelaskan.", "Verdict; null without an explanation."),
        width=24,
    )
    explanation: str | None = column(
        Text("Penjelasan", "Explanation"), Text("Penjelasan.", "Text of the explanation."), width=48
    )
    explained_at: datetime | None = column(
        Text("Waktu Penjelasan", "Explained at"),
        Text("Waktu penjelasan.", "Time of the explanation."),
        width=17,
    )
    explained_by: str | None = column(
        Text("Dijelaskan oleh", "Explained by"),
        Text("Jabatan atau layanan yang menjelaskan.", "Position or service that explained."),
        width=24,
    )

    model_config = show_example(
        PLAN_EXAMPLE,
        pair="A-001~A-002",
        state="explained",
        first_action="A-001",
        first_title="Bantuan permakanan lanjut usia",
        first_agency="1.06.0.00.0.00.08.0000",
        first_agency_name="Dinas Sosial",
        first_allocation=250000000,
        second_action="A-002",
        second_title="Pemberian makanan tambahan lanjut usia",
        second_agency="1.02.0.00.0.00.02.0000",
        second_agency_name="Dinas Kesehatan",
        second_allocation=80000000,
        benefit_forms=["goods"],
        recipients=["families"],
        places=["63.02.05.2001"],
        first_month=3,
        last_month=12,
        verdict="complementary",
        explanation="A-001 menyediakan permakanan, A-002 pemeriksaan gizi",
        explained_at="2026-02-11T03:20:00+00:00",
        explained_by="sekretariat-kotabaru",
    )


class RegisterQuery(LeadAgencyQuery, YearQuery, ReportQuery):
    agency: AgencyCode | None = Field(
        default=None, description="Only pairs with a line that this agency leads."
    )
    explained: bool | None = Field(
        default=None, description="Only those with (`true`) or without (`false`) an explanation on record."
    )
    sort: Literal["plan", "-plan", "region_code", "-region_code"] = "plan"


def list_overlaps(session: Session, actor: Actor, query: RegisterQuery, now: datetime) -> Listing:
    """Return the pairs with the content of both lines, for the rule of overlaps in `complete_overlap`."""
    visible = sa.select(plans.c.id).where(is_visible_plan(actor, query.region, query.year))
    pairs = select_overlapping(session, actions.c.plan_id.in_(visible))
    source: Any = pairs.join(plans, plans.c.id == pairs.c.plan_id).join(
        regions, regions.c.code == plans.c.region_code
    )
    columns: list[sa.SQLColumnExpression[object]] = [
        plans.c.region_code,
        regions.c.name.label("region_name"),
        plans.c.code.label("plan"),
        pairs.c.first,
        pairs.c.second,
    ]
    led: list[ColumnElement[bool]] = []
    for side in _SIDES:
        line, agency = actions.alias(side), _agencies.alias(f"{side}_agency")
        leads = sa.and_(agency.c.region_code == line.c.region_code, agency.c.code == line.c.lead_agency)
        is_side = sa.and_(line.c.plan_id == pairs.c.plan_id, line.c.code == pairs.c[side])
        source = source.join(line, is_side).join(agency, leads)
        columns += [
            line.c.title.label(f"{side}_title"),
            agency.c.name.label(f"{side}_agency_name"),
            line.c.allocation.label(f"{side}_allocation"),
            _build_line_json(line, side).label(f"{side}_line"),
        ]
        led.append(line.c.lead_agency == query.agency)
    explained = [explanations.c[name] for name in Explanation._fields]
    rows = sa.select(*columns, *explained).select_from(
        source.outerjoin(explanations, is_explanation_of(pairs))
    )
    if query.agency is not None:
        rows = rows.where(sa.or_(*led))
    if query.explained is not None:
        is_explained = explanations.c.version.is_not(None)
        rows = rows.where(is_explained if query.explained else ~is_explained)
    return build_listing(None, rows, sorts=("plan", "region_code"), key=("plan", "first", "second"))


_FIELDS = ("lead_agency", "year", "first_month", "last_month", "starts_in", "ends_after", "benefit_forms")


def _build_line_json(line: Any, side: str) -> sa.SQLColumnExpression[object]:
    """Return the fields of a line that `find_coincidence` reads, as JSON."""
    own = actions.alias(f"{side}_own")

    def build_part(table: sa.Table, *names: str) -> sa.SQLColumnExpression[object]:
        query = sa.select(*[table.c[name] for name in names]).where(table.c.action_id == own.c.id)
        return build_json_array(query.correlate(own), name=f"{side}_{table.name}")

    return build_json_object(
        sa.select(
            *[own.c[name] for name in _FIELDS],
            build_part(_recipients, "kind", "decile_from", "decile_to", "vulnerable_groups").label(
                "recipients"
            ),
            build_part(_locations, "region_code").label("locations"),
        )
        .where(own.c.id == line.c.id)
        .correlate(line),
        name=f"{side}_content",
    )


def complete_overlap(row: Row) -> Row | None:
    """Return the `OverlapEntry` of a pair. Returns None if nothing coincides."""
    lines = {side: row.pop(f"{side}_line") for side in _SIDES}
    coincides = find_coincidence(lines["first"], lines["second"], lines["first"]["year"])
    if coincides is None:
        return None
    pair = LinePair(row.pop("first"), row.pop("second"))
    values = [row.pop(name) for name in Explanation._fields]
    explanation = Explanation(*values) if values[0] is not None else None
    entry = {
        **row,
        "pair": str(pair),
        "state": Overlap(pair, coincides, explanation).state,
        **{f"{side}_action": key for side, key in zip(_SIDES, pair, strict=True)},
        **{f"{side}_agency": lines[side]["lead_agency"] for side in _SIDES},
        "benefit_forms": coincides["benefit_forms"],
        "recipients": sorted({recipient["kind"] for recipient in coincides["recipients"]}),
        "places": coincides["places"],
        "first_month": coincides["first_month"],
        "last_month": coincides["last_month"],
        "verdict": explanation and explanation.verdict,
        "explanation": explanation and explanation.text,
        "explained_at": explanation and explanation.explained_at,
        "explained_by": explanation and explanation.explained_by,
    }
    return {name: entry[name] for name in OverlapEntry.model_fields}


REPORT = ReportDefinition(
    name="overlap-register",
    title=Text("Daftar tumpang tindih", "Overlap register"),
    description=Text(
        "Pasangan baris dari perangkat daerah berbeda yang membawa jenis bantuan yang sama kepada penerima yang sama "
        "di tempat dan bulan yang sama, dengan penjelasannya, untuk semua rencana di wilayah.",
        "Pairs of lines of different agencies that bring the same kind of benefit to the same recipients in the same "
        "place and months, with their explanations, in all plans of a region.",
    ),
    row=OverlapEntry,
    asked=RegisterQuery,
    rows=list_overlaps,
    complete=complete_overlap,
)
