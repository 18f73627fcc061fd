"""Options of a call that reads a table, the rows that it skipped, and the signs of a CSV that a call writes."""

from typing import Literal

from pydantic import BaseModel, Field

from app.kit.files.delimited import Dialect
from app.kit.problems import BadRequest, FieldError, Kind
from app.kit.wording import Text, declare_words

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


CsvDialect = Literal["spreadsheet", "machine"]
_SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t"}
_DECIMALS = {"point": ".", "comma": ","}
declare_words(
    {
        "comma": Text("koma", "comma"),
        "semicolon": Text("titik koma", "semicolon"),
        "tab": Text("tab", "tab"),
        "point": Text("titik", "point"),
    },
    form="sign",
)
separator_is_decimal = Kind(
    "separator_is_decimal",
    id="Koma sudah menjadi tanda desimal. Pilih {allowed:sign} sebagai pemisah.",
    en="The comma is the decimal sign already. Choose {allowed:sign} as separator.",
)
fixed_for_programs = Kind(
    "fixed_for_programs",
    id="CSV untuk program selalu memakai {allowed:sign} di sini.",
    en="CSV for programs always has the {allowed:sign} here.",
)


class CsvOptions(BaseModel):
    """Signs of a CSV."""

    dialect: CsvDialect = Field(
        default="spreadsheet",
        description="`spreadsheet`: byte order mark, headings, and an apostrophe before what could begin a formula. "
        "`machine`: RFC 4180 without any of that.",
    )
    separator: Literal["comma", "semicolon", "tab"] | None = Field(
        default=None, description="Default: `comma`; with `decimal=comma`: `semicolon`."
    )
    decimal: Literal["point", "comma"] = Field(
        default="point", description="Decimal sign; Indonesian settings of spreadsheets have the comma."
    )

    def choose_signs(self) -> Dialect:
        """Return the signs. Raises BadRequest if they do not fit together."""
        separator = self.separator or ("semicolon" if self.decimal == "comma" else "comma")
        errors = []
        if self.dialect == "machine":
            errors = [
                FieldError(fixed_for_programs, parameter=name, value=value, allowed=allowed)
                for name, value, allowed in (
                    ("separator", separator, "comma"),
                    ("decimal", self.decimal, "point"),
                )
                if value != allowed and name in self.model_fields_set
            ]
        elif separator == self.decimal:
            allowed = ["semicolon", "tab"]
            errors = [
                FieldError(separator_is_decimal, parameter="separator", value=separator, allowed=allowed)
            ]
        if errors:
            raise BadRequest(errors=errors)
        return Dialect(_SEPARATORS[separator], _DECIMALS[self.decimal], is_machine=self.dialect == "machine")
