"""What a pull is, without reading any: its tag, its name, its format, the coding it is sent in. Pure."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from app.exchange.pulls.models import Format, PullLine
from app.extras import is_installed
from app.kit.http.etags import tag_of
from app.kit.http.preferences import read_weights
from app.kit.openapi.schemas import count_younger

FORM = 1 + count_younger(PullLine)
"""Raised when the same lines would be written with other bytes than before: a copy then fetches them again. A field
that is younger than the first release, which is a column more, raises it by itself; any other reason raises the 1."""

MEDIA_TYPES: dict[str, str] = {
    Format.ndjson: "application/x-ndjson",
    Format.csv: "text/csv",
    Format.parquet: "application/vnd.apache.parquet",
    Format.xlsx: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "digests": "application/json",
}
CODED = frozenset({Format.ndjson, Format.csv, "digests"})
"""Formats that are worth compressing; the others are compressed already."""

CODINGS = ("zstd", "gzip") if is_installed("zstd") else ("gzip",)
"""What content is compressed with, the better first."""


def pull_tag(
    kind: str,
    period: str,
    region: str | None,
    rights: str,
    marks: Iterable[Sequence[object]],
    made_by: str = "",
) -> str:
    """The tag of a pull: of everything that decides its bytes, and of nothing else.

    `marks` say where the lines are from, `made_by` which version of a library writes them.
    """
    return tag_of(FORM, kind, made_by, period, region, rights, *[repr(tuple(mark)) for mark in marks])


def name_in_spool(tag: str, *owner: object) -> str:
    """Under which name a content is kept: a tag alone, which anybody can send, opens nothing to other rights."""
    return hashlib.sha256("\0".join([tag, *map(str, owner)]).encode()).hexdigest()[:40]


def format_for(accept: str | None) -> Format | None:
    """The format that `Accept` prefers, NDJSON before others; None: it takes none of them."""
    if accept is None:
        return Format.ndjson
    weights = read_weights(accept)

    def quality(media_type: str) -> float:
        # the most specific range decides
        for wanted in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
            said = [weight for value, weight in weights if value == wanted]
            if said:
                return max(said)
        return 0.0

    # what is plainly named goes before what `*/*` lets through
    best = max(Format, key=lambda one: (quality(MEDIA_TYPES[one]), -list(Format).index(one)))
    return best if quality(MEDIA_TYPES[best]) > 0 else None


def coding_for(accept_encoding: str | None, kind: str) -> str | None:
    """The coding in which content of that kind is sent; None: as it is."""
    if kind not in CODED or accept_encoding is None:
        return None
    weights: Mapping[str, float] = dict(read_weights(accept_encoding))
    offered = [(weights.get(one, 0.0), one) for one in CODINGS]
    best = max(weight for weight, _ in offered)
    plain = weights.get("identity", 0.0)
    if best <= 0 or plain > best:
        return None
    return next(one for weight, one in offered if weight == best)


def file_name(period: str, region: str | None, kind: str) -> str:
    return f"rata-{period}{f'-{region}' if region else ''}.{kind}"
