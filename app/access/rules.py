"""Rights as one table: verb → roles and token scope. A verb without a row is not allowed.

The roles operator, secretariat and chair hold in their region alone; reader, reviewer and administrator hold in every
region below too.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from app.access.models import Role, TokenScope
from app.kit.problems import FieldError, Forbidden, Kind, NotFound, Problem
from app.kit.wording import Text, declare_words

missing_role = Kind(
    "missing_role",
    id="Hanya {roles:or} di wilayah {region:or} yang dapat {verb:right}.",
    en="Only {roles:or} in region {region:or} can {verb:right}.",
)
missing_scope = Kind(
    "missing_scope",
    id="Token Anda tidak memiliki cakupan {scope:scope}, yang diperlukan untuk {verb:right}. Minta token dengan "
    "cakupan itu kepada administrator.",
    en="Your token lacks the scope to {scope:scope}, which you need to {verb:right}. Ask the administrator for one "
    "that has it.",
)

ROLES_BELOW = frozenset({Role.reader, Role.reviewer, Role.administrator})
"""Roles that hold in their region and in every region below it."""


class Right(NamedTuple):
    roles: frozenset[Role]
    scope: TokenScope
    own_agency: bool = False
    """The right of an operator covers only the lines that the operator's agency leads."""
    from_above: bool = False
    """Only a membership in a region above gives the right: no region reviews itself."""


def _define_right(
    *roles: Role, scope: TokenScope = TokenScope.write, own_agency: bool = False, from_above: bool = False
) -> Right:
    return Right(frozenset(roles), scope, own_agency, from_above)


_APPROVE = TokenScope.approve


RIGHTS: dict[str, Right] = {
    "read": _define_right(*Role, scope=TokenScope.read),
    "read_drafts": _define_right(*(role for role in Role if role != Role.reader), scope=TokenScope.read),
    "write_agencies": _define_right(Role.secretariat, Role.administrator),
    "write_plan": _define_right(Role.secretariat, Role.administrator),
    "write_actions": _define_right(Role.operator, Role.secretariat, Role.administrator, own_agency=True),
    "report_progress": _define_right(Role.operator, Role.secretariat, Role.administrator, own_agency=True),
    "write_meetings": _define_right(Role.secretariat, Role.administrator),
    "follow_up": _define_right(Role.operator, Role.secretariat, Role.administrator, own_agency=True),
    "import_matrix": _define_right(Role.secretariat, Role.administrator),
    "submit": _define_right(Role.chair, scope=_APPROVE),
    "return": _define_right(Role.reviewer, scope=_APPROVE, from_above=True),
    "endorse": _define_right(Role.reviewer, scope=_APPROVE, from_above=True),
    "adopt": _define_right(Role.chair, scope=_APPROVE),
    "amend": _define_right(Role.secretariat, Role.chair),
    "close": _define_right(Role.chair, scope=_APPROVE),
    "submit_part": _define_right(Role.operator, Role.secretariat, Role.administrator, own_agency=True),
    "return_part": _define_right(Role.secretariat, Role.administrator),
    "submit_quarter": _define_right(Role.secretariat, Role.administrator, scope=_APPROVE),
    "verify_quarter": _define_right(Role.reviewer, scope=_APPROVE, from_above=True),
    "correct_quarter": _define_right(Role.secretariat, Role.administrator, scope=_APPROVE),
    "extend_quarter": _define_right(Role.reviewer, Role.administrator, scope=_APPROVE, from_above=True),
    "write_calendar": _define_right(Role.administrator, scope=TokenScope.administer),
    "write_coordinates": _define_right(Role.administrator),
    "write_coverage": _define_right(Role.secretariat, Role.administrator),
    "choose_editions": _define_right(Role.administrator),
    "write_editions": _define_right(Role.administrator),
    "write_indicators": _define_right(Role.administrator, scope=TokenScope.administer),
    "write_observations": _define_right(Role.administrator),
    "write_targets": _define_right(Role.secretariat, Role.administrator),
    "write_webhooks": _define_right(Role.administrator, scope=TokenScope.administer),
    "write_evidence": _define_right(Role.secretariat, Role.administrator),
    "grade_steps": _define_right(Role.reviewer, scope=_APPROVE, from_above=True),
    "read_access": _define_right(Role.administrator, scope=TokenScope.administer),
    "write_access": _define_right(Role.administrator, scope=TokenScope.administer),
}

