"""Finds the regions of the rows of a table, by code or by names.

A Kemendagri code identifies its region. If the row has names too, they must match, since most BPS codes are valid
Kemendagri codes of another place. Of a BPS code only the first four digits, the regency, have an official counterpart:
the names are read within it, as they are within the region of the call without a code.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Literal

from sqlmodel import Session

from app.kit.http.validation import describe_unknown
from app.kit.problems import BadRequest, Cell, FieldError
from app.kit.tables.rows import BLANK_CELL
from app.reference.places.areas.models import AreaResolution
from app.reference.places.areas.rules import (
    CODE_OF_OTHER_SYSTEM,
    LEVEL_TEXTS,
    MALFORMED_CODE,
    REGION_NEEDED,
    AreaNames,
    AreaReader,
    AreaRow,
    normalize_code,
)
from app.reference.queries import find_regencies_by_bps, find_regions_by_code, read_region_labels
from app.reference.rules import get_level, get_parent

_KEMENDAGRI_VILLAGES = "12"
"""First digits of a village in a Kemendagri code: of a kelurahan, of a desa. BPS has there the end of a district."""


def read_area_names(session: Session, region: str) -> AreaNames:
    """Return the names of a region in force and of all below it; none if there is no such region."""
    return AreaNames(region, read_region_labels(session, region))


class AreaFinder:
    """Finder of the regions of rows, all of them of one `level`, or of any.

    Raises BadRequest for a `region` that does not exist, and without one if the table `has_codes` not.
    """

    def __init__(
        self,
        session: Session,
        rows: Sequence[AreaRow],
        resolutions: Sequence[AreaResolution],
        *,
        has_codes: bool,
        region: str | None,
        code_system: Literal["kemendagri", "bps"] = "kemendagri",
        level: str | None = None,
    ) -> None:
        self._region, self._is_bps, self._level = region, code_system == "bps", level
        self._read_names: Callable[[str], AreaNames] = cache(lambda code: read_area_names(session, code))
        if region is not None and not self._read_names(region).labels:
            raise BadRequest(errors=[describe_unknown(region, "regions", (), parameter="region")])
        if region is None and not has_codes:
            raise BadRequest(errors=[FieldError(REGION_NEEDED, parameter="region")])
        known = find_regions_by_code(session, {code for row in rows if (code := normalize_code(row.code))})
        known |= find_regions_by_code(session, {above for code in known if (above := get_parent(code))})
        self._known = {code: item.name for code, item in known.items()}
        self._regencies = find_regencies_by_bps(session, {row.code[:4] for row in rows if row.code})
        self._reader = AreaReader(resolutions, rows)
        self._asked: set[Cell] = set()

    def find(self, row: AreaRow) -> str | None:
        """Return the code of a row's region. Returns None for a row that names none, which gets the errors."""
        if row.code:
            return self._find_by_bps(row) if self._is_bps else self._find_by_code(row)
        if row.names and self._region is not None:
            return self._find_by_names(row, self._region)
        if not row.errors:
            row.errors.append(FieldError(BLANK_CELL, cell=row.cell))
        return None

    def list_misfits(self) -> list[FieldError]:
        """Return the errors of the resolutions, after all rows."""
        labels: dict[str, str] = {}
        for region in sorted({*filter(None, [self._region]), *self._regencies.values()}):
            labels |= self._read_names(region).labels
        return self._reader.list_misfits(labels)

    def _find_by_code(self, row: AreaRow) -> str | None:
        code = normalize_code(row.code)
        if code in self._known and self._level in (None, get_level(code)):
            errors = row.list_contradictions(code, self._known)
            if not errors:
                return code
            row.errors += [self._describe_bps(row)] if self._has_bps_names(row) else errors
        elif self._has_bps_names(row) or (self._has_bps(row) and row.code[6] not in _KEMENDAGRI_VILLAGES):
            row.errors.append(self._describe_bps(row))
        elif not code or self._level not in (None, get_level(code)):
            row.errors.append(self._describe_malformed(row, "Kemendagri", "63.02.05.2001"))
        else:
            row.errors.append(describe_unknown(row.code, "regions", (), cell=row.cell))
        return None

    def _find_by_bps(self, row: AreaRow) -> str | None:
        code, regency = normalize_code(row.code), self._regencies.get(row.code[:4])
        is_own = code in self._known and not row.list_contradictions(code, self._known)
        if is_own and not self._has_bps_names(row):
            row.errors.append(_describe_other(row, "Kemendagri", code, self._known[code]))
        elif not re.fullmatch(r"[0-9]{10}", row.code):
            row.errors.append(self._describe_malformed(row, "BPS", "6302050001"))
        elif regency is None:
            row.errors.append(describe_unknown(row.code[:4], "BPS codes", self._regencies, cell=row.cell))
        else:
            return self._find_by_names(row, regency)
        return None

    def _find_by_names(self, row: AreaRow, region: str) -> str | None:
        """Return the region that the names mean, each within the one before."""
        names, within = self._read_names(region), region
        for item in row.names:
            read = self._reader.read(item, names, within)
            if isinstance(read, FieldError):
                if item.cell not in self._asked:  # the district of several rows
                    self._asked.add(item.cell)
                    row.errors.append(read)
                return None
            within = read
        if row.names and self._level in (None, row.names[-1].level):
            return within
        if not row.errors:
            row.errors.append(FieldError(BLANK_CELL, cell=row.cell))
        return None

    def _has_bps(self, row: AreaRow) -> bool:
        return bool(re.fullmatch(r"[0-9]{10}", row.code)) and row.code[:4] in self._regencies

    def _has_bps_names(self, row: AreaRow) -> bool:
        """Return whether the names of a row are those of its code if BPS gave it."""
        if not self._has_bps(row) or not row.names:
            return False
        names = self._read_names(self._regencies[row.code[:4]])
        return all(names.find(item.text, item.level, names.region) for item in row.names)

    def _describe_bps(self, row: AreaRow) -> FieldError:
        regency = self._regencies[row.code[:4]]
        return _describe_other(row, "BPS", regency, self._read_names(regency).labels.get(regency, ""))

    def _describe_malformed(self, row: AreaRow, system: str, example: str) -> FieldError:
        values = {"system": system, "level": LEVEL_TEXTS[self._level]}
        return FieldError(MALFORMED_CODE, cell=row.cell, value=row.code, allowed=example, values=values)


def _describe_other(row: AreaRow, system: str, code: str, name: str) -> FieldError:
    return FieldError(
        CODE_OF_OTHER_SYSTEM,
        cell=row.cell,
        value=row.code,
        allowed=f"{code} {name}",
        values={"system": system},
    )
