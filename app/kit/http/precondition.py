"""The conditions that a write bears, as a value: `If-Match` and `If-None-Match` (RFC 9110, section 13).

`If-Match` of one resource compares its version alone, of a list the state of its journal chains: the part of their
tags before the dash. The fields are read when they are checked, after rights: a malformed one reveals nothing.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeVar

from sqlmodel import Session
from starlette.requests import Request

from app.kit.database.journal import Versioned, stamp
from app.kit.http.etags import STATE
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
    id="{value} bukan tanda versi. Kirim tanda versi yang Anda terima saat membaca data ini, seperti {allowed}.",
    en="{value} is not an entity tag. Send the ETag that you got when you read this, such as {allowed}.",
)
only_create = Kind(
    "only_create",
    id="Syarat {value} tidak berlaku untuk penulisan. Kirim {allowed} untuk hanya membuat data yang belum ada.",
    en="{value} is no condition of a write. Send {allowed} to create only what does not exist.",
)
nothing_to_match = Kind(
    "nothing_to_match",
    id="Tidak ada data di alamat ini, sehingga syarat versi {value} tidak dapat terpenuhi. Untuk membuat data baru, "
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
    """What the client says of the state that its write is meant for."""

    match: str | None
    """`If-Match` as sent."""
    none_match: str | None
    """`If-None-Match` as sent."""
    is_of_list: bool = False
    """Whether the tag is that of a list, so a write of many."""
    is_required: bool = True
    """Whether a write to something that exists is refused without one (428)."""

    @classmethod
    def of(cls, request: Request, *, is_of_list: bool = False) -> "Precondition":
        """Return the precondition of a request."""
        headers = request.headers
        return cls(headers.get("if-match"), headers.get("if-none-match"), is_of_list)

    def check(self, version: int | None) -> None:
        """Hold a write of one resource to the version in force; None: it does not exist.

        Raises PreconditionFailed (412) if that is another, PreconditionRequired (428) if it exists and no condition
        was sent, BadRequest if a field is malformed.
        """
        sent = self._sent(exists=version is not None)
        if sent is not None and version is None:
            raise self._failed(nothing_to_match)
        if sent and version not in map(_version_of, sent):
            raise self._failed(stale_version, sent=", ".join(sent), current=version)

    def check_existing(self, stored: Existing | None) -> Existing:
        """Return what the write changes. Raises NotFound if there is nothing, and as `check` does."""
        existing = require_found(stored)
        self.check(existing.version)
        return existing

    def check_many(self, session: Session, versions: Collection[int], *chains: str) -> None:
        """Hold a write of many to the state of the chains, given the versions of those that exist.

        A write of one resource by the same way is held to its version. Raises as `check` does.
        """
        if not self.is_of_list:
            self.check(next(iter(versions), None))
        elif self.is_required:
            self.check_state(stamp(session, *chains), exists=bool(versions))

    def check_state(self, state: str, *, exists: bool) -> None:
        """Hold a write of many to the state of a list; raises as `check` does."""
        sent = self._sent(exists=exists)
        if sent and state[:STATE] not in sent:
            raise self._failed(stale_list)

    def _sent(self, *, exists: bool) -> list[str] | None:
        """Return the versions or states that are sent: none of them if any will do, None if nothing is compared."""
        if not self.is_required:
            return None
        if self.none_match is not None and self.none_match.strip() != "*":
            sent = FieldError(only_create, header="If-None-Match", value=self.none_match, allowed="*")
            raise BadRequest(errors=[sent])
        if exists and self.none_match is not None:
            raise PreconditionFailed(errors=[FieldError(exists_already, header="If-None-Match", value="*")])
        if exists and self.match is None:
            raise PreconditionRequired()
        if self.match is None:
            return None
        return [_head_of(one) for one in self.match.split(",")] if self.match.strip() != "*" else []

    def _failed(self, kind: Kind, **values: object) -> PreconditionFailed:
        return PreconditionFailed(
            errors=[FieldError(kind, header="If-Match", value=self.match, values=values)]
        )


UNCONDITIONAL = Precondition(None, None, is_required=False)
"""Of a write that no request bears, and of one that was checked already."""


def _head_of(tag: str) -> str:
    """Return the part of a tag before its dash: the version of a row, the state of a list."""
    found = _TAG.match(tag.strip())
    if not found:
        raise BadRequest(errors=[FieldError(malformed_tag, header="If-Match", value=tag, allowed='"7", *')])
    return found[1].partition("-")[0]


def _version_of(head: str) -> int | None:
    return int(head) if head.isdecimal() and len(head) < 19 else None