declare_words(
    {
        "read": Text("membaca", "read"),
        "read_drafts": Text("membaca draf", "read drafts"),
        "write_agencies": Text("mengelola perangkat daerah", "manage agencies"),
        "write_plan": Text("menyusun rencana", "write the plan"),
        "write_actions": Text("mengisi baris rencana", "write lines of the plan"),
        "report_progress": Text("melaporkan realisasi", "report progress"),
        "write_meetings": Text("mengelola rapat koordinasi", "manage coordination meetings"),
        "follow_up": Text("menindaklanjuti komitmen", "follow up on commitments"),
        "import_matrix": Text("mengimpor matriks", "import the matrix"),
        "submit": Text("mengajukan rencana", "submit the plan"),
        "return": Text("mengembalikan rencana", "return the plan"),
        "endorse": Text("menyetujui rencana", "endorse the plan"),
        "adopt": Text("menetapkan rencana", "adopt the plan"),
        "amend": Text("membuka perubahan rencana", "open an amendment"),
        "close": Text("menutup rencana", "close the plan"),
        "submit_part": Text("mengajukan bagian perangkat daerah", "submit the part of an agency"),
        "return_part": Text("mengembalikan bagian perangkat daerah", "return the part of an agency"),
        "submit_quarter": Text("mengajukan triwulan", "submit the quarter"),
        "verify_quarter": Text("memverifikasi triwulan", "verify the quarter"),
        "correct_quarter": Text("membuka koreksi triwulan", "open a correction of the quarter"),
        "extend_quarter": Text("memperpanjang tenggat triwulan", "extend the deadline of the quarter"),
        "write_calendar": Text("mengatur kalender pelaporan", "set the reporting calendar"),
        "write_coordinates": Text("mengisi koordinat", "enter coordinates"),
        "write_coverage": Text("mengisi cakupan layanan", "enter the coverage of services"),
        "choose_editions": Text("memilih edisi", "choose editions"),
        "write_editions": Text("mengelola edisi", "manage editions"),
        "write_indicators": Text("mengelola indikator", "manage indicators"),
        "write_observations": Text("mengisi data indikator", "enter observations of indicators"),
        "write_targets": Text("mengatur target", "set targets"),
        "write_webhooks": Text("mengelola webhook", "manage webhooks"),
        "write_evidence": Text("mengisi bukti langkah", "enter evidence of steps"),
        "grade_steps": Text("menilai langkah", "grade steps"),
        "read_access": Text("membaca hak akses", "read access rights"),
        "write_access": Text("mengelola hak akses", "manage access rights"),
    },
    form="right",
)


def is_within(region: str, ancestor: str) -> bool:
    """Return whether a region is `ancestor` or lies below it. Every region lies within the nation, `0`."""
    return ancestor in ("0", region) or region.startswith(f"{ancestor}.")


def list_ancestors(region: str) -> list[str]:
    """Return the codes of the regions above, from the nation down."""
    parts = region.split(".")
    return [] if region == "0" else ["0", *(".".join(parts[:n]) for n in range(1, len(parts)))]


def name_reviewer(region: str) -> Text:
    """Return the words for the reviewer of a region's plan and quarters: for a province, one of the nation."""
    if "." in region:
        return Text("penelaah provinsi", "the reviewer of the province")
    return Text("penelaah nasional", "the reviewer of the nation")


def list_memberships(right: Right, region: str, agencies: Iterable[str]) -> list[dict[str, str]]:
    """Return the memberships that each give a right over a region, the nearest region first."""
    memberships: list[dict[str, str]] = []
    for role in sorted(right.roles):
        above = reversed(list_ancestors(region)) if role in ROLES_BELOW else ()
        places = [{"role": str(role), "region": code} for code in (region, *above)]
        memberships += places[1:] if right.from_above else places
        if right.own_agency and role == Role.operator and agencies:
            memberships[-1:] = [{**memberships[-1], "agency": agency} for agency in agencies]
    return memberships


@dataclass(frozen=True)
class Grant:
    """A membership: a role in a region, and for an operator the agency."""

    role: Role
    region: str
    agency: str | None

    def reaches(self, region: str) -> bool:
        return is_within(region, self.region) if self.role in ROLES_BELOW else region == self.region

    @property
    def is_below(self) -> bool:
        return self.role in ROLES_BELOW


