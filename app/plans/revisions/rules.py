"""A plan as it was adopted, and the bytes that are signed for. Pure."""

import hashlib
from collections.abc import Mapping
from typing import Any

import rfc8785

from app.plans.core.models import Plan


def canonical(content: Any) -> str:
    """The one way to write a JSON value (RFC 8785): what is equal has equal bytes, whoever writes them."""
    return rfc8785.dumps(content).decode()


def sha256_of(text: str) -> str:
    """SHA-256 of the text's UTF-8 bytes, hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def revision_content(
    plan: Plan,
    own: Mapping[str, Any],
    lines: Mapping[str, Mapping[str, Any]],
    said: Mapping[str, Any],
) -> dict[str, Any]:
    """A plan (`RevisionContent`): its row, its own fields, its lines by code, and by what it was adopted."""
    return {
        **own,
        "plan": plan.code,
        "region_code": plan.region_code,
        "year": plan.year,
        **said,
        "actions": [{"code": code, **lines[code]} for code in sorted(lines)],
    }
