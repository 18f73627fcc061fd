"""Causes for which the service refuses a whole file, each in words that name the remedy."""

from app.kit.problems import FieldError, Kind, Problem
from app.kit.wording import Text


class UnreadableFile(Problem):
    status = 422
    code = "unreadable_file"
    title = Text("Berkas tidak dapat dibaca", "The file cannot be read")
    detail = Text(
        "Berkas “{filename}” tidak dapat dibaca; rinciannya di bawah. Tidak ada yang disimpan.",
        "The file “{filename}” cannot be read; details below. Nothing was stored.",
    )


EMPTY_FILE = Kind(
    "empty_file",
    "Berkas kosong. Kirim berkas yang berisi tabel.",
    "The file is empty. Send one with a table.",
)
PASSWORD_PROTECTED = Kind(
    "password_protected",
    "Buku kerja dilindungi kata sandi. Hapus kata sandinya (Berkas › Info › Proteksi), simpan, kirim lagi.",
    "The workbook is protected by a password. Remove it (File › Info › Protect), save, and send again.",
)
OLD_WORKBOOK = Kind(
    "old_workbook",
    "Format berkas ini ({value}) tidak didukung. Buka lalu simpan sebagai Excel Workbook (.xlsx).",
    "The format of this file ({value}) is not supported. Open it and save it as an Excel Workbook (.xlsx).",
)
NOT_A_WORKBOOK = Kind(
    "not_a_workbook",
    "Berkas ini berisi {value}, bukan buku kerja Excel. Mengganti akhiran nama tidak mengubah isinya.",
    "This file contains {value}, not an Excel workbook. Renaming a file does not change its content.",
)
NOT_A_TABLE = Kind(
    "not_a_table",
    "Isi berkas bukan teks, jadi bukan CSV. Kirim .xlsx atau CSV.",
    "The content is not text, so it is not CSV. Send .xlsx or CSV.",
)
UNKNOWN_SHEET = Kind(
    "unknown_sheet",
    "Lembar “{value}” tidak ada. Pilih salah satu lembar ini: “{allowed}”.",
    "There is no sheet “{value}”. Choose one of these sheets: “{allowed}”.",
)
DAMAGED_WORKBOOK = Kind(
    "damaged_workbook",
    "Buku kerja rusak atau terpotong. Buka di Excel, simpan ulang, kirim lagi.",
    "The workbook is damaged or cut short. Open it in Excel, save it again, and send it again.",
)
ARCHIVE_BOMB = Kind(
    "archive_bomb",
    "Isi berkas jauh lebih besar daripada berkasnya. Salin tabelnya saja ke buku kerja baru.",
    "The content is far larger than the file. Copy only the table to a new workbook.",
)
XML_ENTITIES = Kind(
    "xml_entities",
    "Buku kerja memuat deklarasi XML yang tidak diizinkan. Salin tabelnya ke buku kerja baru.",
    "The workbook has XML declarations that are not allowed. Copy the table to a new workbook.",
)
TOO_MANY_CELLS = Kind(
    "too_many_cells",
    "Lembar melampaui {rows} baris atau {columns} kolom yang terisi. Kirim tabelnya saja.",
    "The sheet has more than {rows} rows or {columns} columns in use. Send only the table.",
)
DAMAGED_CSV = Kind(
    "damaged_csv",
    "CSV rusak pada baris {value}: tanda kutip tidak ditutup atau sel terlalu panjang.",
    "The CSV is damaged in row {value}: a quote is not closed, or a cell is too long.",
)


def refuse_file(kind: Kind, filename: str, value: object = None, **values: object) -> UnreadableFile:
    """Return the problem for one cause, which points at the uploaded file."""
    error = FieldError(kind, pointer="/file", value=value, allowed=values.pop("allowed", None), values=values)
    return UnreadableFile(errors=[error], filename=filename)
