"""The archive of an uploaded workbook: unpacks one part at a time, chunk by chunk, within bounds."""

import io
import zipfile
import zlib
from collections.abc import Iterator

from app.kit.files.bounds import LARGEST_PART, LARGEST_RATIO, LARGEST_UNPACKED, MOST_PARTS, RATIO_FROM, Meter
from app.kit.files.unreadable import NOT_A_WORKBOOK, OLD_WORKBOOK, PASSWORD_PROTECTED, refuse_file

_CHUNK = 64 * 1024


class Archive:
    """The parts of a workbook by name, regardless of case, as the packaging format demands."""

    def __init__(self, data: bytes, meter: Meter) -> None:
        self._meter = meter
        # Python lists all entries before any code can count them; each takes half a kilobyte.
        if data.count(b"PK\x01\x02") > 4 * MOST_PARTS:
            raise meter.refuse_too_large(f"> {MOST_PARTS} entri")
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(data))
        # zipfile raises these for a damaged list of entries, an unknown version and an undecodable name
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
            raise meter.refuse_damaged() from None
        entries = self._archive.infolist()
        self._check_entries(entries, len(data))
        self._entries = {entry.filename.lstrip("/").lower(): entry for entry in entries}
        if len(self._entries) != len(entries):
            raise meter.refuse_damaged()

    def _check_entries(self, entries: list[zipfile.ZipInfo], size: int) -> None:
        meter = self._meter
        if any(entry.flag_bits & 0x1 for entry in entries):
            raise refuse_file(PASSWORD_PROTECTED, meter.filename)
        if len(entries) > MOST_PARTS:
            raise meter.refuse_too_large(f"{len(entries)} entri")
        declared = sum(entry.file_size for entry in entries)
        if declared > LARGEST_UNPACKED:
            raise meter.refuse_too_large(f"{declared // 1024**2} MB")
        if sum(entry.compress_size for entry in entries) > size:
            raise meter.refuse_damaged()  # entries overlap, or declare more bytes than the file has
        names = {entry.filename for entry in entries}
        if "[Content_Types].xml" not in names:
            value = ".ods" if "content.xml" in names else "ZIP"
            raise refuse_file(OLD_WORKBOOK if value == ".ods" else NOT_A_WORKBOOK, meter.filename, value)
        if any(name.endswith("workbook.bin") for name in names):
            raise refuse_file(OLD_WORKBOOK, meter.filename, ".xlsb")

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._entries

    def unpack(self, name: str) -> Iterator[bytes]:
        """Yield a part in chunks. Raises `UnreadableFile` if it is missing, damaged or far larger than its entry."""
        entry = self._entries.get(name.lower())
        if entry is None or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise self._meter.refuse_damaged()
        size = 0
        try:
            with self._archive.open(entry) as stream:
                while chunk := stream.read(_CHUNK):
                    size += len(chunk)
                    ratio = size / max(entry.compress_size, 1)
                    if size > LARGEST_PART or (size > RATIO_FROM and ratio > LARGEST_RATIO):
                        raise self._meter.refuse_too_large(f"{entry.filename}: {ratio:.0f} : 1")
                    self._meter.count_unpacked(len(chunk))
                    yield chunk
        # zipfile raises these for a damaged entry, RuntimeError for an encrypted one if its flags deny that
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError):
            raise self._meter.refuse_damaged() from None
