"""One plan, written as offices write theirs: headings, order, notations, separators, units and merged cells vary.

Each variation reads to the lines of `LINES`.
"""

import csv
import io
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from openpyxl import Workbook

from app.exchange.matrix.columns import COLUMNS, GROUP_VARIANTS, MatrixColumn
from tests.exchange.office import AID, AID_CODE, DINSOS, DINSOS_NAME, SURVEY, SURVEY_CODE
from tests.matrix.build import S1, S2, S3

Line = dict[str, Any]
QUERY = {"basis": "cumulative", "new_agencies": "create"}
KOPERASI, KOPERASI_NAME = "2.17.0.00.0.00.09.0000", "Dinas Koperasi dan UKM"
TRAINING_CODE = "2.17.07.2.01.0018"
TRAINING = {
    "program": "PROGRAM PEMBERDAYAAN USAHA MENENGAH, USAHA KECIL, DAN USAHA MIKRO (UMKM)",
    "activity": "Pemberdayaan Usaha Mikro yang Dilakukan Melalui Pendataan, Kemitraan, Kemudahan Perizinan, "
    "Penguatan Kelembagaan dan Koordinasi dengan Para Pemangku Kepentingan",
    "subactivity": "Peningkatan Kompetensi dan Kapasitas SDM Usaha Mikro dan Kecil (UMK)/Pelaku Usaha",
}
LINES: list[Line] = [
    {
        **AID, "sub": AID_CODE, "strategy": S1, "office": (DINSOS, DINSOS_NAME),
        "direct": ("Paket sembako", 45_000_000), "indirect": ("Verifikasi", 10_000_000),
        "supporting": ("Rapat", 5_000_000), "allocation": 60_000_000,
        "source": "APBD", "regularity": "Rutin", "place": ("18.04.09.2003", "Suka Marga", "Suoh"), "count": (40, "KK"),
        "benefit_amount": 500_000, "benefit_form": "Barang", "months": 12, "spent": (20_000_000, 45_000_000),
    },
    {
        **SURVEY, "sub": SURVEY_CODE, "strategy": S1, "office": (DINSOS, DINSOS_NAME),
        "supporting": ("Data", 25_000_000), "allocation": 25_000_000, "source": "DAU",
        "regularity": "Insidentil", "place": ("18.04.09", "Suoh", ""),
        "count": (1_250, "orang"), "benefit_form": "Jasa", "months": 3, "spent": (0, 25_000_000),
    },
    {
        **TRAINING, "sub": TRAINING_CODE, "strategy": S2, "office": (KOPERASI, KOPERASI_NAME),
        "direct": ("Pelatihan", 75_000_000), "allocation": 75_000_000, "source": "APBD-PROVINSI", "regularity": "Rutin",
        "place": ("18.04", "", ""), "count": (30, "UMKM"), "benefit_amount": 1_000_000, "benefit_form": "Jasa",
        "months": 6, "spent": (15_000_000, 70_000_000),
    },
    {
        **AID, "sub": AID_CODE, "strategy": S3, "office": (DINSOS, DINSOS_NAME), "direct": ("Bantuan", 100_000_000),
        "allocation": 100_000_000, "source": "DAK-FISIK", "regularity": "Rutin",
        "place": ("18.04.06.2001", "Kenali", "Belalau"), "count": (5, "kelompok"), "benefit_form": "Tunai",
        "months": 12, "spent": (0, 0),
    },
]  # fmt: skip
SOURCES = {
    "APBD": ("APBD", "APBD Kab.", "APBD II", "apbd kabupaten"),
    "DAU": ("DAU", "Dana Alokasi Umum"),
    "APBD-PROVINSI": ("APBD Provinsi", "APBD I", "APBD Prov. Lampung"),
    "DAK-FISIK": ("DAK Fisik", "DAK FISIK"),
}
UNITS = {"": 1, " (Rp)": 1, " (dalam Rupiah)": 1, " (Ribu Rp)": 1_000, " (dalam ribuan)": 1_000}
MONEY = ("allocation", "benefit_amount", "spent_s1", "spent_s2", "spent_total")
LEVELS = ("agency", "code", "program", "activity")
UNKNOWN = "Keterangan Tambahan"


Rows = list[list[Any]]


