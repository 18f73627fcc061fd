"""The kinds of findings (domain, section 4): sentence, hint, source.

A declaration has both languages; `/findings/{code}` publishes each kind. Areas above declare theirs in their own
modules.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from app.kit.wording import Language, Text, declare_words

Severity = Literal["error", "warning"]
Resource = Literal["action", "plan", "report"]
"""The document into which a finding's pointer points."""

_OWN = Text("Aturan layanan ini, tanpa status resmi", "A rule of this service, without official status")


class FindingKind:
    """One possible finding on a plan, a line or a report. `E…` is an error, `W…` a warning."""

    known: ClassVar[dict[str, "FindingKind"]] = {}

    def __init__(
        self,
        code: str,
        *,
        title: Text,
        says: Text,
        hint: Text,
        source: Text = _OWN,
        into: tuple[Resource, ...] = ("action",),
        thresholds: tuple[str, ...] = (),
        **variants: Text,
    ) -> None:
        if code in FindingKind.known:
            raise ValueError(f"finding {code} is declared twice")
        self.code, self.title, self.hint, self.source, self.into = code, title, hint, source, into
        self.thresholds = thresholds
        """Fields of `Thresholds` that the rule compares with."""
        self.sentences = {"": says, **variants}
        """Sentence by `about`; the plain one has the key `""`."""
        FindingKind.known[code] = self

    def __repr__(self) -> str:
        return f"FindingKind({self.code})"

    @property
    def severity(self) -> Severity:
        return "error" if self.code.startswith("E") else "warning"

    def find_at(self, pointer: str, *, about: str = "", **values: object) -> "Finding":
        """Return a finding of this kind at a JSON Pointer, with the values of its sentence."""
        assert about in self.sentences
        return Finding(self, pointer, values, about)


def list_kinds() -> list[FindingKind]:
    """Return every kind: errors first, then warnings, by number."""
    return [FindingKind.known[code] for code in sorted(FindingKind.known)]


@dataclass(frozen=True)
class Finding:
    """A finding at a JSON Pointer, with the values of its sentence."""

    kind: FindingKind
    pointer: str
    values: dict[str, object] = field(default_factory=dict)
    about: str = ""

    @property
    def code(self) -> str:
        return self.kind.code

    @property
    def severity(self) -> Severity:
        return self.kind.severity

    def render(self, language: Language) -> dict[str, Any]:
        """Return the fields of `FindingShape`."""
        words = format_values(self.values, language)
        return {
            "code": self.code,
            "type": f"/findings/{self.code}",
            "severity": self.severity,
            "pointer": self.pointer,
            "message": self.kind.sentences[self.about].render(language, words),
            "hint": self.kind.hint.render(language, words),
            "values": self.values,
        }


declare_words(
    {
        "components": Text("Komponen", "Components"),
        "budget_lines": Text("Baris anggaran", "Budget lines"),
        "spent": Text("Realisasi", "Spending"),
        "province": Text("provinsi", "province"),
        "regency": Text("kabupaten/kota", "regency"),
        "reduce_spending_burden": Text("pengurangan beban pengeluaran", "reducing the spending burden"),
        "raise_income": Text("peningkatan pendapatan", "raising income"),
        "reduce_poverty_pockets": Text("penurunan kantong kemiskinan", "reducing poverty pockets"),
        "cash": Text("uang tunai", "cash"),
        "goods": Text("barang", "goods"),
        "service": Text("jasa", "service"),
        "subsidy": Text("subsidi", "subsidy"),
        "access": Text("akses", "access"),
        "families": Text("keluarga", "families"),
        "persons": Text("orang", "persons"),
        "groups": Text("kelompok", "groups"),
        "villages": Text("desa", "villages"),
        "units": Text("unit", "units"),
    }
)
declare_words(
    {
        "direct": Text("langsung", "direct"),
        "indirect": Text("tidak langsung", "indirect"),
        "supporting": Text("penunjang", "supporting"),
    },
    form="component",
)


def format_values(values: dict[str, object], language: Language) -> dict[str, object]:
    """Return values with numbers as a sentence shows them: `1.250.000,5` in Indonesian, `1,250,000.5` in English."""
    return {
        name: value if name == "year" else _group_digits(value, language) for name, value in values.items()
    }


