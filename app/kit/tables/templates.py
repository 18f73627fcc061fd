"""Templates: an empty table with its headings, choices in cells, and a sheet that explains each column."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import IO, Any

from app.kit.files.books import Sheet
from app.kit.files.new_workbooks import TEXT, SheetCell, SheetColumn, create_workbook, write_table
from app.kit.wording import Language, Text

_LAST_ROW = 10_000
"""Last row whose cells offer choices."""
_SHEET = Text("Isian", "Entries")
_GUIDE = Text("Petunjuk", "Guide")
_GUIDE_HEADINGS = (
    (Text("Kolom", "Column"), 36),
    (Text("Isi", "Content"), 60),
    (Text("Contoh", "Example"), 36),
    (Text("Pilihan", "Allowed values"), 48),
    (Text("Wajib", "Required"), 10),
)
_IS_REQUIRED = {True: Text("Ya", "Yes"), False: Text("Tidak", "No")}


@dataclass(frozen=True)
class TemplateColumn:
    """A column of a template: heading, content, example, allowed values, width and number format of its cells."""

    heading: str
    content: Text
    example: str
    allowed: tuple[str, ...] = ()
    width: float = 18
    number_format: str = TEXT
    is_required: bool = False


def write_template(
    file: IO[bytes],
    title: str,
    columns: Sequence[TemplateColumn],
    rows: Iterable[Sequence[SheetCell]],
    language: Language,
) -> None:
    """Write the workbook of a template, with rows that are filled in advance."""
    headings = [SheetColumn(column.heading, column.width, column.number_format) for column in columns]
    with create_workbook(file, title) as book:
        sheet, first = write_table(book, _SHEET.render(language, {}), [title], headings, rows)
        add_choices(sheet, first, columns)
        write_guide(book, columns, language)


def add_choices(sheet: Any, first_row: int, columns: Sequence[TemplateColumn]) -> None:
    """Let the cells of columns with few allowed values offer them; other values stay possible."""
    for c, column in enumerate(columns):
        if column.allowed:
            choices = {"validate": "list", "source": list(column.allowed), "error_type": "information"}
            sheet.data_validation(first_row, c, _LAST_ROW, c, choices)


def is_guide(sheet: Sheet) -> bool:
    """Return whether a sheet is the guide of a template, whose examples could be taken for a table."""
    guides = [[text.id for text, _ in _GUIDE_HEADINGS], [text.en for text, _ in _GUIDE_HEADINGS]]
    return any(list(row) in guides for row in sheet.rows[:3])


def write_guide(book: Any, columns: Sequence[TemplateColumn], language: Language) -> None:
    """Add the sheet that explains each column."""
    rows = (
        [
            column.heading,
            column.content.render(language, {}),
            column.example,
            "; ".join(column.allowed),
            _IS_REQUIRED[column.is_required].render(language, {}),
        ]
        for column in columns
    )
    headings = [SheetColumn(text.render(language, {}), width) for text, width in _GUIDE_HEADINGS]
    title = _GUIDE.render(language, {})
    write_table(book, title, [title], headings, rows)