class Written(NamedTuple):
    """The rows of a file with their writer, and where its cells are: (line, column key) → row and column from 0."""

    filename: str
    rows: Rows
    places: dict[tuple[int, str], tuple[int, int]]
    write: Callable[[Rows], bytes]

    @property
    def data(self) -> bytes:
        return self.write(self.rows)

    def change(self, r: int, c: int, value: Any) -> "Written":
        """Return the file with another value in a cell."""
        rows = [list(row) for row in self.rows]
        rows[r][c] = value
        return self._replace(rows=rows)


class _Writer:
    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.is_workbook = self.flip()
        self.has_sections, self.inherits, self.is_named_first = self.flip(), self.flip(), self.flip()
        self.unit = draw.choice(list(UNITS))
        self.columns = self._order_columns()

    def flip(self) -> bool:
        return self.draw.random() < 0.5

    def _order_columns(self) -> list[MatrixColumn | None]:
        """Return the columns, those of a group side by side, None for an unknown one."""
        blocks: dict[str, list[MatrixColumn | None]] = {}
        for column in COLUMNS:
            if not (column.key == "strategy" and self.has_sections):
                blocks.setdefault(column.group or column.key, []).append(column)
        order = [*blocks.values()]
        if self.flip():
            order.append([None])
            self.draw.shuffle(order)
        return [column for block in order for column in block]

    def write_money(self, amount: int) -> Any:
        times = UNITS[self.unit]
        grouped = f"{amount // times:,}".replace(",", ".")
        ways: list[Any] = [grouped, str(amount // times)]
        if times == 1:
            ways += [f"{grouped},00", f"Rp {grouped}", f"Rp{grouped},-", *["-"] * (not amount)]
        if self.is_workbook:
            ways += [amount // times] * len(ways)
        return self.draw.choice(ways)

    def write_place(self, code: str, name: str, district: str) -> str:
        if not name:
            ways = ["Kab. Lampung Barat", "Se-Kabupaten Lampung Barat", "Kabupaten"]
        elif not district:
            ways = [f"Kec. {name}", f"Kecamatan {name.upper()}", code]
        else:
            ways = [
                f"Pekon {name}, Kec. {district}", f"Kec. {district}, Desa {name}", f"Kec {district}/Pekon {name}",
                f"Desa/Kel. {name} Kecamatan {district}", f"{name} ({district})",
                f"{name}, Kec. {district}, Kab. Lampung Barat",
            ]  # fmt: skip
        return self.draw.choice(ways)

    def write_line(self, number: int, line: Line) -> dict[str, Any]:
        """Return the cells of a line by column."""
        first, last = line["spent"]
        amounts = {**line, "spent_s1": first, "spent_s2": last, "spent_total": last}
        code, agency = line["office"]
        count, unit = line["count"]
        sub = line["subactivity"]
        cells = {
            **{key: line[key] for key in ("program", "activity", "regularity", "benefit_form")},
            **{key: self.write_money(amounts[key]) for key in MONEY if key in amounts},
            "number": number,
            "strategy": self.draw.choice([line["strategy"], line["strategy"].upper()]),
            "agency": agency,
            "code": code,
            "subactivity": f"{line['sub']} {sub}",
            "funding_sources": self.draw.choice(SOURCES[line["source"]]),
            "location": self.write_place(*line["place"]),
            "recipients": f"{self.draw.choice([str(count), f'{count:,}'.replace(',', '.')])} {unit}",
            "duration": f"{line['months']} {self.draw.choice(['bulan', 'Bulan', 'bln'])}",
        }
        for key in ("direct", "indirect", "supporting"):
            if key in line:
                name, amount = line[key]
                cells[key] = f"{name} (Rp {amount:,})".replace(",", ".")
        if not self.is_named_first:
            marked = [line["sub"], f"'{line['sub']}", *[f'="{line["sub"]}"'] * (not self.is_workbook)]
            cells |= {"code": self.draw.choice(marked), "agency": f"{code} {agency}", "subactivity": sub}
        return cells

    def write_header(self) -> tuple[list[list[Any]], list[tuple[int, int, int, int]]]:
        """Return the header rows and the merged ranges in them: top, left, bottom, right."""
        upper: list[Any] = []
        lower: list[Any] = []
        ranges = []
        groups = {group: self.draw.choice([group, *words]) for group, words in GROUP_VARIANTS.items()}
        for c, column in enumerate(self.columns):
            if column is None or column.group is None:
                label = UNKNOWN if column is None else self.draw.choice(column.labels[:4])
                upper.append(label + (self.unit if column and column.key in MONEY else ""))
                lower.append(None)
                ranges.append((0, c, 1, c))
                continue
            before = self.columns[c - 1] if c else None
            if before is None or before.group != column.group:
                upper.append(groups[column.group])
                last = (
                    c + sum(other is not None and other.group == column.group for other in self.columns) - 1
                )
                ranges.append((0, c, 0, last))
            else:
                upper.append(None)
            lower.append(self.draw.choice(column.labels[:4]) + (self.unit if column.key in MONEY else ""))
        return [upper, lower], ranges

    def write(self, lines: Sequence[Line]) -> Written:
        width = len(self.columns)
        rows: list[list[Any]] = [["RENCANA AKSI TAHUNAN"], ["KABUPATEN LAMPUNG BARAT TAHUN 2026"]][
            : self.draw.randrange(3)
        ]
        rows += [[]] * (bool(rows) and self.flip())
        header, ranges = self.write_header()
        top = len(rows)
        rows += header
        if (
            [column for column in self.columns if column] == list(COLUMNS)
            and len(self.columns) == 21
            and self.flip()
        ):
            rows.append(list(range(1, 22)))
        places: dict[tuple[int, str], tuple[int, int]] = {}
        strategy, before = "", {}
        sections = []
        for n, line in enumerate(lines):
            if line["strategy"] != strategy:
                if strategy and self.flip():
                    rows.append(self._make_total(lines, strategy))
                strategy, before = line["strategy"], {}
                if self.has_sections:
                    sections.append(len(rows))
                    rows.append([strategy.upper()])
            cells = self.write_line(n + 1, line)
            shown = dict(cells)
            for key in LEVELS if self.inherits and before else ():
                if cells[key].lstrip("='\"") != before[key].lstrip("='\""):
                    break
                shown[key] = None
            before = cells
            places |= {
                (n, column.key): (len(rows), c)
                for c, column in enumerate(self.columns)
                if column and shown.get(column.key) is not None
            }
            rows.append([shown.get(column.key) if column else "catatan" for column in self.columns])
            rows += [[]] * (self.draw.random() < 0.1)
        if self.flip():
            rows.append(self._make_total(lines, None))
        if self.flip():
            rows += [[], ["Keterangan: angka sementara"]]
        rows = [[*row, *[None] * (width - len(row))] for row in rows]
        if self.is_workbook:
            merged = [(top + a, b, top + c, d) for a, b, c, d in ranges] if self.flip() else []
            merged += [(r, 0, r, width - 1) for r in sections if self.flip()]
            return Written("matriks.xlsx", rows, places, partial(make_workbook, merged=merged))
        separator, encoding = (
            self.draw.choice(",;\t"),
            self.draw.choice(["utf-8", "utf-8-sig", "cp1252", "utf-16"]),
        )
        write = partial(make_csv, separator=separator, encoding=encoding)
        return Written("matriks.csv", rows, places, write)

    def _make_total(self, lines: Sequence[Line], strategy: str | None) -> list[Any]:
        """Return the row with the sums of a strategy, or of all lines."""
        chosen = [line for line in lines if strategy in (None, line["strategy"])]
        sums = {
            "allocation": sum(line["allocation"] for line in chosen),
            "spent_s1": sum(line["spent"][0] for line in chosen),
            "spent_s2": sum(line["spent"][1] for line in chosen),
            "spent_total": sum(line["spent"][1] for line in chosen),
        }
        row = [
            self.write_money(sums[column.key]) if column and column.key in sums else None
            for column in self.columns
        ]
        free = next(
            c
            for c, value in enumerate(row)
            if value is None
            and (column := self.columns[c])
            and column.key in ("number", "agency", "strategy")
        )
        row[free] = "JUMLAH" if strategy else "JUMLAH TOTAL"
        return row


def make_workbook(rows: Sequence[Sequence[Any]], merged: Sequence[tuple[int, int, int, int]] = ()) -> bytes:
    book = Workbook()
    for row in rows:
        book.active.append(list(row))
    for top, left, bottom, right in merged:
        book.active.merge_cells(
            start_row=top + 1, start_column=left + 1, end_row=bottom + 1, end_column=right + 1
        )
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def make_csv(rows: Sequence[Sequence[Any]], separator: str = ",", encoding: str = "utf-8") -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=separator).writerows(rows)
    return out.getvalue().encode(encoding)


def write_variation(seed: int) -> Written:
    """Write the plan by the choices of a seed."""
    return _Writer(random.Random(seed)).write(LINES)