def list_rights(grant: Grant, scopes: frozenset[TokenScope]) -> list[str]:
    """Return the names of the rights that a grant gives a token of these scopes."""
    return [name for name, right in RIGHTS.items() if grant.role in right.roles and right.scope in scopes]


@dataclass(frozen=True)
class Actor:
    """The caller: one token of one principal, with its scopes and grants."""

    principal: str
    token: str
    scopes: frozenset[TokenScope]
    grants: tuple[Grant, ...]
    opened: tuple[str, ...] = ()
    """Public regions: their adopted and frozen data needs no token. Empty unless the operation is public. They give no
    right; a SELECT must ask for them (`is_public_region`, `can_read_frozen`)."""

    def sees(self, region: str) -> bool:
        """Return whether the actor may read anything of that region's plans."""
        return TokenScope.read in self.scopes and any(grant.reaches(region) for grant in self.grants)

    def may(self, verb: str, region: str, agency: str | None = None) -> bool:
        """Return whether the actor has the right `verb` in `region`; with `agency`, over the lines that it leads.

        Without an agency, an operator of any agency of the region has the right.
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
        """True if every grant shows drafts. It holds for most callers, and shortens their statements."""
        return not self.opened and all(g.role in RIGHTS["read_drafts"].roles for g in self.grants)

    def require(self, verb: str, region: str, *agencies: str) -> None:
        """Raise Forbidden if the actor lacks the right; only call this for a region that the actor sees.

        With `agencies`, the right over the lines of one of them is enough.
        """
        if self._may_any(verb, region, agencies):
            return
        right, codes = RIGHTS[verb], [agency for agency in agencies if agency]
        allowed = list_memberships(right, region, codes)
        above = list_ancestors(region)[::-1]
        values: dict[str, Any] = {
            "verb": verb,
            "roles": [
                name_reviewer(region) if right.from_above and role == Role.reviewer else role
                for role in Role
                if role in right.roles
            ],
            "region": above if right.from_above else [region],
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
        """Raise NotFound if the actor sees nothing of the region's plans."""
        if not self.sees(region):
            raise NotFound()

    def require_somewhere(self, verb: str) -> None:
        """Raise NotFound if no grant gives the right: the actor sees nothing that the verb is about."""
        if not any(self.may(verb, grant.region) for grant in self.grants):
            raise NotFound()

    def require_anywhere(self, verb: str) -> None:
        """Raise Forbidden if the right holds in no region. For imports, before they read the file with the regions."""
        if not any(self.may(verb, region) for region in {"0", *(grant.region for grant in self.grants)}):
            self.require(verb, self.grants[0].region if self.grants else "0")

    @property
    def fingerprint(self) -> str:
        """Text of the rights, equal for tokens of equal rights; part of each list's ETag."""
        grants = sorted(f"{g.role}@{g.region}/{g.agency or '*'}" for g in self.grants)
        opened = sorted(f"public@{region}" for region in set(self.opened))
        return ";".join([*sorted(self.scopes), *grants, *opened])


def make_public_actor(opened: tuple[str, ...]) -> Actor:
    """Return the actor of a request without a token: no name, no scope, no grants, only these public regions."""
    return Actor("", "", frozenset(), (), opened)


# Principals and their tokens

PRINCIPAL_CHAINS = "principal:"
"""Prefix of the journal chain of a principal's memberships and tokens."""

MAX_TOKEN_LIFE = timedelta(days=730)
DEFAULT_TOKEN_LIFE = timedelta(days=365)


def format_principal_chain(principal: str) -> str:
    """Return the chain of a principal, with a digest of its name: a name may be longer than a chain's."""
    return PRINCIPAL_CHAINS + _shorten_name(principal)


def format_principal_subject(principal: str, token: str | None = None) -> str:
    """Return the address below /v1/ of a principal, or of one of its tokens."""
    return f"principals/{principal}" + (f"/tokens/{token}" if token else "")


def find_common_region(regions: Iterable[str]) -> str:
    """Return the smallest region that contains all of these; without any, the nation, `0`."""
    parts = [[] if region == "0" else region.split(".") for region in regions]
    if not parts:
        return "0"
    common: list[str] = []
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1:
            break
        common.append(level[0])
    return ".".join(common) or "0"


def choose_expiry(requested: datetime | None, created_at: datetime) -> datetime:
    """Return the expiry of a token: the requested one, or `DEFAULT_TOKEN_LIFE` after its creation."""
    return requested or created_at + DEFAULT_TOKEN_LIFE


