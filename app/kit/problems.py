"""One error shape for every failure (RFC 9457): a class with a status, a code and two texts.

Each error of a field has a declared `Kind`; `/problems/{code}` documents all codes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, ClassVar, NamedTuple, TypedDict, TypeVar

from pydantic import BaseModel, Field

from app.extras import is_installed, package_of
from app.kit.wording import Language, Text, cut_text

Value = TypeVar("Value")

MOST_ERRORS = 100
"""Maximum number of errors that a reply lists."""
MOST_CELL_ERRORS = 1_000
"""Maximum number of errors in cells that a reply lists: a person corrects a whole workbook at once."""


class Kind:
    """One way in which a field, a parameter, a header or a cell can be wrong."""

    known: ClassVar[dict[str, "Kind"]] = {}

    def __init__(self, code: str, id: str, en: str) -> None:
        if code in Kind.known:
            raise ValueError(f"error kind {code} is declared twice")
        self.code, self.text = code, Text(id, en)
        Kind.known[code] = self


class Cell(NamedTuple):
    """A place in a workbook: sheet name, row from 1, column letter."""

    sheet: str
    row: int
    column: str


class ErrorPlace(TypedDict, total=False):
    """The place of an error: one of these fields."""

    pointer: str
    parameter: str
    header: str
    cell: Cell


class Candidate(NamedTuple):
    """An item that a value may mean, for a person to choose from."""

    code: str
    name: str
    level: str | None = None
    within: str | None = None
    note: Text | None = None

    @property
    def label(self) -> str:
        return f"{self.code} {self.name}"

    def render(self, language: Language) -> "CandidateShape":
        note = self.note.render(language, {}) if self.note else None
        return CandidateShape(**{**self._asdict(), "note": note})


@dataclass(frozen=True)
class FieldError:
    """An error at one place of the input: `pointer` into the body, `parameter` of query or path, `header`, or `cell`.

    An empty pointer is the whole request. The kind's text takes `values`, `value`, `allowed` and `nearest`.
    """

    kind: Kind
    pointer: str | None = None
    parameter: str | None = None
    header: str | None = None
    cell: Cell | None = None
    value: object = None
    allowed: object = None
    nearest: Sequence[str] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    candidates: Sequence[Candidate] = ()
    """The items that the value may mean; their labels are `nearest` if there is no other."""
    resolution: "ResolutionShape | None" = None
    """The choice that settles the error once it has a code."""

    def render(self, language: Language) -> "ErrorShape":
        near = list(self.nearest) or [candidate.label for candidate in self.candidates]
        values = {"value": self.value, "allowed": self.allowed, "nearest": near}
        return ErrorShape(
            pointer=self.pointer and cut_text(self.pointer),
            parameter=self.parameter and cut_text(self.parameter),
            header=self.header,
            cell=CellShape(**self.cell._asdict()) if self.cell else None,
            code=self.kind.code,
            message=self.kind.text.render(language, {**values, **self.values}),
            value=_shorten(self.value),
            allowed=self.allowed,
            nearest=near or None,
            candidates=[candidate.render(language) for candidate in self.candidates] or None,
            resolution=self.resolution,
        )


def _shorten(value: object) -> object:
    """Return a value that a reply can repeat: short, and valid as JSON."""
    if value is None or (isinstance(value, (bool, int)) and abs(value) < 2**63):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    text = str(value).encode(errors="backslashreplace").decode()
    return text if len(text) <= 200 else text[:197] + "…"


class CellShape(BaseModel):
    """A cell of a workbook."""

    sheet: str
    row: int = Field(description="Row number as the spreadsheet shows it, from 1.")
    column: str = Field(description="Column letter.")


class CandidateShape(BaseModel):
    """An item that a value may mean."""

    code: str
    name: str
    level: str | None = Field(default=None, description="Level of a region.")
    within: str | None = Field(default=None, description="Name of the region or activity around it.")
    note: str | None = Field(default=None, description="Peculiarity, in the language of the reply.")


class ResolutionShape(BaseModel):
    """A choice for a cell, ready to send back in `resolutions` once it has a code."""

    column: str
    value: str
    row: int | None = Field(
        default=None, description="Null if the value means one thing in the whole file; else only this row."
    )
    code: str | None = None


class ColumnShape(BaseModel):
    """A field for a column of a file, ready to send back in `columns`."""

    heading: str = Field(
        description="A heading of the column, or all of them from top to bottom, joined by ` / `."
    )
    row: int | None = Field(
        default=None, description="Row of the heading, where its text is in several rows."
    )
    field: str | None = Field(
        default=None, description="Key of the field; missing: the import skips the column."
    )


class ErrorShape(BaseModel):
    """Error at one place of the input."""

    pointer: str | None = Field(
        default=None, description="JSON Pointer into the request body; empty for the whole request."
    )
    parameter: str | None = Field(default=None, description="Name of the query or path parameter.")
    header: str | None = Field(default=None, description="Name of the request header.")
    cell: CellShape | None = None
    code: str = Field(description="Stable code of this kind of error.")
    message: str = Field(description="Sentence for people, in the language of the reply.")
    value: object = Field(default=None, description="Value received.")
    allowed: object = Field(default=None, description="Allowed values, their bounds or their pattern.")
    nearest: list[str] | None = Field(default=None, description="Nearest allowed values, best first.")
    candidates: list[CandidateShape] | None = Field(
        default=None, description="What the value of a cell may mean, best first."
    )
    resolution: ResolutionShape | None = Field(
        default=None,
        description="The entry of `resolutions` that settles the error: add the code of a candidate.",
    )


class ProblemShape(BaseModel):
    """Failure of a request (RFC 9457)."""

    type: str = Field(description="Address that documents the code.")
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable code; never translated.")
    instance: str = Field(description="Path of the request.")
    request_id: str | None = Field(default=None, description="Quote it when you ask for help.")
    errors: list[ErrorShape] | None = Field(default=None, description="Errors by place.")
    columns: list[ColumnShape] | None = Field(
        default=None,
        description="Proposed fields of a file's columns: correct them and send them in `columns`.",
    )


class Problem(Exception):
    """A failure that the client can read. Subclasses set `status`, `code`, `title` and `detail`."""

    known: ClassVar[dict[str, type["Problem"]]] = {}
    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[Text]
    detail: ClassVar[Text]
    is_explained_by_error: ClassVar[bool] = False
    """True takes the message of its first error, if any, as its detail."""

    def __init_subclass__(cls) -> None:
        if cls.code in Problem.known:
            raise ValueError(f"problem {cls.code} is declared twice")
        Problem.known[cls.code] = cls

    def __init__(
        self,
        *,
        errors: Iterable[FieldError] = (),
        columns: Sequence[ColumnShape] = (),
        headers: dict[str, str] | None = None,
        **values: object,
    ) -> None:
        listed = tuple(islice(errors, MOST_CELL_ERRORS))
        self.errors = listed if any(error.cell for error in listed) else listed[:MOST_ERRORS]
        self.columns = columns
        self.headers = headers or {}
        self.values = values
        super().__init__(self.code, values)

    def __str__(self) -> str:
        return self._render_detail("en")

    def _render_detail(self, language: Language) -> str:
        if self.is_explained_by_error and self.errors:
            return self.errors[0].render(language).message
        return self.detail.render(language, self.values)

    def render(self, language: Language, *, base: str, instance: str, request_id: str | None) -> ProblemShape:
        return ProblemShape(
            type=f"{base}/problems/{self.code}",
            title=self.title.render(language, self.values),
            status=self.status,
            detail=self._render_detail(language),
            code=self.code,
            instance=instance,
            request_id=request_id,
            errors=[e.render(language) for e in self.errors] or None,
            columns=list(self.columns) or None,
        )


class BadRequest(Problem):
    status = 400
    code = "bad_request"
    title = Text("Permintaan keliru", "Bad request")
    detail = Text(
        "Ada bagian permintaan yang keliru; rinciannya di bawah.",
        "Part of the request is wrong; details below.",
    )


class UnknownParameter(Problem):
    status = 400
    code = "unknown_parameter"
    title = Text("Parameter tidak dikenal", "Unknown parameter")
    detail = Text(
        "Alamat ini tidak mengenal parameter “{names}”.", "This address has no parameter “{names}”."
    )


class Unauthenticated(Problem):
    status = 401
    code = "unauthenticated"
    title = Text("Perlu token", "Token required")
    detail = Text(
        "Kirim token yang berlaku: Authorization: Bearer rata_…",
        "Send a valid token: Authorization: Bearer rata_…",
    )


class Forbidden(Problem):
    status = 403
    code = "forbidden"
    title = Text("Tidak berwenang", "Not allowed")
    detail = Text(
        "Peran Anda atau token Anda tidak mengizinkan ini; rinciannya di bawah.",
        "Your role or your token does not allow this; details below.",
    )
    is_explained_by_error = True


class NotFound(Problem):
    status = 404
    code = "not_found"
    title = Text("Tidak ditemukan", "Not found")
    detail = Text(
        "Tidak ada yang dapat Anda lihat di alamat ini.", "There is nothing you can see at this address."
    )


class MethodNotAllowed(Problem):
    status = 405
    code = "method_not_allowed"
    title = Text("Metode tidak tersedia", "Method not allowed")
    detail = Text("Metode ini tidak tersedia di alamat ini.", "This address does not have this method.")
    is_explained_by_error = True


class NotAcceptable(Problem):
    status = 406
    code = "not_acceptable"
    title = Text("Format tidak tersedia", "Not acceptable")
    detail = Text(
        "Alamat ini tidak memiliki format yang Anda minta.",
        "This address does not have the requested format.",
    )
    is_explained_by_error = True


class Conflict(Problem):
    status = 409
    code = "conflict"
    title = Text("Bertentangan", "Conflict")
    detail = Text("Data bertentangan dengan data yang sudah ada.", "The data conflicts with existing data.")


class PreconditionFailed(Problem):
    status = 412
    code = "precondition_failed"
    title = Text("Syarat tidak terpenuhi", "Precondition failed")
    detail = Text(
        "Data ini sudah diubah sejak Anda membacanya. Ambil ulang, gabungkan perubahan Anda, lalu kirim lagi.",
        "This has changed since you read it. Fetch it again, merge your change, and send it again.",
    )
    is_explained_by_error = True


class TooLarge(Problem):
    status = 413
    code = "too_large"
    title = Text("Terlalu besar", "Too large")
    detail = Text("Isi permintaan paling banyak {allowed}.", "A request body has at most {allowed}.")


class UnsupportedMedia(Problem):
    status = 415
    code = "unsupported_media_type"
    title = Text("Jenis isi tidak didukung", "Unsupported media type")
    detail = Text(
        "Alamat ini tidak menerima jenis isi yang Anda kirim.",
        "This address does not take a body of this type.",
    )
    is_explained_by_error = True


class Invalid(Problem):
    status = 422
    code = "invalid"
    title = Text("Isi tidak sah", "Invalid input")
    detail = Text(
        "Ada isian yang harus diperbaiki; rinciannya di bawah. Tidak ada yang disimpan.",
        "Some input must be corrected; details below. Nothing was stored.",
    )


def require_found(value: Value | None) -> Value:
    """Return the value. Raises NotFound if it is None."""
    if value is None:
        raise NotFound()
    return value


def refuse(errors: Sequence[FieldError], columns: Sequence[ColumnShape] = ()) -> None:
    """Raise Invalid, with proposed fields of columns, if there are errors."""
    if errors:
        raise Invalid(errors=errors, columns=columns)


class PreconditionRequired(Problem):
    status = 428
    code = "precondition_required"
    title = Text("Perlu If-Match", "If-Match required")
    detail = Text(
        "Data ini sudah ada. Kirim If-Match dengan ETag yang Anda baca, atau “*” untuk menimpa.",
        "This exists already. Send If-Match with the ETag that you read, or “*” to overwrite.",
    )


class RateLimited(Problem):
    status = 429
    code = "rate_limited"
    title = Text("Terlalu banyak permintaan", "Too many requests")
    detail = Text(
        "Jatah Anda, {quota} permintaan {budget:budget} per menit, sudah habis. Coba lagi dalam {seconds} detik.",
        "Your quota of {quota} {budget:budget} requests a minute is used up. Try again in {seconds} seconds.",
    )


class TooManyFailures(Problem):
    status = 429
    code = "too_many_failures"
    title = Text("Terlalu banyak token yang tidak berlaku", "Too many invalid tokens")
    detail = Text(
        "Dalam satu menit alamat Anda mengirim {quota} token yang tidak berlaku. Periksa token Anda, lalu coba lagi "
        "dalam {seconds} detik.",
        "Your address sent {quota} invalid tokens within a minute. Check your token, then try again in {seconds} "
        "seconds.",
    )


class ServerError(Problem):
    status = 500
    code = "server_error"
    title = Text("Kesalahan server", "Server error")
    detail = Text(
        "Ada kesalahan pada layanan ini. Sebutkan nomor permintaan saat melapor.",
        "This service has a fault. Quote the request number when you report it.",
    )


class NotInstalled(Problem):
    status = 501
    code = "not_installed"
    title = Text("Tidak terpasang", "Not installed")
    detail = Text(
        "Layanan ini dipasang tanpa “{package}”. Minta operator layanan memasangnya.",
        "This service lacks “{package}”. Ask its operator to install it.",
    )


def require_extra(extra: str) -> None:
    """Raise NotInstalled if a reply needs an extra that is not installed."""
    if not is_installed(extra):
        raise NotInstalled(package=package_of(extra))


class Busy(Problem):
    status = 503
    code = "busy"
    title = Text("Sedang sibuk", "Busy")
    detail = Text("Coba lagi sesaat lagi.", "Try again in a moment.")
