"""A quarter pulled into a file: whole and checked under its name, or not there at all.

While it comes, `NAME.part` holds the bytes as they were sent (compressed, where they were) and `NAME.part.json`
what they are part of, so that any later run goes on where this one was cut. What is complete is checked, written
beside as `NAME.new`, and renamed. `NAME.json` stays with the file and says what it is.
"""

import base64
import contextlib
import errno
import hashlib
import json
import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from .content import Content
from .disk import locked, replace, synchronise
from .problems import Misused, Text, Unwritable, WrongContent
from .retry import CUT, Attempts, Patience, check, named
from .tables import Tables

if TYPE_CHECKING:
    import httpx

FORMATS = ("ndjson", "csv", "parquet", "xlsx", "sqlite")
#: What is worth compressing on the way; the others are compressed already.
_PACKED = frozenset({"ndjson", "csv"})
_PIECE = 2**18

Shown = Callable[[int, int | None], None]


class UnknownFormat(Misused):
    text = Text("{format} tidak dikenal; pilih {allowed}.", "{format} is not known; use one of {allowed}.")


@dataclass(frozen=True)
class Pull:
    """What is pulled, and where to."""

    period: str
    region: str | None
    format: str
    folder: Path

    @property
    def name(self) -> str:
        return f"rata-{self.period}{f'-{self.region}' if self.region else ''}.{self.format}"

    @property
    def file(self) -> Path:
        return self.folder / self.name

    @property
    def about(self) -> Path:
        return self.folder / f"{self.name}.json"

    @property
    def part(self) -> Path:
        return self.folder / f"{self.name}.part"

    @property
    def state(self) -> Path:
        return self.folder / f"{self.name}.part.json"

    @property
    def sent_as(self) -> str:
        """How it comes: tables are made here, of lines that can be cut, gone on with and checked."""
        return "ndjson" if self.format == "sqlite" else self.format

    @property
    def path(self) -> str:
        return f"/v1/pulls/{self.period}.{self.sent_as}"

    @property
    def params(self) -> dict[str, str]:
        return {"region": self.region} if self.region else {}


@dataclass(frozen=True)
class Manifest:
    """What stays beside a file as `NAME.json`."""

    address: str
    """Where it was pulled from."""
    etag: str
    sha256: str
    """Of the file, hex."""
    bytes: int
    rows: int
    cursor: str | None
    """Where to go on in the feed: `after` of `/v1/changes` with the same region."""
    plans: list[dict[str, object]] | None
    """Revisions and amendments that the lines are from; only NDJSON tells them."""


@dataclass(frozen=True)
class Pulled:
    """How a pull ended."""

    file: Path
    manifest: Manifest
    is_unchanged: bool
    """Nothing changed since the last one; nothing was written."""
    resumed_at: int
    """Bytes that an earlier run had fetched already."""


@dataclass(frozen=True)
class _Sent:
    """What the bytes of a part are of."""

    address: str
    etag: str
    coding: str | None
    digest: str | None
    """`Repr-Digest` of all bytes, where the service knew it when it began."""
    rows: int | None
    cursor: str | None


class Asked(Protocol):
    """What a pull needs of the service (`Rata`)."""

    base_url: str
    patience: Patience

    def stream(
        self, path: str, params: Mapping[str, str], headers: Mapping[str, str]
    ) -> contextlib.AbstractContextManager["httpx.Response"]: ...


def fetch(service: Asked, pull: Pull, *, since_last: bool, shown: Shown | None) -> Pulled:
    """Pull into the folder. See `Rata.pull`."""
    if pull.format not in FORMATS:
        raise UnknownFormat(format=pull.format, allowed=", ".join(FORMATS))
    try:
        pull.folder.mkdir(parents=True, exist_ok=True)
        if pull.file.is_dir():  # rather than after an hour of transfer
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with locked(pull.part) as part:
            return _Transfer(service, pull, part, shown).run(since_last=since_last)
    except OSError as error:
        raise Unwritable(file=pull.file, why=error.strerror or error) from error


