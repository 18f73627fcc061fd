"""A national data set: a plan of each regency with its lines, their parts, and a year of reports.

The generator builds lines once, from the real nomenclature, as content of the service; each plan has these lines with
its own amounts and villages. So all plans need as many statements as one, and the rows equal those of the service.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from alembic import command
from sqlmodel import Session

from app.access.commands import Write
from app.access.models import Role, TokenIn, TokenScope
from app.access.rules import CONSOLE, Grant
from app.access.tokens import create_token
from app.agencies.models import AgencyRow
from app.kit.database.engine import Database, get_table, make_alembic_config
from app.kit.database.journal import Author, Entry, append, lock_chain
from app.kit.database.json_sql import dump_json
from app.kit.database.upsert import unnest_records
from app.kit.fields import fold_name
from app.plans.actions.models import PARTS, ActionFields, ActionRow, LocationRow
from app.plans.core.models import PlanRow
from app.plans.core.rules import format_plan_chain
from app.reference.commands import load_reference
from app.reference.models import RegionLevel, RegionRow
from app.reference.nomenclature.models import SubactivityRow
from app.tracking.progress.models import PROGRESS_PARTS, ProgressFields, ProgressRow
from app.wiring import wire
from benchmarks.convergence import fill_convergence

YEAR = 2026
PROVINCE = "73"
"""The province of the summary, with 24 regencies and its own plan of a thousand lines for the batch."""
BIG_PLAN = f"{PROVINCE}-{YEAR}"
BIG_PLAN_LINES = 1000

_CHUNK = 20
_AGENCIES = [
    ("1.01.0.00.0.00.01.0000", "Dinas Pendidikan"),
    ("1.02.0.00.0.00.01.0000", "Dinas Kesehatan"),
    ("1.03.0.00.0.00.01.0000", "Dinas Pekerjaan Umum dan Penataan Ruang"),
    ("1.04.0.00.0.00.01.0000", "Dinas Perumahan Rakyat dan Kawasan Permukiman"),
    ("1.06.0.00.0.00.08.0000", "Dinas Sosial"),
    ("2.07.0.00.0.00.01.0000", "Dinas Tenaga Kerja"),
    ("2.09.0.00.0.00.01.0000", "Dinas Ketahanan Pangan"),
    ("2.12.0.00.0.00.01.0000", "Dinas Kependudukan dan Pencatatan Sipil"),
    ("2.13.0.00.0.00.01.0000", "Dinas Pemberdayaan Masyarakat dan Desa"),
    ("2.17.0.00.0.00.01.0000", "Dinas Koperasi, Usaha Kecil dan Menengah"),
    ("3.25.0.00.0.00.01.0000", "Dinas Perikanan"),
    ("3.27.0.00.0.00.01.0000", "Dinas Pertanian"),
]
_STRATEGIES = ("reduce_spending_burden", "raise_income", "reduce_poverty_pockets")
_SOURCES = ("APBD", "DAU", "DAK-FISIK", "DANA-DESA", "DBH")
_GROUPS = ("lansia", "disabilitas", "nelayan", "petani", "usaha_mikro")

Note = Callable[[str, int, int], None]
"""Receives a task, the done part and the total."""


@dataclass(frozen=True)
class Size:
    """Numbers of plans of regencies, of lines of each, and of quarters with reports."""

    plans: int = 514
    actions: int = 300
    quarters: int = 4
    big_plan: int = BIG_PLAN_LINES

    @property
    def name(self) -> str:
        return f"rata_bench_{self.plans}_{self.actions}_{self.quarters}_{self.big_plan}"

    @property
    def quarter(self) -> str:
        return f"{YEAR}-Q{self.quarters}"


def format_line_code(n: int) -> str:
    return f"A-{n:04d}"


def build(url: str, size: Size, note: Note = lambda *_: None) -> None:
    """Migrate the empty database at `url` and fill it."""
    command.upgrade(make_alembic_config(url), "head")
    wire()
    database = Database(url)
    try:
        with database.writing() as session:
            load_reference(session, note)
            if not database.is_sqlite:
                # The rows are consistent by construction; checking nine million foreign keys takes most of the time.
                session.connection().exec_driver_sql("SET LOCAL session_replication_role = replica")
            _fill(session, size, note)
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE" if database.is_sqlite else "VACUUM ANALYZE")
            if not database.is_sqlite:
                connection.exec_driver_sql("CHECKPOINT")
    finally:
        database.close()


def create_secret(database: Database, region: str = PROVINCE, role: Role = Role.administrator) -> str:
    """Create a token with a role in a region; return its secret."""
    now = datetime.now(UTC)
    name = f"bench-{region}-{now.timestamp()}"
    with database.writing() as session:
        return create_token(
            Write(session, Author(CONSOLE.token, now), CONSOLE),
            name=name,
            principal=name,
            grants=[Grant(role, region, None)],
            content=TokenIn(scopes=[TokenScope.read, TokenScope.write], expires_at=now + timedelta(days=1)),
        )


def list_plan_codes(database: Database) -> list[str]:
    """Return the codes of the plans of the province's regencies."""
    plans = get_table(PlanRow)
    with database.read_session() as session:
        inside = plans.c.region_code.like(f"{PROVINCE}.%")
        return list(session.scalars(sa.select(plans.c.code).where(inside).order_by(plans.c.code)))


