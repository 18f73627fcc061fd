"""Options of a call that reads a table, and the rows that it skipped."""

from typing import Literal

from pydantic import BaseModel, Field

Doubt = Literal["hidden", "struck", "repeated"]


class TableOptions(BaseModel):
    """The sheet to read, and what to do with rows that a person may not have meant."""

    sheet: str | None = Field(
        default=None, max_length=100, description="Sheet; the first with the header if not given."
    )
    hidden_rows: Literal["ask", "skip", "take"] = Field(
        default="ask", description="Lines in hidden or filtered rows. `ask` refuses them by cell."
    )
    struck_rows: Literal["ask", "skip", "take"] = Field(
        default="ask", description="Lines that are struck out. `ask` refuses them by cell."
    )


class LineOptions(TableOptions):
    """The options of a table whose rows may equal one another."""

    repeated_rows: Literal["take", "skip", "refuse"] = Field(
        default="take", description="Lines that equal an earlier one, which are named in each case."
    )


class SkippedRows(BaseModel):
    """Rows of a file that the import did not read, as its query says."""

    reason: Doubt
    rows: list[int] = Field(description="Row numbers as the spreadsheet shows them.")
