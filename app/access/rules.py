"""Rights as one table: which roles, with which token scope, may do what.

Roles of the region itself (operator, secretariat, chair) hold in that region alone; reader, reviewer
and administrator hold in everything below theirs too. Nothing is allowed that no row allows.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from app.access.models import Role, TokenScope
from app.kit.problems import FieldError, Forbidden, Kind, NotFound, Problem, Text

missing_role = Kind(
    "missing_role",
    id="Anda tidak memiliki peran {roles} di wilayah {region}",
    en="you do not have the role {roles} in region {region}",
)
missing_scope = Kind(
    "missing_scope",
    id="token Anda tidak memiliki cakupan {scope}",
    en="your token does not have the scope {scope}",
)

ROLES_BELOW = frozenset({Role.reader, Role.reviewer, Role.administrator})
"""Roles that hold in everything below their region too."""


class Right(NamedTuple):
    roles: frozenset[Role]
    scope: TokenScope
    own_agency: bool = False
    """An operator, who is of one agency, has the right only over what that agency leads."""
    from_above: bool = False
    """Held only by a membership in a region above: nobody reviews what is its own region's."""


def _right(
    *roles: Role, scope: TokenScope = TokenScope.write, own_agency: bool = False, from_above: bool = False
) -> Right:
    return Right(frozenset(roles), scope, own_agency, from_above)


_APPROVE = TokenScope.approve


RIGHTS: dict[str, Right] = {
    "read": _right(*Role, scope=TokenScope.read),
    "read_drafts": _right(*(role for role in Role if role != Role.reader), scope=TokenScope.read),
    "write_agencies": _right(Role.secretariat, Role.administrator),
    "write_plan": _right(Role.secretariat, Role.administrator),
    "write_actions": _right(Role.operator, Role.secretariat, Role.administrator, own_agency=True),
    "report_progress": _right(Role.operator, Role.secretariat, Role.administrator, own_agency=True),
    "write_meetings": _right(Role.secretariat, Role.administrator),
    "follow_up": _right(Role.operator, Role.secretariat, Role.administrator, own_agency=True),
    "import_matrix": _right(Role.secretariat, Role.administrator),
    "submit": _right(Role.chair, scope=_APPROVE),
    "return": _right(Role.reviewer, scope=_APPROVE, from_above=True),
    "endorse": _right(Role.reviewer, scope=_APPROVE, from_above=True),
    "adopt": _right(Role.chair, scope=_APPROVE),
    "amend": _right(Role.secretariat, Role.chair),
    "close": _right(Role.chair, scope=_APPROVE),
    "submit_part": _right(Role.operator, Role.secretariat, Role.administrator, own_agency=True),
    "return_part": _right(Role.secretariat, Role.administrator),
    "submit_quarter": _right(Role.secretariat, Role.administrator, scope=_APPROVE),
    "verify_quarter": _right(Role.reviewer, scope=_APPROVE, from_above=True),
    "correct_quarter": _right(Role.secretariat, Role.administrator, scope=_APPROVE),
    "extend_quarter": _right(Role.reviewer, Role.administrator, scope=_APPROVE, from_above=True),
    "write_calendar": _right(Role.administrator, scope=TokenScope.administer),
    "write_coordinates": _right(Role.administrator),
    "write_coverage": _right(Role.secretariat, Role.administrator),
    "choose_editions": _right(Role.administrator),
    "write_editions": _right(Role.administrator),
    "write_indicators": _right(Role.administrator, scope=TokenScope.administer),
    "write_observations": _right(Role.administrator),
    "write_targets": _right(Role.secretariat, Role.administrator),
    "write_webhooks": _right(Role.administrator, scope=TokenScope.administer),
    "write_evidence": _right(Role.secretariat, Role.administrator),
    "grade_steps": _right(Role.reviewer, scope=_APPROVE, from_above=True),
    "read_access": _right(Role.administrator, scope=TokenScope.administer),
    "write_access": _right(Role.administrator, scope=TokenScope.administer),
}


def is_within(region: str, ancestor: str) -> bool:
    """Whether a region is another or lies below it; everything lies within the nation, `0`."""
    return ancestor in ("0", region) or region.startswith(f"{ancestor}.")


def ancestors_of(region: str) -> list[str]:
    """Return the codes of the regions above, from the nation down."""
    parts = region.split(".")
    return [] if region == "0" else ["0", *(".".join(parts[:n]) for n in range(1, len(parts)))]


def memberships_for(right: Right, region: str, agencies: Iterable[str]) -> list[dict[str, str]]:
    """Return the memberships any one of which gives a right over a region, the nearest region first."""
    found: list[dict[str, str]] = []
    for role in sorted(right.roles):
        above = reversed(ancestors_of(region)) if role in ROLES_BELOW else ()
        places = [{"role": str(role), "region": code} for code in (region, *above)]
        found += places[1:] if right.from_above else places
        if right.own_agency and role == Role.operator and agencies:
            found[-1:] = [{**found[-1], "agency": agency} for agency in agencies]
    return found


