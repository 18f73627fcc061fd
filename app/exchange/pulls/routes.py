"""Routes of pulls and digests."""

from functools import partial
from typing import Annotated

from fastapi import Depends, Response
from fastapi.responses import JSONResponse

from app.access.actor import Caller, RequestContext
from app.exchange.pulls.models import (
    Digests,
    Format,
    PullEnd,
    PullFileQuery,
    PullFormat,
    PullLine,
    PullPeriod,
    PullQuery,
)
from app.exchange.pulls.queries import list_sources
from app.exchange.pulls.rules import MACHINE_CSV, MEDIA_TYPES, choose_coding, choose_format
from app.exchange.pulls.writing import LIBRARIES, RequestedPull
from app.kit.exports.cache import ExportCache
from app.kit.exports.range_responses import ExportResponse, ExportSource, declare_range_headers
from app.kit.http.anonymous import PUBLIC
from app.kit.http.etags import VARY, answer_unchanged, is_unchanged
from app.kit.http.routing import FromQuery, make_router
from app.kit.http.validation import unavailable, unknown_value
from app.kit.openapi.schemas import FROZEN
from app.kit.periods import is_quarter, malformed_period
from app.kit.problems import FieldError, NotAcceptable, NotFound, require_extra, require_found

router = make_router(tags=["exchange"])

_HEADERS: dict[str, object] = {
    name: {} for name in ("Rata-Rows", "Rata-Cursor", "Repr-Digest", "Accept-Ranges")
}
_FILES: dict[str, object] = {
    **{MEDIA_TYPES[format]: {"schema": {}} for format in (Format.parquet, Format.xlsx)},
    MEDIA_TYPES[Format.csv]: {"schema": {"type": "string"}},
}
_PULL_RESPONSES: dict[int | str, dict[str, object]] = {
    200: {"content": _FILES, "headers": _HEADERS},
    206: {
        "content": {
            MEDIA_TYPES[format]: {"schema": {}, "example": '"spent":120000000}'} for format in Format
        },
        "headers": {**_HEADERS, "Content-Range": {}},
    },
}
_DIGEST_RESPONSES: dict[int | str, dict[str, object]] = {
    200: {"headers": {name: {} for name in _HEADERS if name != "Accept-Ranges"}}
}


class Ndjson(JSONResponse):
    """Declares the media type of NDJSON."""

    media_type = MEDIA_TYPES[Format.ndjson]


_pull = partial(
    router.get,
    response_model=PullLine | PullEnd,
    response_class=Ndjson,
    responses=_PULL_RESPONSES,
    openapi_extra={"x-problems": [406, 416, 501], **PUBLIC, **FROZEN},
)


@_pull("/pulls/{period}.{format}")
def read_pull_as(
    call: Caller,
    period: PullPeriod,
    format: PullFormat,
    query: FromQuery[PullFileQuery],
    ranges: Annotated[None, Depends(declare_range_headers)],
) -> Response:
    """Return a pull in the format of the address: `ndjson`, `csv`, `parquet` or `xlsx`."""
    if format not in list(Format):
        raise NotFound(
            errors=[FieldError(unknown_value, parameter="format", value=format, allowed=list(Format))]
        )
    return _answer_pull(call, _choose_kind(Format(format), query), period, query, VARY)


@_pull("/pulls/{period}")
def read_pull(
    call: Caller,
    period: PullPeriod,
    query: FromQuery[PullFileQuery],
    ranges: Annotated[None, Depends(declare_range_headers)],
) -> Response:
    """Return every line that the token sees with its report of a quarter, from one snapshot of the database.

    `Accept` selects NDJSON (a line each, then a summary), CSV, Parquet or XLSX. Lines are in the order of region and
    action. For a frozen quarter they are those of the latest snapshot, with equal bytes for ever; elsewhere those in
    force, with a report or null. The last line has the row count, the SHA-256 of all lines before it, revisions,
    amendments, and the cursor for the feed. A client resumes a cut transfer with `Range` and `If-Range`, in the state
    in which it began. 503 with `Retry-After` for too many pulls at a time. The public pulls frozen quarters alone,
    with the cursor of the feed's beginning.
    """
    accept = call.request.headers.get("accept")
    format = choose_format(accept)
    if format is None:
        allowed = [MEDIA_TYPES[other] for other in Format]
        raise NotAcceptable(errors=[FieldError(unavailable, header="Accept", value=accept, allowed=allowed)])
    return _answer_pull(call, _choose_kind(format, query), period, query, f"{VARY}, Accept")


@router.get("/digests/{period}", response_model=Digests, responses=_DIGEST_RESPONSES, openapi_extra=PUBLIC)
def read_digests(call: Caller, period: PullPeriod, query: FromQuery[PullQuery]) -> Response:
    """Return row counts and SHA-256 of a quarter's lines, plan by plan and agency by agency.

    A client with a copy compares its own hashes and finds the differences without another pull. 404 if there are no
    lines.
    """
    return _answer_pull(call, "digests", period, query, VARY)


def _choose_kind(format: Format, query: PullFileQuery) -> str:
    return MACHINE_CSV if format is Format.csv and query.dialect == "machine" else format


def _answer_pull(call: RequestContext, kind: str, period: str, query: PullQuery, vary: str) -> Response:
    if not is_quarter(period):
        raise NotFound(
            errors=[FieldError(malformed_period, parameter="period", value=period, allowed=["2026-Q2"])]
        )
    request, state = call.request, call.request.app.state
    plans = require_found(list_sources(call.session, call.actor, period, query.region) or None)
    if kind in LIBRARIES:
        require_extra(kind)
    coding = choose_coding(request.headers.get("accept-encoding"), kind)
    in_parts = kind != "digests"
    partial_tag = request.headers.get("if-range", "") if in_parts and "range" in request.headers else None
    if partial_tag is not None and not partial_tag.endswith(f'-{coding}"'):
        # Clients decode a reply on their own and cannot decode a part from the middle: only a client that has
        # the beginning of these compressed bytes gets the remainder compressed.
        coding = None
    pull = RequestedPull(call.actor, kind, period, query.region, coding)
    tag = pull.tag(plans)
    if is_unchanged(request, tag):
        return answer_unchanged(tag, vary=vary)
    headers = {"Cache-Control": "private, no-cache", "Vary": vary}
    if in_parts:
        name = f"rata-{period}{f'-{query.region}' if query.region else ''}.{kind.rpartition('.')[2]}"
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    if coding is not None:
        headers["Content-Encoding"] = coding
    spool: ExportCache = state.export_cache
    stored = None
    if partial_tag:
        # A client that has a part resumes the export it began, as long as the cache has it.
        stored = spool.find(pull.name(partial_tag.replace(f'-{coding}"', '"')))
    stored = stored or spool.find(pull.name(tag))
    return ExportResponse(
        request,
        spool,
        ExportSource(pull.name(tag), partial(pull.make, state.database)),
        stored,
        headers=headers,
        media_type=MEDIA_TYPES[kind],
        seconds=state.settings.exports_wait_seconds,
        in_parts=in_parts,
    )