def _fill(session: Session, size: Size, note: Note) -> None:
    at = datetime(YEAR, 1, 20, 2, tzinfo=UTC)
    regions = _list_regions(session, size)
    _fill_agencies(session, regions)
    ids = _fill_plans(session, regions, at)
    fill_convergence(session, [code for code, _ in regions], YEAR, at)
    lines = list(_build_lines(session, max(size.actions, size.big_plan), at))
    reports = [report for line in lines for report in _build_reports(line, size.quarters, at)]
    for done, chunk in _split_ids(ids):
        _spread_actions(session, lines, chunk, size)
        _spread_reports(session, reports, chunk)
        note("plans", done, len(ids))


def _split_ids(ids: list[int]) -> Iterator[tuple[int, tuple[int, int]]]:
    for start in range(0, len(ids), _CHUNK):
        part = ids[start : start + _CHUNK]
        yield start + len(part), (part[0], part[-1])


def _list_regions(session: Session, size: Size) -> list[tuple[str, str]]:
    """Return (code, name) of the province with the big plan, its regencies, then other regencies."""
    table = get_table(RegionRow)
    query = sa.select(table.c.code, table.c.name).where(
        table.c.level == RegionLevel.regency, ~table.c.retired
    )
    regencies = sorted(session.execute(query), key=lambda r: (not r.code.startswith(f"{PROVINCE}."), r.code))
    return [(PROVINCE, "Provinsi"), *((r.code, r.name) for r in regencies[: size.plans])]


def _fill_agencies(session: Session, regions: list[tuple[str, str]]) -> None:
    rows = [
        {"region_code": region, "code": code, "name": name, "kind": "dinas", "folded": fold_name(name)}
        for region, _ in regions
        for code, name in _AGENCIES
    ]
    session.execute(sa.insert(get_table(AgencyRow)), rows)


def _fill_plans(session: Session, regions: list[tuple[str, str]], at: datetime) -> list[int]:
    table = get_table(PlanRow)
    rows = [
        {
            "code": f"{region}-{YEAR}",
            "region_code": region,
            "year": YEAR,
            "updated_at": at,
            "title": f"RAT Penanggulangan Kemiskinan {name} {YEAR}",
            "nomenclature_edition": "2027",
            "note": "",
        }
        for region, name in regions
    ]
    session.execute(sa.insert(table), rows)
    author = Author("bench", at)
    for row in rows:
        code = str(row["code"])
        entry = Entry(
            "plan.created", str(row["region_code"]), f"plans/{code}", 1, None, {"title": row["title"]}
        )
        append(session, lock_chain(session, format_plan_chain(code)), author, [entry])
    return list(session.scalars(sa.select(table.c.id).order_by(table.c.id)))