@dataclass(frozen=True)
class Grant:
    """A membership as rights are judged by it."""

    role: Role
    region: str
    agency: str | None

    def reaches(self, region: str) -> bool:
        return is_within(region, self.region) if self.role in ROLES_BELOW else region == self.region

    @property
    def is_below(self) -> bool:
        return self.role in ROLES_BELOW


def rights_of(grant: Grant, scopes: frozenset[TokenScope]) -> list[str]:
    """Names of the rights that a grant gives a bearer of these scopes, wherever the grant reaches."""
    return [name for name, right in RIGHTS.items() if grant.role in right.roles and right.scope in scopes]


@dataclass(frozen=True)
class Actor:
    """Who asks: one token of one principal, with what it was granted."""

    principal: str
    token: str
    scopes: frozenset[TokenScope]
    grants: tuple[Grant, ...]
    opened: tuple[str, ...] = ()
    """Regions of which anybody reads what was adopted and what was frozen. An operation that is not public has none,
    and no right follows from it: a SELECT shows what is opened where it says so (`opened`, `published`)."""

    def sees(self, region: str) -> bool:
        """Whether anything of that region's plans is visible."""
        return TokenScope.read in self.scopes and any(grant.reaches(region) for grant in self.grants)

    def may(self, verb: str, region: str, agency: str | None = None) -> bool:
        """Whether the right `verb` holds in `region`; with `agency`, over what that agency leads.

        Without an agency an operator's right counts as held: he may do it somewhere in the region.
        """
        right = RIGHTS[verb]
        return right.scope in self.scopes and any(
            grant.role in right.roles
            and grant.reaches(region)
            and not (right.from_above and grant.region == region)
            and (not right.own_agency or grant.agency is None or agency is None or grant.agency == agency)
            for grant in self.grants
        )

    @property
    def sees_every_draft(self) -> bool:
        """Whether drafts are shown wherever anything is: to most callers, whose statements then stay short."""
        return not self.opened and all(g.role in RIGHTS["read_drafts"].roles for g in self.grants)

    def require(self, verb: str, region: str, *agencies: str) -> None:
        """Raise Forbidden if the right is missing; call it for what the actor can already see.

        With `agencies`, the right over what one of them leads is enough.
        """
        if self._may_any(verb, region, agencies):
            return
        right, codes = RIGHTS[verb], [agency for agency in agencies if agency]
        allowed = memberships_for(right, region, codes)
        where = dict.fromkeys(one["region"] for one in allowed) if right.from_above else [region]
        values: dict[str, Any] = {
            "verb": verb,
            "roles": " / ".join(sorted(right.roles)),
            "region": (" / ".join(where) or "–") + (f" ({' / '.join(codes)})" if codes else ""),
            "scope": right.scope,
        }
        errors = []
        if not replace(self, scopes=frozenset(TokenScope))._may_any(verb, region, agencies):
            errors.append(FieldError(missing_role, header="Authorization", allowed=allowed, values=values))
        if right.scope not in self.scopes:
            errors.append(
                FieldError(missing_scope, header="Authorization", allowed=[right.scope], values=values)
            )
        raise Forbidden(errors=errors, memberships=allowed, **values)

    def _may_any(self, verb: str, region: str, agencies: Iterable[str]) -> bool:
        return any(self.may(verb, region, agency) for agency in agencies or (None,))

    def require_seen(self, region: str) -> None:
        """Raise NotFound if nothing of the region's plans is visible."""
        if not self.sees(region):
            raise NotFound()

    def require_somewhere(self, verb: str) -> None:
        """Raise NotFound if the right holds in no region: the actor sees nothing that it is about."""
        if not any(self.may(verb, grant.region) for grant in self.grants):
            raise NotFound()

    def require_anywhere(self, verb: str) -> None:
        """Raise Forbidden if the right holds in no region: before a file is read that names the regions."""
        if not any(self.may(verb, region) for region in {"0", *(grant.region for grant in self.grants)}):
            self.require(verb, self.grants[0].region if self.grants else "0")

    @property
    def fingerprint(self) -> str:
        """The same for every token of equal rights; part of each list's entity tag."""
        grants = sorted(f"{g.role}@{g.region}/{g.agency or '*'}" for g in self.grants)
        opened = sorted(f"public@{region}" for region in set(self.opened))
        return ";".join([*sorted(self.scopes), *grants, *opened])


def anybody(opened: tuple[str, ...]) -> Actor:
    """Whoever sends no token, where these regions are opened: of no name, no role and no scope."""
    return Actor("", "", frozenset(), (), opened)


# Principals and their tokens

PRINCIPAL_CHAINS = "principal:"
"""With a principal behind it: the journal's chain of its memberships and tokens."""

LONGEST_LIFE = timedelta(days=730)
USUAL_LIFE = timedelta(days=365)


def principal_chain(principal: str) -> str:
    """The chain of a principal; a name is longer than a chain's may be."""
    return PRINCIPAL_CHAINS + _short(principal)