def _group_digits(value: object, language: Language) -> object:
    if isinstance(value, (list, tuple)):
        return [_group_digits(item, language) for item in value]
    if isinstance(value, (int, float)):
        grouped = f"{int(value) if value == int(value) else value:,}"
        return grouped.translate(str.maketrans(",.", ".,")) if language == "id" else grouped
    return value


_CODES = Text(
    "Permendagri 90/2019 dan pemutakhirannya: kelompok keempat kode adalah tingkat pemerintahan",
    "Permendagri 90/2019 and its updates: the fourth group of a code is the level of government",
)
_THREE_STRATEGIES = Text(
    "Inpres 4/2022, dilanjutkan Inpres 8/2025: tiga strategi",
    "Inpres 4/2022, continued by Inpres 8/2025: three strategies",
)
_DTSEN = Text(
    "DTSEN: desil 1–10, dimutakhirkan empat kali setahun", "DTSEN: deciles 1–10, updated four times a year"
)
_SPENDING = Text(
    "PMK 97/2023 pasal 3 menimbang belanja langsung, tidak langsung dan penunjang tanpa perjalanan dinas",
    "PMK 97/2023 art. 3 weighs direct, indirect and supporting spending without travel",
)

E01 = FindingKind(
    "E01",
    title=Text("Jumlah rincian tidak sama dengan alokasi", "Parts do not sum to the allocation"),
    says=Text(
        "{part} berjumlah Rp {sum}, sedangkan alokasinya Rp {allocation}",
        "{part} sum to Rp {sum}, but the allocation is Rp {allocation}",
    ),
    hint=Text("Perbaiki rincian atau alokasinya sampai sama.", "Correct the parts or the allocation."),
)
E02 = FindingKind(
    "E02",
    title=Text("Sub kegiatan tanpa kode yang berlaku", "Sub-activity without a code in force"),
    says=Text("Sub kegiatan “{subactivity}” belum berkode", "Sub-activity “{subactivity}” has no code yet"),
    retired=Text(
        "Kode {code} sudah dicabut dari nomenklatur {edition}; penggantinya: {successors}",
        "Nomenclature {edition} retired code {code}; its successors: {successors}",
    ),
    hint=Text("Pilih kodenya dari nomenklatur.", "Choose its code from the nomenclature."),
    source=_CODES,
)
E03 = FindingKind(
    "E03",
    title=Text("Kode tingkat pemerintahan lain", "Code of another level of government"),
    says=Text(
        "Kode {code} adalah kode {found}, sedangkan ini rencana {level}",
        "Code {code} is a code of a {found}, but this is the plan of a {level}",
    ),
    hint=Text("Pilih kode yang setara untuk {level}.", "Choose the corresponding code for a {level}."),
    source=_CODES,
)
E04 = FindingKind(
    "E04",
    title=Text("Lokasi di luar wilayah rencana", "Location outside the plan's region"),
    says=Text(
        "Lokasi {place} di luar wilayah rencana {region}",
        "Location {place} lies outside the plan's region {region}",
    ),
    hint=Text("Ganti dengan lokasi di dalam wilayah.", "Replace it by a location inside the region."),
)
E05 = FindingKind(
    "E05",
    title=Text("Rentang desil tidak sah", "Invalid decile range"),
    says=Text(
        "Rentang desil sasaran “{recipient}” tidak sah: {first} sampai {last}",
        "The decile range of recipients “{recipient}” is invalid: {first} to {last}",
    ),
    hint=Text(
        "Isi kedua batas, 1 sampai 10, mulai dari yang kecil, atau kosongkan keduanya.",
        "Give both ends, from 1 to 10, the smaller one first, or neither.",
    ),
    source=_DTSEN,
)
E07 = FindingKind(
    "E07",
    title=Text("Realisasi melebihi alokasi", "Spent more than allocated"),
    says=Text(
        "Realisasi Rp {value} melebihi alokasi Rp {allocation}",
        "Spending of Rp {value} exceeds the allocation of Rp {allocation}",
    ),
    spending=Text(
        "Realisasi dari “{what}” Rp {value} melebihi anggarannya Rp {allocation}",
        "Spending from “{what}” of Rp {value} exceeds its budget of Rp {allocation}",
    ),
    components=Text(
        "Realisasi aktivitas {what:component} Rp {value} melebihi anggarannya Rp {allocation}",
        "Spending on {what:component} activities of Rp {value} exceeds their budget of Rp {allocation}",
    ),
    drafted=Text(
        "Alokasi Rp {value} lebih kecil daripada realisasinya Rp {spent}",
        "The allocation of Rp {value} is less than the Rp {spent} already spent",
    ),
    drafted_spending=Text(
        "Anggaran dari “{what}” Rp {value} lebih kecil daripada realisasinya Rp {spent}",
        "The budget of Rp {value} from “{what}” is less than the Rp {spent} already spent",
    ),
    drafted_components=Text(
        "Anggaran aktivitas {what:component} Rp {value} lebih kecil daripada realisasinya Rp {spent}",
        "The budget of Rp {value} for {what:component} activities is less than the Rp {spent} already spent",
    ),
    hint=Text(
        "Periksa apakah realisasinya benar dan kumulatif, atau naikkan anggarannya.",
        "Check whether the spending is right and cumulative, or raise the budget.",
    ),
    into=("report", "action"),
)
E09 = FindingKind(
    "E09",
    title=Text("Tanpa penanggung jawab, strategi atau anggaran", "No lead agency, strategy or budget"),
    says=Text("Baris ini belum beranggaran", "The line has no budget"),
    lead_agency=Text("Baris ini belum memiliki perangkat daerah", "The line has no lead agency"),
    strategy=Text("Baris ini belum memiliki strategi", "The line has no strategy"),
    hint=Text(
        "Isi perangkat daerah, strategi, alokasi dan sumber pembiayaannya.",
        "Give the lead agency, strategy, allocation and funding source.",
    ),
)
W01 = FindingKind(
    "W01",
    title=Text("Tanpa lokasi tingkat desa", "No location at village level"),
    says=Text("Baris ini tidak memiliki lokasi tingkat desa", "The line has no location at village level"),
    hint=Text("Tambahkan desa atau kelurahannya.", "Add the villages."),
)
W02 = FindingKind(
    "W02",
    title=Text("Tanpa aktivitas langsung", "No direct activity"),
    says=Text(
        "Semua aktivitasnya tidak langsung atau penunjang, tidak ada yang langsung",
        "All its activities are indirect or supporting, none is direct",
    ),
    hint=Text(
        "Periksa kelas komponennya, atau jelaskan di catatan mengapa baris ini masuk RAT.",
        "Check the classes of its components, or explain in its note why the line is in the plan.",
    ),
    source=_SPENDING,
)
W03 = FindingKind(
    "W03",
    title=Text("Belanja penunjang terlalu besar", "Too much supporting spending"),
    says=Text(
        "Belanja penunjang Rp {supporting} adalah {percent} % dari alokasi rencana Rp {allocation}; "
        "seharusnya paling banyak {limit} %",
        "Supporting spending of Rp {supporting} is {percent} % of the plan's allocation of Rp {allocation}; "
        "it should be at most {limit} %",
    ),
    hint=Text(
        "Alihkan anggaran ke aktivitas yang sampai ke penerima manfaat.",
        "Move money to activities that reach the recipients.",
    ),
    source=_SPENDING,
    into=("plan",),
    thresholds=("supporting_percent",),
)
W04 = FindingKind(
    "W04",
    title=Text("Lokus belum dijangkau ketiga strategi", "Priority location not reached by all strategies"),
    says=Text(
        "Lokasi prioritas {place} belum dijangkau strategi: {missing}",
        "No line of these strategies reaches priority location {place}: {missing}",
    ),
    hint=Text(
        "Tambahkan desa ini ke lokasi baris strategi tersebut; kecamatan dan wilayah di atasnya tidak dihitung.",
        "Add this village to the locations of such a line; districts and regions above them do not count.",
    ),
    source=_THREE_STRATEGIES,
    into=("plan",),
)
W05 = FindingKind(
    "W05",
    title=Text("Sasaran melebihi keluarga yang berhak", "More recipients than eligible families"),
    says=Text(
        "Baris ini merencanakan {planned} keluarga, sedangkan sasaran lokasi prioritas {place} hanya {eligible}",
        "The line plans for {planned} families, but the priority locations {place} have only {eligible}",
    ),
    hint=Text(
        "Periksa jumlah sasaran, atau perbarui keluarga sasaran lokasi prioritas.",
        "Check the number, or update the target families of the priority locations.",
    ),
)
W06 = FindingKind(
    "W06",
    title=Text("Biaya per penerima menyimpang", "Cost per recipient out of line"),
    says=Text(
        "Biaya per penerima ({kind}) Rp {cost}, sedangkan median {lines} baris sub kegiatan {code} Rp {median}",
        "The cost per recipient ({kind}) is Rp {cost}, but the median of {lines} lines of sub-activity {code} is "
        "Rp {median}",
    ),
    hint=Text(
        "Periksa alokasi dan jumlah penerimanya, atau jelaskan perbedaannya di catatan.",
        "Check the allocation and the number of recipients, or explain the difference in the note.",
    ),
    source=Text(
        "Skor z termodifikasi (Iglewicz dan Hoaglin, 1993) di antara baris sub kegiatan yang sama",
        "Modified z-score (Iglewicz and Hoaglin, 1993) among lines of the same sub-activity",
    ),
    thresholds=("similar_lines", "z_score", "narrowest_percent"),
)
W07 = FindingKind(
    "W07",
    title=Text("Tumpang tindih", "Overlap"),
    says=Text(
        "“{first}” ({first_agency}) dan “{second}” ({second_agency}) memberi {benefit_forms} kepada {recipients} yang "
        "sama pada bulan {first_month}–{last_month}; tempat yang sama: {place_count} ({places})",
        "“{first}” ({first_agency}) and “{second}” ({second_agency}) give {benefit_forms} to the same {recipients} "
        "in months {first_month}–{last_month}; common places: {place_count} ({places})",
    ),
    hint=Text(
        "Gabungkan, bagi sasarannya, atau jelaskan mengapa keduanya saling melengkapi.",
        "Merge them, divide the recipients, or explain why the lines complement each other.",
    ),
)
W08 = FindingKind(
    "W08",
    title=Text("Perjalanan dinas sebagai belanja langsung", "Travel counted as direct spending"),
    says=Text(
        "Komponen perjalanan dinas berkelas belanja langsung", "A travel component has the class direct"
    ),
    hint=Text("Ubah kelas komponennya.", "Change the component's class."),
    source=_SPENDING,
)
W09 = FindingKind(
    "W09",
    title=Text("Data sasaran terlalu tua", "Recipient data too old"),
    says=Text(
        "Data sasaran {period} lebih tua dari {limit} triwulan sebelum {start}",
        "The recipient data of {period} is more than {limit} quarters older than {start}",
    ),
    hint=Text("Perbarui dengan DTSEN terbaru.", "Update it from the latest DTSEN."),
    source=_DTSEN,
    into=("action", "plan"),
    thresholds=("data_quarters",),
)
W10 = FindingKind(
    "W10",
    title=Text(
        "Tonggak tanpa tenggat dalam tahun rencana", "Milestone without a due date in the plan's year"
    ),
    says=Text(
        "Tonggak “{milestone}” tidak bertenggat, atau tenggatnya setelah tahun {year}",
        "Milestone “{milestone}” has no due date, or one after {year}",
    ),
    hint=Text("Isi tenggat sampai akhir tahun rencana.", "Give a due date by the end of the plan's year."),
)
W13 = FindingKind(
    "W13",
    title=Text("Jadwal di luar triwulan baris", "Schedule outside the quarters of the line"),
    says=Text(
        "Bulan {month} di luar masa berlaku baris ini, {start} sampai {end}",
        "Month {month} lies outside the quarters of the line, {start} to {end}",
    ),
    never_due=Text(
        "Jadwal baris ini memuat bulan {month}, padahal baris ini tidak berlaku pada satu triwulan pun",
        "The schedule of the line has month {month}, but a report on it is due in no quarter",
    ),
    hint=Text(
        "Sesuaikan jadwalnya dengan triwulan saat baris ini mulai dan berakhir.",
        "Adjust the schedule to the quarters in which the line starts and ends.",
    ),
)
