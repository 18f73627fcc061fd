"""The reply to a read or a write of an edition, whatever has editions."""

from fastapi import Response

from app.access.actor import Call
from app.convergence.editions.methods.queries import EditionKind, edition_json
from app.kit.http.routing import answer


def answer_edition(call: Call, kind: EditionKind, edition: str, *, is_new: bool = False) -> Response:
    """Answer with one edition; a new one with 201 and its address. Raises NotFound if there is none."""
    text, version = edition_json(call.session, kind, edition)
    return answer(
        call.request,
        text.encode(),
        status=201 if is_new else 200,
        version=version,
        location=f"/v1/{kind.address}/{edition}" if is_new else None,
    )
