"""The sheet of a book that has a table."""

from collections.abc import Callable, Sequence

from app.kit.files.books import Book, Sheet
from app.kit.files.cells import take_results
from app.kit.files.unreadable import UnreadableFile, refuse_file
from app.kit.problems import FieldError, Kind
from app.kit.tables.headers import TableHeader
from app.kit.tables.templates import is_guide

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
    propose: Callable[[Sheet], TableHeader | None] | None = None,
    has_choices: bool = False,
    allowed: Sequence[str] | None = None,
) -> tuple[Sheet, TableHeader, list[FieldError]]:
    """Return the named sheet, else the first visible one with the table, its header, and a warning for each other.

    Formulas have their stored results. `has_choices`: the caller chose columns, whose headings may also be words of
    another sheet. Raises UnreadableFile, with `refusal` and what `propose` returns if no sheet has the table.
    """
    sheets: list[Sheet] = []
    failures: list[UnreadableFile] = []
    for candidate in (book.visible or book.names) if name is None else (name,):
        try:
            sheets.append(take_results(book.sheet(candidate)))
        except UnreadableFile as failure:
            if name is not None:
                raise
            failures.append(failure)  # another sheet may have the table
    tables = [
        (sheet, header) for sheet in sheets if not is_guide(sheet) and (header := find(sheet)) is not None
    ]
    if not tables:
        problem = refuse_file(refusal, book.filename, name, allowed=allowed)
        raise failures[0] if failures else _add_proposal(problem, sheets, propose)
    tables.sort(key=lambda table: any(error.pointer for error in table[1].errors))
    others = [
        FieldError(OTHER_SHEETS, cell=sheet.cell(header.first_row, 0), value=sheet.name)
        for sheet, header in tables[1:]
        if not (has_choices and header.is_unclear)
    ]
    return *tables[0], others


def _add_proposal(
    problem: UnreadableFile, sheets: Sequence[Sheet], propose: Callable[[Sheet], TableHeader | None] | None
) -> UnreadableFile:
    """Return the problem with the choices of columns for the likeliest header."""
    headers = [header for sheet in sheets if propose and (header := propose(sheet)) is not None]
    if headers:
        likeliest = max(headers, key=lambda header: sum(item.field is not None for item in header.proposal))
        problem.columns = likeliest.proposal
        problem.errors += tuple(error for error in likeliest.errors if error.pointer)
    return problem
