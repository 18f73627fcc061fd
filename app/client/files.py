"""The transfer of a quarter into a file, which appears under its name only complete and checked.

During the transfer, `NAME.part` has the bytes of the reply (compressed if the service compresses) and `NAME.part.json`
their ETag and digest, so that a later run resumes an interrupted one. At the end the client checks the bytes, writes
the file as `NAME.new` and renames it. `NAME.json` stays with the file as its manifest.
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

from .atomic_files import flush_to_disk, open_locked, write_atomically
from .content import ContentWriter
from .problems import Misused, Sentence, Unwritable, WrongContent
from .retry import TRANSFER_ERRORS, Attempts, Patience, describe_error, wait_for_retry
from .tables import TableWriter

if TYPE_CHECKING:
    import httpx

FORMATS = ("ndjson", "csv", "parquet", "xlsx", "sqlite")
#: Formats that gzip shortens; the others are already compressed.
_PACKED = frozenset({"ndjson", "csv"})
_PIECE = 2**18

_NO_DIGEST = Sentence("layanan tidak mengirim sidik isi", "the service sent no digest")
_OTHER_DIGEST = Sentence("sidik isi berbeda", "the digest differs")
_CUT = Sentence("pengiriman terputus", "the transfer was interrupted")
_OTHER_PART = Sentence("layanan mengirim bagian lain", "the service sent another part")

ShowProgress = Callable[[int, int | None], None]


class UnknownFormat(Misused):
    text = Sentence(
        "“{format}” bukan format; pilih {allowed}.", "“{format}” is not a format; use one of {allowed}."
    )


@dataclass(frozen=True)
class PullTarget:
    """A quarter, region and format to pull, with the paths of its files."""

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
        """Format of the transfer: NDJSON for SQLite, since the client builds the tables from lines."""
        return "ndjson" if self.format == "sqlite" else self.format

    @property
    def path(self) -> str:
        return f"/v1/pulls/{self.period}.{self.sent_as}"

    @property
    def params(self) -> dict[str, str]:
        return {"region": self.region} if self.region else {}


@dataclass(frozen=True)
class Manifest:
    """The manifest of a file, stored as `NAME.json`."""

    address: str
    """Address of the pull."""
    etag: str
    sha256: str
    """Of the file, hex."""
    bytes: int
    rows: int
    cursor: str | None
    """Cursor of the feed behind the pull: `after` of `/v1/changes` with the same region."""
    plans: list[dict[str, object]] | None
    """Revisions and amendments of the lines; only NDJSON has them."""


@dataclass(frozen=True)
class Pulled:
    """The result of a pull."""

    file: Path
    manifest: Manifest
    is_unchanged: bool
    """True if nothing has changed since the last pull, so that this one left the file alone."""
    resumed_at: int
    """Bytes of an earlier run with which this one began."""


@dataclass(frozen=True)
class _PartState:
    """The reply to which the bytes of a part belong, stored as `NAME.part.json`."""

    address: str
    etag: str
    coding: str | None
    digest: str | None
    """`Repr-Digest` of all bytes; None if the service did not know it at the start of the reply."""
    rows: int | None
    cursor: str | None


class PullSource(Protocol):
    """The part of `Rata` that a pull needs."""

    base_url: str
    patience: Patience

    def stream(
        self, path: str, params: Mapping[str, str], headers: Mapping[str, str]
    ) -> contextlib.AbstractContextManager["httpx.Response"]: ...


def run_pull(
    service: PullSource, pull: PullTarget, *, since_last: bool, shown: ShowProgress | None
) -> Pulled:
    """Pull a quarter into its folder. See `Rata.pull`."""
    if pull.format not in FORMATS:
        raise UnknownFormat(format=pull.format, allowed=", ".join(FORMATS))
    try:
        pull.folder.mkdir(parents=True, exist_ok=True)
        if pull.file.is_dir():  # rather than after an hour of transfer
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with open_locked(pull.part) as part:
            return _Transfer(service, pull, part, shown).run(since_last=since_last)
    except OSError as error:
        raise Unwritable(file=pull.file, why=error.strerror or error) from error


class _Transfer:
    """One run of a pull, with as many requests as it needs."""

    def __init__(
        self, service: PullSource, pull: PullTarget, part: BinaryIO, shown: ShowProgress | None
    ) -> None:
        self._service, self._pull, self._part = service, pull, part
        self._shown = shown or (lambda done, total: None)
        self._address = service.base_url + pull.path + "".join(f"?region={r}" for r in pull.params.values())
        self._attempts = Attempts(service.patience, self._address)
        self._is_complete = False
        self._resumed_at = self._read_size() if self._read_state() else 0

    def run(self, *, since_last: bool) -> Pulled:
        last = self._find_last() if since_last else None
        is_first_try = True
        while True:
            if not self._fetch_all(last):
                assert last is not None
                self._delete_part()
                return Pulled(self._pull.file, last, is_unchanged=True, resumed_at=0)
            state = self._read_state()
            assert state is not None
            try:
                manifest = self._store_file(state)
            except WrongContent:
                # The part of an earlier run may be damaged, so fetch all once more before the verdict.
                self._restart()
                if not is_first_try:
                    raise
                is_first_try = False
            else:
                return Pulled(self._pull.file, manifest, is_unchanged=False, resumed_at=self._resumed_at)

    # Stored state

    def _find_last(self) -> Manifest | None:
        """Return the manifest of the last pull. Returns None if its file is missing or has changed since."""
        try:
            manifest = Manifest(**json.loads(self._pull.about.read_bytes()))
            with self._pull.file.open("rb") as file:
                is_intact = hashlib.file_digest(file, "sha256").hexdigest() == manifest.sha256
        except (OSError, ValueError, TypeError):
            return None
        return manifest if is_intact and manifest.address == self._address else None

    def _read_size(self) -> int:
        return os.fstat(self._part.fileno()).st_size

    def _read_state(self) -> _PartState | None:
        """Return the state of the part. Returns None if it is missing, unreadable or of another address."""
        try:
            state = _PartState(**json.loads(self._pull.state.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None
        return state if state.address == self._address else None

    def _restart(self) -> None:
        # empty the part before the next state exists: a crash in between leaves no bytes under a wrong state
        self._part.truncate(0)
        self._part.seek(0)
        self._pull.state.unlink(missing_ok=True)
        self._resumed_at = 0

    def _delete_part(self) -> None:
        self._pull.state.unlink(missing_ok=True)
        self._pull.part.unlink(missing_ok=True)

    # Transfer

    def _fetch_all(self, last: Manifest | None) -> bool:
        """Complete the part. Returns False if nothing has changed since the last pull."""
        self._is_complete = False
        while not self._is_complete:
            headers = self._build_headers(last)
            try:
                with self._service.stream(self._pull.path, self._pull.params, headers) as reply:
                    if reply.status_code == 304 and last is not None:
                        return False
                    if reply.status_code in (200, 206):
                        self._receive(reply)
                    elif reply.status_code == 416 and "Range" in headers:
                        # the part is complete, or longer than the content and thus wrong
                        self._is_complete = (
                            reply.headers.get("Content-Range") == f"bytes */{self._read_size()}"
                        )
                        if not self._is_complete:
                            self._restart()
                            self._attempts.wait_or_raise("HTTP 416")
                    else:
                        reply.read()
                        wait_for_retry(reply, self._attempts)
            except TRANSFER_ERRORS as cut:
                self._attempts.wait_or_raise(describe_error(cut))
        return True

    def _build_headers(self, last: Manifest | None) -> dict[str, str]:
        headers = {"Accept-Encoding": "gzip" if self._pull.sent_as in _PACKED else "identity"}
        state, size = self._read_state(), self._read_size()
        if state is not None and size:
            headers["Accept-Encoding"] = state.coding or "identity"
            headers |= {"Range": f"bytes={size}-", "If-Range": state.etag}
        elif last is not None:
            headers["If-None-Match"] = last.etag
        return headers

    def _receive(self, reply: "httpx.Response") -> None:
        """Append the body of a reply to the part, which keeps the bytes of an interrupted reply."""
        state = self._read_state()
        size = self._read_size()
        if reply.status_code == 206 and not _is_continuation(reply, state, size):
            self._restart()
            self._attempts.wait_or_raise(_OTHER_PART)
            return
        if reply.status_code == 200:
            self._restart()
            size = 0
            write_atomically(self._pull.state, asdict(self._read_headers(reply)))
        length = reply.headers.get("Content-Length")
        total = size + int(length) if length and length.isdecimal() else None
        self._part.seek(size)
        for piece in reply.iter_raw():  # unbuffered: an interruption would lose a half-full buffer
            self._part.write(piece)
            size += len(piece)
            self._attempts.reset_pause()
            self._attempts.check()
            self._shown(size, total)
        # without a length or chunks, an end may be an interruption: then the next request asks for the remaining bytes
        self._is_complete = length is not None or "chunked" in reply.headers.get("Transfer-Encoding", "")
        if not self._is_complete:
            self._attempts.wait_or_raise(_CUT)

    def _read_headers(self, reply: "httpx.Response") -> _PartState:
        headers = reply.headers
        etag = headers.get("ETag")
        coding = headers.get("Content-Encoding")
        if etag is None or coding not in (None, "identity", "gzip"):
            raise self._make_error(f"ETag {etag}, Content-Encoding {coding}")
        rows = headers.get("Rata-Rows")
        return _PartState(
            address=self._address,
            etag=etag,
            coding="gzip" if coding == "gzip" else None,
            digest=headers.get("Repr-Digest"),
            rows=int(rows) if rows and rows.isdecimal() else None,
            cursor=headers.get("Rata-Cursor"),
        )

    # Check and rename

    def _store_file(self, state: _PartState) -> Manifest:
        """Check the part and store the file under its name. Raises WrongContent if a check fails."""
        new = self._pull.folder / f"{self._pull.name}.new"
        try:
            with (
                TableWriter(new, self._make_error) if self._pull.format == "sqlite" else new.open("wb") as out
            ):
                content = ContentWriter(out, self._pull.sent_as, self._make_error)
                self._unpack(state, content)
                fields = content.end(
                    {"period": self._pull.period, "region": self._pull.region, "rows": state.rows},
                    state.cursor,
                )
                if isinstance(out, TableWriter):
                    out.end({"address": self._address, **content.summary})
            if self._pull.format != self._pull.sent_as:
                # the file differs from the bytes of the transfer
                with new.open("rb") as file:
                    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                fields |= {"sha256": sha256, "bytes": new.stat().st_size}
            flush_to_disk(new)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        manifest = Manifest(address=self._address, etag=state.etag, **fields)
        new.replace(self._pull.file)
        write_atomically(self._pull.about, asdict(manifest))
        self._delete_part()
        flush_to_disk(self._pull.folder)
        return manifest

    def _unpack(self, state: _PartState, content: "ContentWriter") -> None:
        """Write the part, decompressed, into the content. Raises WrongContent if its digest differs."""
        raw = hashlib.sha256()
        unpacker = zlib.decompressobj(31) if state.coding == "gzip" else None
        self._part.seek(0)
        try:
            while piece := self._part.read(_PIECE):
                raw.update(piece)
                content.write(unpacker.decompress(piece) if unpacker else piece)
            if unpacker is not None:
                content.write(unpacker.flush())
                if not unpacker.eof or unpacker.unused_data:
                    raise self._make_error("gzip")
        except zlib.error as error:
            raise self._make_error(f"gzip: {error}") from error
        field = f"sha-256=:{base64.b64encode(raw.digest()).decode()}:"
        if state.digest is not None and state.digest != field:
            raise self._make_error(_OTHER_DIGEST)
        if state.digest is None and self._pull.sent_as != "ndjson":
            raise self._make_error(_NO_DIGEST)

    def _make_error(self, why: str | Sentence) -> WrongContent:
        return WrongContent(file=self._pull.file, why=why)


def _is_continuation(reply: "httpx.Response", state: _PartState | None, size: int) -> bool:
    if state is None or reply.headers.get("ETag") != state.etag:
        return False
    return str(reply.headers.get("Content-Range", "")).startswith(f"bytes {size}-")
