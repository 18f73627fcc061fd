"""Strong entity tags and the conditions that requests put on them (RFC 9110, section 13).

A tag of something that can be changed begins with its row version: `"7-1f0c3a9b2d"`. The part behind
the dash covers the whole reply, rights of the caller included, so a 304 is never wrong. `If-Match`
compares the version alone: a progress report that arrives meanwhile does not make an edit stale, and
a list's item can be changed with the `version` it shows, `If-Match: "7"`.
"""

import base64
import hashlib
import re

from starlette.requests import Request
from starlette.responses import Response

from app.kit.problems import BadRequest, FieldError, Kind, PreconditionFailed, PreconditionRequired

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

STATE = 12
"""Characters of a chain's hash that make the state of a list, in front of its tag."""

VARY = "Authorization, Accept-Language"
"""What the answer to the same address depends on beside it."""

FOR_EVER = "private, max-age=31536000, immutable"
"""`Cache-Control` of what never changes."""

_TAG = re.compile(r'^(?:W/)?"([^"]*)"$')


def tag_of(*parts: object, version: int | str | None = None) -> str:
    """A strong tag over everything that decides the reply's bytes."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else str(part).encode())
        digest.update(b"\0")
    short = digest.hexdigest()[:16]
    return f'"{version}-{short}"' if version is not None else f'"{short}"'


def is_unchanged(request: Request, tag: str) -> bool:
    """Whether `If-None-Match` names this tag, so that the answer is 304."""
    sent = request.headers.get("if-none-match")
    if sent is None:
        return False
    # A compressing proxy may weaken a tag; for a read the weak comparison is the right one.
    return sent.strip() == "*" or any(one.strip().removeprefix("W/") == tag for one in sent.split(","))


def unchanged(tag: str, *, vary: str = VARY) -> Response:
    return Response(
        status_code=304, headers={"ETag": tag, "Cache-Control": "private, no-cache", "Vary": vary}
    )


def digest_field(sha256: str) -> str:
    """A SHA-256 (hex) as a digest field says it (RFC 9530)."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"


def check_condition(match: str | None, none_match: str | None, current: int | None) -> None:
    """Hold a write to `If-Match` and `If-None-Match`, given the version in force (None: not there).

    412 when the version sent is another, or `If-None-Match: *` meets something; 428 when something
    exists and no condition was sent.
    """
    if _creates_only(none_match) and current is not None:
        raise _failed(exists_already, "If-None-Match", "*")
    if match is None:
        if current is not None:
            raise PreconditionRequired()
        return
    versions = {_version(one) for one in match.split(",")} if match.strip() != "*" else None
    if current is None:
        raise _failed(nothing_to_match, "If-Match", match)
    if versions is not None and current not in versions:
        sent = ", ".join(_head(one) for one in match.split(","))
        raise _failed(stale_version, "If-Match", match, sent=sent, current=current)


def check_list_condition(match: str | None, none_match: str | None, state: str, *, exists: bool) -> None:
    """Hold a write of many to `If-Match`: a tag of the list in this state, or `*`; 428 when some exist.

    412 when `If-None-Match: *` (create only) meets one that exists.
    """
    creates_only = _creates_only(none_match)
    if creates_only and exists:
        raise _failed(exists_already, "If-None-Match", "*")
    if match is None:
        if exists:
            raise PreconditionRequired()
        return
    if match.strip() != "*" and state not in [_head(one) for one in match.split(",")]:
        raise _failed(stale_list, "If-Match", match)


def _creates_only(none_match: str | None) -> bool:
    """Return whether a write was sent with `If-None-Match: *`. Raises BadRequest for any other such condition."""
    if none_match is not None and none_match.strip() != "*":
        raise BadRequest(
            errors=[FieldError(only_create, header="If-None-Match", value=none_match, allowed="*")]
        )
    return none_match is not None


def _head(tag: str) -> str:
    """The part of a tag before its dash: the version of a row, the state of a list."""
    found = _TAG.match(tag.strip())
    if not found:
        raise BadRequest(errors=[FieldError(malformed_tag, header="If-Match", value=tag, allowed='"7", *')])
    return found[1].partition("-")[0]


def _version(tag: str) -> int | None:
    head = _head(tag)
    return int(head) if head.isdecimal() and len(head) < 19 else None


def _failed(kind: Kind, header: str, value: str, **values: object) -> PreconditionFailed:
    return PreconditionFailed(errors=[FieldError(kind, header=header, value=value, values=values)])
