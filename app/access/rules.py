"""Rights as one table: which roles, with which token scope, may do what.

Roles of the region itself (operator, secretariat, chair) hold in that region alone; reader, reviewer
and administrator hold in everything below theirs too. Nothing is allowed that no row allows.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from app.access.models import Role, TokenScope
from app.kit.problems import Forbidden

_BELOW = frozenset({Role.reader, Role.reviewer, Role.administrator})


class Right(NamedTuple):
    roles: frozenset[Role]
    scope: TokenScope
    own_agency: bool = False
    """An operator, who is of one agency, has the right only over what that agency leads."""


def _right(*roles: Role, scope: TokenScope = TokenScope.write, own_agency: bool = False) -> Right:
    return Right(frozenset(roles), scope, own_agency)


RIGHTS: dict[str, Right] = {
    "read": _right(*Role, scope=TokenScope.read),
    "write_agencies": _right(Role.secretariat, Role.administrator),
    "write_plan": _right(Role.secretariat, Role.administrator),
    "write_actions": _right(Role.operator, Role.secretariat, Role.administrator, own_agency=True),
    "report_progress": _right(Role.operator, Role.secretariat, Role.administrator, own_agency=True),
    "write_meetings": _right(Role.secretariat, Role.administrator),
    "follow_up": _right(Role.operator, Role.secretariat, Role.administrator, own_agency=True),
    "import_matrix": _right(Role.secretariat, Role.administrator),
    "write_coverage": _right(Role.secretariat, Role.administrator),
    "choose_editions": _right(Role.administrator),
    "write_editions": _right(Role.administrator),
    "write_indicators": _right(Role.administrator, scope=TokenScope.administer),
    "write_observations": _right(Role.administrator),
    "write_targets": _right(Role.secretariat, Role.administrator),
    "read_access": _right(Role.administrator, scope=TokenScope.administer),
}


def is_within(region: str, ancestor: str) -> bool:
    """Whether a region is another or lies below it; everything lies within the nation, `0`."""
    return ancestor in ("0", region) or region.startswith(f"{ancestor}.")


@dataclass(frozen=True)
class Grant:
    """A membership as rights are judged by it."""

    role: Role
    region: str
    agency: str | None

    def reaches(self, region: str) -> bool:
        return is_within(region, self.region) if self.role in _BELOW else region == self.region

    @property
    def is_below(self) -> bool:
        return self.role in _BELOW


@dataclass(frozen=True)
class Actor:
    """Who asks: one token of one principal, with what it was granted."""

    principal: str
    token: str
    scopes: frozenset[TokenScope]
    grants: tuple[Grant, ...]

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
            and (not right.own_agency or grant.agency is None or agency is None or grant.agency == agency)
            for grant in self.grants
        )

    def require(self, verb: str, region: str, agency: str | None = None) -> None:
        """Forbidden (403) where the right is missing; call it for what the actor can already see."""
        if not self.may(verb, region, agency):
            right = RIGHTS[verb]
            raise Forbidden(
                verb=verb,
                roles=" / ".join(sorted(right.roles)),
                region=region + (f" ({agency})" if agency else ""),
                scope=right.scope,
            )

    @property
    def fingerprint(self) -> str:
        """The same for every token of equal rights; part of each list's entity tag."""
        grants = sorted(f"{g.role}@{g.region}/{g.agency or '*'}" for g in self.grants)
        return ";".join([*sorted(self.scopes), *grants])


# What changes of what somebody sees

SCOPE_CHANGED = "scope.changed"
"""Kind of the journal's entry that tells a reader to read a region again."""

SCOPE_CHAINS = "scope:"
"""With a principal behind it: the journal's chain of what that principal has come to see and no longer sees."""

Reach = Literal["region", "below"]


def scope_chain(principal: str) -> str:
    """The chain of a principal; a name is longer than a chain's may be."""
    return SCOPE_CHAINS + hashlib.sha256(principal.encode()).hexdigest()[:40]


class ScopeChange(NamedTuple):
    """A region of which somebody sees another part than before: nothing (None), itself, or all below it too."""

    region: str
    before: Reach | None
    after: Reach | None


def scope_changes(before: Iterable[Grant], after: Iterable[Grant]) -> list[ScopeChange]:
    """What other grants change of what is seen; nothing where others of them show the same."""
    old, new = tuple(before), tuple(after)
    moved = {g.region for g in old if not _shows(new, g.region, g.is_below)}
    moved |= {g.region for g in new if not _shows(old, g.region, g.is_below)}
    return [ScopeChange(region, _reach(old, region), _reach(new, region)) for region in sorted(moved)]


def _shows(grants: Iterable[Grant], region: str, is_below: bool) -> bool:
    return any(grant.reaches(region) and (grant.is_below or not is_below) for grant in grants)


def _reach(grants: tuple[Grant, ...], region: str) -> Reach | None:
    if _shows(grants, region, is_below=True):
        return "below"
    return "region" if _shows(grants, region, is_below=False) else None


CONSOLE = Actor("console", "console", frozenset(TokenScope), (Grant(Role.administrator, "0", None),))
"""Whoever runs the command line on the server: an administrator of the nation, named so in the journal."""
