"""The sheet of a book that has a table."""

from collections.abc import Callable, Sequence

from app.kit.files.books import Book, Sheet
from app.kit.files.cells import take_results
from app.kit.files.unreadable import UnreadableFile, refuse_file
from app.kit.problems import FieldError, Kind
from app.kit.tables.headers import TableHeader

NO_TABLE = Kind(
    "no_table",
    "Tidak ada lembar dengan judul kolom tabel ini, yaitu {allowed}.",
    "No sheet has the header of this table: {allowed}.",
)
OTHER_SHEETS = Kind(
    "other_sheets",
    "Lembar “{value}” juga memuat tabel ini, tetapi tidak dibaca. Kirim tersendiri dengan namanya.",
    "Sheet “{value}” has such a table too, but was not read. Send it separately, by its name.",
)


def choose_table(
    book: Book,
    name: str | None,
    find: Callable[[Sheet], TableHeader | None],
    refusal: Kind,
    *,
    allowed: Sequence[str] | None = None,
) -> tuple[Sheet, TableHeader, list[FieldError]]:
    """Return the named sheet, else the first visible one with the table, its header, and a warning for each other.

    Formulas have their stored results. Raises UnreadableFile, with `refusal` if no sheet has the table.
    """
    tables: list[tuple[Sheet, TableHeader]] = []
    failures: list[UnreadableFile] = []
    for candidate in (book.visible or book.names) if name is None else (name,):
        try:
            sheet = take_results(book.sheet(candidate))
        except UnreadableFile as failure:
            if name is not None:
                raise
            failures.append(failure)  # another sheet may have the table
            continue
        if (header := find(sheet)) is not None:
            tables.append((sheet, header))
    if not tables:
        raise failures[0] if failures else refuse_file(refusal, book.filename, name, allowed=allowed)
    others = [FieldError(OTHER_SHEETS, cell=s.cell(h.first_row, 0), value=s.name) for s, h in tables[1:]]
    return *tables[0], others
