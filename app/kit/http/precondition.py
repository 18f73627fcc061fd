"""The precondition of a write, as a value: `If-Match` and `If-None-Match` (RFC 9110, section 13).

`If-Match` compares the part of an ETag before the dash: the version of a resource, or the state of a list's journal
chains. The check parses the headers after it has checked the rights, so a malformed one reveals nothing.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeVar

from sqlmodel import Session
from starlette.requests import Request

from app.kit.database.journal import Versioned, state_hash
from app.kit.http.etags import STATE_LENGTH
from app.kit.problems import (
    BadRequest,
    FieldError,
    Kind,
    PreconditionFailed,
    PreconditionRequired,
    require_found,
)

malformed_tag = Kind(
    "malformed_etag",
    id="“{value}” bukan tanda versi. Kirim tanda versi yang Anda terima saat membaca data ini, "
    'misalnya "7", atau * untuk menimpa.',
    en="“{value}” is not an entity tag. Send the ETag that you got when you read this, such as "
    '"7", or * to overwrite.',
)
only_create = Kind(
    "only_create",
    id="Syarat “{value}” tidak berlaku untuk penulisan. Kirim “{allowed}” untuk hanya membuat data yang belum ada.",
    en="“{value}” is no precondition of a write. Send “{allowed}” to create only what does not exist.",
)
nothing_to_match = Kind(
    "nothing_to_match",
    id="Tidak ada data di alamat ini, sehingga syarat versi “{value}” tidak dapat terpenuhi. Untuk membuat data baru, "
    "kirim lagi tanpa syarat itu.",
    en="There is nothing at this address, so `If-Match: {value}` cannot match. To create it, send again without "
    "`If-Match`.",
)
exists_already = Kind(
    "exists_already",
    id="Data di alamat ini sudah ada, sedangkan Anda meminta agar data hanya dibuat bila belum ada. Untuk mengubahnya, "
    "ambil data itu dan kirim perubahan dengan tanda versinya.",
    en="There is something at this address already, and `If-None-Match: *` only creates. To change it, fetch it and "
    "send its ETag as `If-Match`.",
)
stale_version = Kind(
    "stale_version",
    id="Data ini sudah diubah sejak Anda membacanya: Anda mengirim versi {sent}, yang berlaku versi {current}. Ambil "
    "ulang, gabungkan perubahan Anda, lalu kirim lagi.",
    en="This has changed since you read it: you sent version {sent}, and version {current} is in force. Fetch it "
    "again, merge your change, and send it again.",
)
stale_list = Kind(
    "stale_list",
    id="Daftar ini sudah berubah sejak Anda membacanya. Ambil ulang, gabungkan perubahan Anda, lalu kirim lagi.",
    en="This list has changed since you read it. Fetch it again, merge your change, and send it again.",
)

_TAG = re.compile(r'^(?:W/)?"([^"]*)"$')

Existing = TypeVar("Existing", bound=Versioned)


@dataclass(frozen=True, slots=True)
class Precondition:
    """The state that the client expects to change."""

    match: str | None
    """`If-Match` as sent."""
    none_match: str | None
    """`If-None-Match` as sent."""
    is_of_list: bool = False
    """True for the ETag of a list: a write of many resources."""
    is_required: bool = True
    """True refuses a write without a condition to an existing resource (428)."""

    @classmethod
    def of(cls, request: Request, *, is_of_list: bool = False) -> "Precondition":
        """Return the precondition of a request."""
        headers = request.headers
        return cls(headers.get("if-match"), headers.get("if-none-match"), is_of_list)

    def check(self, version: int | None) -> None:
        """Compare the precondition with the current version of a resource; None: it does not exist.

        Raises PreconditionFailed (412) if the version differs, PreconditionRequired (428) if the resource exists and
        the request has no condition, BadRequest if a header is malformed.
        """
        heads = self._read_heads(exists=version is not None)
        if heads is not None and version is None:
            raise self._make_problem(nothing_to_match)
        if heads and version not in map(_parse_version, heads):
            raise self._make_problem(stale_version, sent=", ".join(heads), current=version)

    def check_existing(self, stored: Existing | None) -> Existing:
        """Return the row that the write changes. Raises NotFound if it is None, and as `check` does."""
        existing = require_found(stored)
        self.check(existing.version)
        return existing

    def check_many(self, session: Session, versions: Collection[int], *chains: str) -> None:
        """Check a write of many against the state of the chains, or a write of one against its version.

        `versions` are those of the existing rows. Raises as `check` does.
        """
        if not self.is_of_list:
            self.check(next(iter(versions), None))
        elif self.is_required:
            self.check_state(state_hash(session, *chains), exists=bool(versions))

    def check_state(self, state: str, *, exists: bool) -> None:
        """Check a write of many against the state of a list. Raises as `check` does."""
        heads = self._read_heads(exists=exists)
        if heads and state[:STATE_LENGTH] not in heads:
            raise self._make_problem(stale_list)

    def _read_heads(self, *, exists: bool) -> list[str] | None:
        """Return the versions or states in `If-Match`: empty for `*`, None if there is nothing to compare."""
        if not self.is_required:
            return None
        if self.none_match is not None and self.none_match.strip() != "*":
            error = FieldError(only_create, header="If-None-Match", value=self.none_match, allowed="*")
            raise BadRequest(errors=[error])
        if exists and self.none_match is not None:
            raise PreconditionFailed(errors=[FieldError(exists_already, header="If-None-Match", value="*")])
        if exists and self.match is None:
            raise PreconditionRequired()
        if self.match is None:
            return None
        return [_parse_head(tag) for tag in self.match.split(",")] if self.match.strip() != "*" else []

    def _make_problem(self, kind: Kind, **values: object) -> PreconditionFailed:
        return PreconditionFailed(
            errors=[FieldError(kind, header="If-Match", value=self.match, values=values)]
        )


UNCONDITIONAL = Precondition(None, None, is_required=False)
"""The precondition of a write outside a request, and of one after its check."""


def _parse_head(tag: str) -> str:
    match = _TAG.match(tag.strip())
    if not match:
        raise BadRequest(errors=[FieldError(malformed_tag, header="If-Match", value=tag, allowed='"7", *')])
    return match[1].partition("-")[0]


def _parse_version(head: str) -> int | None:
    return int(head) if head.isdecimal() and len(head) < 19 else None