class _Transfer:
    """One run: as many requests as it takes."""

    def __init__(self, service: Asked, pull: Pull, part: BinaryIO, shown: Shown | None) -> None:
        self._service, self._pull, self._part = service, pull, part
        self._shown = shown or (lambda done, total: None)
        self._address = service.base_url + pull.path + "".join(f"?region={r}" for r in pull.params.values())
        self._attempts = Attempts(service.patience, self._address)
        self._is_complete = False
        self._resumed_at = self._size() if self._sent() else 0

    def run(self, *, since_last: bool) -> Pulled:
        last = self._last() if since_last else None
        is_first_try = True
        while True:
            if not self._fetch_all(last):
                assert last is not None
                self._forget()
                return Pulled(self._pull.file, last, is_unchanged=True, resumed_at=0)
            sent = self._sent()
            assert sent is not None
            try:
                manifest = self._finish(sent)
            except WrongContent:
                # A part that an earlier run left may have been harmed meanwhile: what is fetched whole decides.
                self._begin_anew()
                if not is_first_try:
                    raise
                is_first_try = False
            else:
                return Pulled(self._pull.file, manifest, is_unchanged=False, resumed_at=self._resumed_at)

    # What is there already

    def _last(self) -> Manifest | None:
        """The last pull, where its file is still what it was."""
        try:
            found = Manifest(**json.loads(self._pull.about.read_bytes()))
            with self._pull.file.open("rb") as file:
                is_whole = hashlib.file_digest(file, "sha256").hexdigest() == found.sha256
        except (OSError, ValueError, TypeError):
            return None
        return found if is_whole and found.address == self._address else None

    def _size(self) -> int:
        return os.fstat(self._part.fileno()).st_size

    def _sent(self) -> _Sent | None:
        """What the part is of; None: nobody can tell."""
        try:
            found = _Sent(**json.loads(self._pull.state.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None
        return found if found.address == self._address else None

    def _begin_anew(self) -> None:
        # emptied before it is said what comes: a crash between leaves nothing that could be taken for another's part
        self._part.truncate(0)
        self._part.seek(0)
        self._pull.state.unlink(missing_ok=True)
        self._resumed_at = 0

    def _forget(self) -> None:
        self._pull.state.unlink(missing_ok=True)
        self._pull.part.unlink(missing_ok=True)

    # The bytes

    def _fetch_all(self, last: Manifest | None) -> bool:
        """Fetch what is missing of the part. False: nothing changed since the last pull."""
        self._is_complete = False
        while not self._is_complete:
            headers = self._wanted(last)
            try:
                with self._service.stream(self._pull.path, self._pull.params, headers) as reply:
                    if reply.status_code == 304 and last is not None:
                        return False
                    if reply.status_code in (200, 206):
                        self._take(reply)
                    elif reply.status_code == 416 and "Range" in headers:
                        # all of it is there and nothing is missing; or more, which cannot be
                        self._is_complete = reply.headers.get("Content-Range") == f"bytes */{self._size()}"
                        if not self._is_complete:
                            self._begin_anew()
                            self._attempts.failed("HTTP 416")
                    else:
                        reply.read()
                        check(reply, self._attempts)
            except CUT as cut:
                self._attempts.failed(named(cut))
        return True

    def _wanted(self, last: Manifest | None) -> dict[str, str]:
        headers = {"Accept-Encoding": "gzip" if self._pull.sent_as in _PACKED else "identity"}
        sent, size = self._sent(), self._size()
        if sent is not None and size:
            headers["Accept-Encoding"] = sent.coding or "identity"
            headers |= {"Range": f"bytes={size}-", "If-Range": sent.etag}
        elif last is not None:
            headers["If-None-Match"] = last.etag
        return headers

    def _take(self, reply: "httpx.Response") -> None:
        """Add what a reply brings to the part; what it brought stays there where it is cut."""
        sent = self._sent()
        size = self._size()
        if reply.status_code == 206 and not _goes_on(reply, sent, size):
            self._begin_anew()
            self._attempts.failed("HTTP 206: ETag, Content-Range")
            return
        if reply.status_code == 200:
            self._begin_anew()
            size = 0
            replace(self._pull.state, asdict(self._said_by(reply)))
        length = reply.headers.get("Content-Length")
        total = size + int(length) if length and length.isdecimal() else None
        self._part.seek(size)
        for piece in reply.iter_raw():  # as it comes: what waits to fill a larger piece is lost in a cut
            self._part.write(piece)
            size += len(piece)
            self._attempts.went_on()
            self._attempts.check()
            self._shown(size, total)
        # without a length or chunks, an end is as good as a cut: then the next request asks for what follows
        self._is_complete = length is not None or "chunked" in reply.headers.get("Transfer-Encoding", "")
        if not self._is_complete:
            self._attempts.failed("Content-Length?")

    def _said_by(self, reply: "httpx.Response") -> _Sent:
        headers = reply.headers
        etag = headers.get("ETag")
        coding = headers.get("Content-Encoding")
        if etag is None or coding not in (None, "identity", "gzip"):
            raise self._wrong(f"ETag {etag}, Content-Encoding {coding}")
        rows = headers.get("Rata-Rows")
        return _Sent(
            address=self._address,
            etag=etag,
            coding="gzip" if coding == "gzip" else None,
            digest=headers.get("Repr-Digest"),
            rows=int(rows) if rows and rows.isdecimal() else None,
            cursor=headers.get("Rata-Cursor"),
        )

    # Checked, and under its name

    def _finish(self, sent: _Sent) -> Manifest:
        """Check what came and put it under its name. WrongContent: it is not what the service says."""
        new = self._pull.folder / f"{self._pull.name}.new"
        try:
            with self._opened(new) as out:
                content = Content(out, self._pull.sent_as, self._wrong)
                self._unpack(sent, content)
                found = content.end(
                    {"period": self._pull.period, "region": self._pull.region, "rows": sent.rows}, sent.cursor
                )
                if isinstance(out, Tables):
                    out.end({"address": self._address, **content.said})
            if self._pull.format != self._pull.sent_as:
                # the file is not the bytes that were sent
                with new.open("rb") as made:
                    sha256 = hashlib.file_digest(made, "sha256").hexdigest()
                found |= {"sha256": sha256, "bytes": new.stat().st_size}
            synchronise(new)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        manifest = Manifest(address=self._address, etag=sent.etag, **found)
        new.replace(self._pull.file)
        replace(self._pull.about, asdict(manifest))
        self._forget()
        synchronise(self._pull.folder)
        return manifest

    def _opened(self, new: Path) -> "BinaryIO | Tables":
        return Tables(new, self._wrong) if self._pull.format == "sqlite" else new.open("wb")

    def _unpack(self, sent: _Sent, content: "Content") -> None:
        """The part as it was sent, held against its digest, unpacked into the content."""
        raw = hashlib.sha256()
        unpacker = zlib.decompressobj(31) if sent.coding == "gzip" else None
        self._part.seek(0)
        try:
            while piece := self._part.read(_PIECE):
                raw.update(piece)
                content.write(unpacker.decompress(piece) if unpacker else piece)
            if unpacker is not None:
                content.write(unpacker.flush())
                if not unpacker.eof or unpacker.unused_data:
                    raise self._wrong("gzip")
        except zlib.error as error:
            raise self._wrong(f"gzip: {error}") from error
        field = f"sha-256=:{base64.b64encode(raw.digest()).decode()}:"
        if sent.digest is not None and sent.digest != field:
            raise self._wrong("Repr-Digest")
        if sent.digest is None and self._pull.sent_as != "ndjson":
            raise self._wrong("Repr-Digest?")

    def _wrong(self, why: str) -> WrongContent:
        return WrongContent(file=self._pull.file, why=why)


def _goes_on(reply: "httpx.Response", sent: _Sent | None, size: int) -> bool:
    """Whether a part of the content is the one that is missing here, of the very same state."""
    if sent is None or reply.headers.get("ETag") != sent.etag:
        return False
    return str(reply.headers.get("Content-Range", "")).startswith(f"bytes {size}-")