def hash_identity(issuer: str | None, subject: str | None) -> str | None:
    """Return the digest of a person's identity for the journal: it distinguishes persons without personal data."""
    if subject is None:
        return None
    return f"sha256:{hashlib.sha256(f'{issuer} {subject}'.encode()).hexdigest()[:16]}"


# Persons

SCOPE_PREFIX = "rata:"
"""Prefix of our scopes in an issuer's token: `rata:read` is the scope `read`."""


def read_scopes(claims: Mapping[str, object], grants: Iterable[Grant]) -> frozenset[TokenScope]:
    """Return the scopes of an issuer's token; if it names none of ours, all that its bearer's roles can use.

    Reads claim `scope` (RFC 8693, words) and `scp` (words or a list, of some issuers). An unknown scope with our
    prefix grants nothing, yet narrows the token.
    """
    named: list[str] = []
    for name in ("scope", "scp"):
        value = claims.get(name, "")
        named += (
            value.split() if isinstance(value, str) else map(str, value if isinstance(value, list) else ())
        )
    ours = {scope.removeprefix(SCOPE_PREFIX) for scope in named if scope.startswith(SCOPE_PREFIX)}
    if ours:
        return frozenset(scope for scope in TokenScope if scope in ours)
    roles = {grant.role for grant in grants}
    return frozenset(right.scope for right in RIGHTS.values() if right.roles & roles)


# Changes of visibility

SCOPE_CHANGED = "scope.changed"
"""Kind of the journal entry after which a reader of the feed must read a region again."""

SCOPE_CHAINS = "scope:"
"""Prefix of the journal chain of the changes to a principal's visible regions."""

Reach = Literal["region", "below"]


def format_scope_chain(principal: str) -> str:
    """Return the chain of the changes to a principal's visible regions."""
    return SCOPE_CHAINS + _shorten_name(principal)


def _shorten_name(principal: str) -> str:
    return hashlib.sha256(principal.encode()).hexdigest()[:40]


class ScopeChange(NamedTuple):
    """A change of a region's visibility to a principal: nothing (None), the region, or all below it too."""

    region: str
    before: Reach | None
    after: Reach | None
    drafts_before: Reach | None = None
    """`before` for drafts."""
    drafts_after: Reach | None = None
    """`after` for drafts."""


def find_scope_changes(before: Iterable[Grant], after: Iterable[Grant]) -> list[ScopeChange]:
    """Return the visibility changes between two sets of grants."""
    old, new = tuple(before), tuple(after)
    old_drafts, new_drafts = _select_draft_grants(old), _select_draft_grants(new)
    regions = _find_changed_regions(old, new) | _find_changed_regions(old_drafts, new_drafts)
    return [
        ScopeChange(region, *(_find_reach(grants, region) for grants in (old, new, old_drafts, new_drafts)))
        for region in sorted(regions)
    ]


def _select_draft_grants(grants: Iterable[Grant]) -> tuple[Grant, ...]:
    return tuple(grant for grant in grants if grant.role in RIGHTS["read_drafts"].roles)


def _find_changed_regions(old: tuple[Grant, ...], new: tuple[Grant, ...]) -> set[str]:
    gone = {g.region for g in old if not _can_see(new, g.region, g.is_below)}
    return gone | {g.region for g in new if not _can_see(old, g.region, g.is_below)}


def _can_see(grants: Iterable[Grant], region: str, is_below: bool) -> bool:
    return any(grant.reaches(region) and (grant.is_below or not is_below) for grant in grants)


def _find_reach(grants: tuple[Grant, ...], region: str) -> Reach | None:
    if _can_see(grants, region, is_below=True):
        return "below"
    return "region" if _can_see(grants, region, is_below=False) else None


CONSOLE = Actor("console", "console", frozenset(TokenScope), (Grant(Role.administrator, "0", None),))
"""The actor of the command line on the server: an administrator of the nation."""


class IssuerUnreachable(Problem):
    status = 503
    code = "issuer_unreachable"
    title = Text("Penerbit token tidak menjawab", "The token issuer does not answer")
    detail = Text(
        "Token Anda belum dapat diperiksa karena penerbitnya tidak menjawab. Coba lagi sesaat lagi.",
        "Your token cannot be checked yet, because its issuer does not answer. Try again in a moment.",
    )


class UntrustedToken(Exception):
    """Raised for a token that the issuer did not give for this service, or that has expired."""