# Lines: content of the service


def _build_lines(session: Session, count: int, at: datetime) -> Iterator[dict[str, Any]]:
    choose = random.Random(1)
    table = get_table(SubactivityRow)
    rows = session.execute(
        sa.select(table.c.code, table.c.name, table.c.activity_name, table.c.program_name, table.c.indicator)
        .where(table.c.government_level == "regency", table.c.edition == "2027")
        .order_by(table.c.code)
    ).all()
    for n, row in enumerate(choose.sample(rows, count), start=1):
        main, second = choose.sample(_SOURCES, 2)
        lead, support = choose.sample([code for code, _ in _AGENCIES], 2)
        amount = choose.randrange(2, 400) * 1_000_000
        classes = ("direct", "indirect", "supporting")[: choose.randint(1, 3)]
        shares = {1: [10], 2: [8, 2], 3: [7, 2, 1]}[len(classes)]
        target = float(choose.randrange(20, 2000, 4))
        recipients = choose.randrange(20, 1500)
        outputs = [
            {
                "code": f"O{k}",
                "indicator": (row.indicator or row.name)[:200],
                "unit": "Orang",
                "baseline": None,
                "target": target,
                "quarterly_targets": [target * q / 4 for q in range(1, 5)],
            }
            for k in range(1, choose.randint(1, 2) + 1)
        ]
        yield {
            "line": n,
            "code": format_line_code(n),
            "title": f"{row.name} bagi keluarga miskin",
            "strategy": _STRATEGIES[n % 3],
            "lead_agency": lead,
            "nomenclature_edition": "2027",
            "subactivity_code": row.code,
            "subactivity": row.name,
            "activity": row.activity_name,
            "program": row.program_name,
            "allocation": amount,
            "benefit_regularity": ("routine", "incidental")[n % 2],
            "benefit_forms": [("cash", "goods", "service")[n % 3]],
            "benefit_amount": 500_000,
            "benefit_description": "Paket bantuan per keluarga",
            "benefit_months": 12,
            "matrix_texts": {"location": "Desa lokus kemiskinan", "recipients": f"{recipients} KK"},
            "first_month": 1,
            "last_month": 12,
            "source_stage": "apbd",
            "source_key": f"RKA-{n:05d}",
            "note": "",
            "starts_in": None,
            "ends_after": None,
            "search": fold_name(f"{row.name} {row.activity_name} {row.program_name}"),
            "year": YEAR,
            "updated_at": at.isoformat(),
            "version": 1,
            "supporting_agencies": [support],
            "components": [
                {
                    "code": f"C{k}",
                    "component_class": kind,
                    "description": f"Kegiatan {kind}",
                    "amount": amount // 10 * share,
                    "is_travel": kind == "supporting",
                }
                for k, (kind, share) in enumerate(zip(classes, shares, strict=True), start=1)
            ],
            "budget_lines": [
                {"funding_source": main, "amount": amount // 10 * 6, "stage": "apbd"},
                {"funding_source": second, "amount": amount // 10 * 4, "stage": "apbd"},
            ],
            "outputs": outputs,
            "recipients": [
                {
                    "code": "R1",
                    "kind": ("families", "persons")[n % 2],
                    "unit": "KK",
                    "count": recipients,
                    "decile_from": 1,
                    "decile_to": choose.randint(2, 4),
                    "vulnerable_groups": [_GROUPS[n % 5]],
                    "source": "DTSEN",
                    "source_period": "2025-Q4",
                }
            ],
            "milestones": [
                {
                    "code": f"M{k}",
                    "title": title,
                    "due": f"{YEAR}-{due}",
                    "weight": weight,
                    "evidence_required": k == 3,
                }
                for k, (title, due, weight) in enumerate(
                    [
                        ("Penetapan penerima", "03-31", 30.0),
                        ("Pengadaan selesai", "06-30", 30.0),
                        ("Penyaluran selesai", "12-15", 40.0),
                    ],
                    start=1,
                )
            ],
            "tags": [_GROUPS[n % 5], _GROUPS[(n + 2) % 5]],
        }


def _build_reports(line: dict[str, Any], quarters: int, at: datetime) -> Iterator[dict[str, Any]]:
    for quarter in range(1, quarters + 1):
        yield {
            "line": line["line"],
            "action": line["code"],
            "period": f"{YEAR}-Q{quarter}",
            "reported_at": (at + timedelta(days=91 * quarter)).isoformat(),
            "reported_by": "bench",
            "year": YEAR,
            "version": 1,
            "physical_percent": (30.0, 60.0, 60.0, 100.0)[quarter - 1],
            "physical_basis": "milestones",
            **build_report(line, quarter, share=quarter * 20 + line["line"] % 20),
        }


def build_report(line: dict[str, Any], quarter: int, *, share: int) -> dict[str, Any]:
    """Build the report on a line at the end of a quarter, with `share` percent of its money spent."""
    return {
        "physical_reported_percent": None,
        "obstacle": "Penyaluran di beberapa desa tertunda cuaca" if line["line"] % 4 == 0 else "",
        "follow_up": "",
        "evidence": [f"https://berkas.example.go.id/bast-{line['line']:04d}.pdf"],
        "spent": line["allocation"] // 100 * share,
        "spending": [
            {"funding_source": item["funding_source"], "amount": item["amount"] // 100 * share}
            for item in line["budget_lines"]
        ],
        "components": [
            {"component_class": item["component_class"], "amount": item["amount"] // 100 * share}
            for item in line["components"]
        ],
        "outputs": [
            {"code": item["code"], "achieved": item["quarterly_targets"][quarter - 1]}
            for item in line["outputs"]
        ],
        "recipients": [
            {"code": item["code"], "reached": item["count"] * quarter // 4} for item in line["recipients"]
        ],
        "milestones": [
            {"code": f"M{k}", "state": "done" if quarter >= due else "pending", "done_on": None}
            for k, due in ((1, 1), (2, 2), (3, 4))
        ],
    }


# Copies for all plans


def _spread_actions(
    session: Session, lines: list[dict[str, Any]], chunk: tuple[int, int], size: Size
) -> None:
    plans, actions = get_table(PlanRow), get_table(ActionRow)
    names = [*ActionFields.model_fields, "code", "search", "year", "updated_at", "version"]
    rows = [{"line": line["line"], **{name: line[name] for name in names}} for line in lines]
    source = unnest_records(session, {"line": sa.Integer(), **{name: actions.c[name].type for name in names}})
    factor = plans.c.id % 7 + 1
    columns = [source.c[name] * factor if name == "allocation" else source.c[name] for name in names]
    in_plan = sa.or_(
        source.c.line <= size.actions, sa.and_(plans.c.code == BIG_PLAN, source.c.line <= size.big_plan)
    )
    latest = (30.0, 60.0, 60.0, 100.0)[size.quarters - 1] if size.quarters else None
    share = size.quarters * 20 + source.c.line % 20 if size.quarters else sa.literal(0)
    query = (
        sa.select(
            plans.c.id,
            plans.c.region_code,
            *columns,
            sa.literal(size.quarter if size.quarters else None, sa.String),
            source.c.allocation // 100 * share * factor,
            sa.literal(latest, sa.Float),
        )
        .select_from(plans.join(source, in_plan))
        .where(plans.c.id.between(*chunk))
        .order_by(plans.c.id, source.c.line)
    )
    into = ["plan_id", "region_code", *names, "progress_period", "spent", "physical_percent"]
    _insert(session, actions, into, query, rows)
    for part in PARTS:
        if part.name == "locations":
            _spread_locations(session, chunk)
            continue
        items = [
            {"key": line["code"], "position": n, **(item if part.shape else {part.key: item})}
            for line in lines
            for n, item in enumerate(line[part.name])
        ]
        _spread(session, part.table, items, chunk)


def _spread_reports(session: Session, reports: list[dict[str, Any]], chunk: tuple[int, int]) -> None:
    if not reports:
        return
    names = [
        *ProgressFields.model_fields,
        "period",
        "year",
        "spent",
        "version",
        "reported_at",
        "reported_by",
        "physical_percent",
        "physical_basis",
    ]
    rows = [{"key": report["action"], **{name: report[name] for name in names}} for report in reports]
    _spread(session, get_table(ProgressRow), rows, chunk)
    for part in PROGRESS_PARTS:
        items = [
            {"key": report["action"], "period": report["period"], "position": n, **item}
            for report in reports
            for n, item in enumerate(report[part.name])
        ]
        _spread(session, part.table, items, chunk)


def _spread(session: Session, table: sa.Table, items: list[dict[str, Any]], chunk: tuple[int, int]) -> None:
    """Insert the items of the lines for the actions of some plans, with money in proportion to the allocation."""
    actions = get_table(ActionRow)
    names = [name for name in items[0] if name != "key"]
    source = unnest_records(
        session, {"key": actions.c.code.type, **{name: table.c[name].type for name in names}}
    )
    factor = actions.c.plan_id % 7 + 1
    columns = {
        name: source.c[name] * factor if name in ("amount", "spent") else source.c[name] for name in names
    }
    of_action = {
        "action_id": actions.c.id,
        "plan_id": actions.c.plan_id,
        "region_code": actions.c.region_code,
    }
    inherited = {
        name: column for name, column in of_action.items() if name in table.c and name not in columns
    }
    query = (
        sa.select(*inherited.values(), *columns.values())
        .select_from(actions.join(source, source.c.key == actions.c.code))
        .where(actions.c.plan_id.between(*chunk))
        .order_by(actions.c.id)
    )
    _insert(session, table, [*inherited, *names], query, items)


def _spread_locations(session: Session, chunk: tuple[int, int]) -> None:
    """Insert three villages of the regency for each action."""
    actions, regions = get_table(ActionRow), get_table(RegionRow)
    regency = sa.func.substr(regions.c.code, 1, 5)
    number = sa.func.row_number().over(partition_by=regency, order_by=regions.c.code) - 1
    villages = (
        sa.select(regions.c.code, regency.label("regency"), number.label("n"))
        .where(regions.c.level == RegionLevel.village)
        .cte("villages")
    )
    counts = (
        sa.select(villages.c.regency, sa.func.count().label("count"))
        .group_by(villages.c.regency)
        .cte("counts")
    )
    nth = sa.union_all(*[sa.select(sa.literal(k).label("k")) for k in range(3)]).cte("nth")
    chosen = (actions.c.id * 3 + nth.c.k) % counts.c.count
    query = (
        sa.select(actions.c.id, villages.c.code, sa.literal(25) + nth.c.k, nth.c.k)
        .select_from(
            actions.join(nth, sa.true())
            .join(counts, counts.c.regency == actions.c.region_code)
            .join(villages, sa.and_(villages.c.regency == counts.c.regency, villages.c.n == chosen))
        )
        .where(actions.c.plan_id.between(*chunk))
        .order_by(actions.c.id, nth.c.k)
    )
    _insert(session, get_table(LocationRow), ["action_id", "region_code", "recipients", "position"], query)


def _insert(
    session: Session, table: sa.Table, names: list[str], query: Any, rows: list[dict[str, Any]] | None = None
) -> None:
    bound = {"records": dump_json(rows)} if rows is not None else {}
    session.connection().execute(sa.insert(table).from_select(names, query, include_defaults=False), bound)