def principal_subject(principal: str, token: str | None = None) -> str:
    """Address below /v1/ of a principal, or of a token of it."""
    return f"principals/{principal}" + (f"/tokens/{token}" if token else "")


def home_around(regions: Iterable[str]) -> str:
    """The smallest region in which all of these lie; the nation, `0`, where none is given."""
    parts = [[] if region == "0" else region.split(".") for region in regions]
    if not parts:
        return "0"
    common: list[str] = []
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1:
            break
        common.append(level[0])
    return ".".join(common) or "0"


def expiry_of(wanted: datetime | None, created_at: datetime) -> datetime:
    return wanted or created_at + USUAL_LIFE


def identity_digest(issuer: str | None, subject: str | None) -> str | None:
    """What the journal keeps of who a person is: enough to tell one from another, and no personal data."""
    if subject is None:
        return None
    return f"sha256:{hashlib.sha256(f'{issuer} {subject}'.encode()).hexdigest()[:16]}"


# Persons

SCOPE_PREFIX = "rata:"
"""In an issuer's token `rata:read` is our scope `read`."""


def scopes_of_person(claims: Mapping[str, object], grants: Iterable[Grant]) -> frozenset[TokenScope]:
    """The scopes that a token of the issuer names, or all that its bearer's roles can use where it names none.

    Claim `scope` (RFC 8693, words) or `scp` (words or a list, as some issuers have it). A scope that begins as ours
    do and is none grants nothing, but narrows all the same.
    """
    said: list[str] = []
    for name in ("scope", "scp"):
        value = claims.get(name, "")
        said += (
            value.split() if isinstance(value, str) else map(str, value if isinstance(value, list) else ())
        )
    ours = {one.removeprefix(SCOPE_PREFIX) for one in said if one.startswith(SCOPE_PREFIX)}
    if ours:
        return frozenset(scope for scope in TokenScope if scope in ours)
    roles = {grant.role for grant in grants}
    return frozenset(right.scope for right in RIGHTS.values() if right.roles & roles)


# What changes of what somebody sees

SCOPE_CHANGED = "scope.changed"
"""Kind of the journal's entry that tells a reader to read a region again."""

SCOPE_CHAINS = "scope:"
"""With a principal behind it: the journal's chain of what that principal has come to see and no longer sees."""

Reach = Literal["region", "below"]


def scope_chain(principal: str) -> str:
    """The chain of what one principal sees."""
    return SCOPE_CHAINS + _short(principal)


def _short(principal: str) -> str:
    return hashlib.sha256(principal.encode()).hexdigest()[:40]


class ScopeChange(NamedTuple):
    """A region of which somebody sees another part than before: nothing (None), itself, or all below it too."""

    region: str
    before: Reach | None
    after: Reach | None
    drafts_before: Reach | None = None
    """The same of what is not in force yet."""
    drafts_after: Reach | None = None


def scope_changes(before: Iterable[Grant], after: Iterable[Grant]) -> list[ScopeChange]:
    """What other grants change of what is seen; nothing where others of them show the same."""
    old, new = tuple(before), tuple(after)
    old_drafts, new_drafts = _of_drafts(old), _of_drafts(new)
    moved = _moved(old, new) | _moved(old_drafts, new_drafts)
    return [
        ScopeChange(region, *(_reach(grants, region) for grants in (old, new, old_drafts, new_drafts)))
        for region in sorted(moved)
    ]


def _of_drafts(grants: Iterable[Grant]) -> tuple[Grant, ...]:
    return tuple(grant for grant in grants if grant.role in RIGHTS["read_drafts"].roles)


def _moved(old: tuple[Grant, ...], new: tuple[Grant, ...]) -> set[str]:
    gone = {g.region for g in old if not _shows(new, g.region, g.is_below)}
    return gone | {g.region for g in new if not _shows(old, g.region, g.is_below)}


def _shows(grants: Iterable[Grant], region: str, is_below: bool) -> bool:
    return any(grant.reaches(region) and (grant.is_below or not is_below) for grant in grants)


def _reach(grants: tuple[Grant, ...], region: str) -> Reach | None:
    if _shows(grants, region, is_below=True):
        return "below"
    return "region" if _shows(grants, region, is_below=False) else None


CONSOLE = Actor("console", "console", frozenset(TokenScope), (Grant(Role.administrator, "0", None),))
"""Whoever runs the command line on the server: an administrator of the nation, named so in the journal."""


class IssuerUnreachable(Problem):
    status = 503
    code = "issuer_unreachable"
    title = Text("Penerbit token tidak menjawab", "The token issuer does not answer")
    detail = Text(
        "Token Anda belum dapat diperiksa karena penerbitnya tidak menjawab. Coba lagi sesaat lagi.",
        "Your token cannot be checked yet, because its issuer does not answer. Try again in a moment.",
    )


class Untrusted(Exception):
    """A token that is not an authentic, current one of the issuer for this service."""
