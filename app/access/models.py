"""Principals, memberships and service tokens: tables and wire shapes."""

import ipaddress
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

import sqlalchemy as sa
from pydantic import AfterValidator, BaseModel, JsonValue, StringConstraints, model_validator
from pydantic import Field as ShapeField
from sqlmodel import Field

from app.kit.database.engine import Table
from app.kit.fields import (
    SOMETIMES,
    AgencyCode,
    Instant,
    RegionCode,
    Shape,
    Version,
    describe_key,
    show_example,
)
from app.kit.http.pagination import PageQuery
from app.kit.http.validation import RuleBroken, refuse_repeated
from app.kit.problems import Kind
from app.kit.wording import Text, declare_words

PrincipalKey = Annotated[
    str, describe_key("Name of the principal: a service or a position.", "dasbor-kotabaru")
]
TokenKey = Annotated[
    str, describe_key("Name of the token, once in the whole service.", "dasbor-kotabaru-2026")
]

malformed_network = Kind(
    "malformed_network",
    id="“{value}” bukan alamat jaringan. Contoh: {allowed}.",
    en="“{value}” is not the address of a network. Examples: {allowed}.",
)
agency_of_operator = Kind(
    "agency_of_operator",
    id="Hanya operator yang dapat dibatasi pada satu perangkat daerah. Kosongkan perangkat daerahnya.",
    en="Only an operator can have the role for one agency. Leave the agency out.",
)


class Role(StrEnum):
    """Roles that a membership gives in a region (design, section 3)."""

    operator = "operator"
    secretariat = "secretariat"
    chair = "chair"
    reviewer = "reviewer"
    administrator = "administrator"
    reader = "reader"


declare_words(
    {
        Role.operator: Text("operator perangkat daerah", "the operator of the agency"),
        Role.secretariat: Text("sekretariat TKPK", "the TKPK secretariat"),
        Role.chair: Text("Ketua TKPK", "the TKPK chair"),
        Role.reviewer: Text("penelaah provinsi", "the reviewer of the province"),
        Role.administrator: Text("administrator", "the administrator"),
        Role.reader: Text("pembaca", "a reader"),
    }
)


class TokenScope(StrEnum):
    """Limits of a token, for every role of its principal."""

    read = "read"
    write = "write"
    approve = "approve"
    administer = "administer"


declare_words(
    {
        TokenScope.read: Text("membaca", "read"),
        TokenScope.write: Text("menulis", "write"),
        TokenScope.approve: Text("menyetujui", "approve"),
        TokenScope.administer: Text("mengelola", "administer"),
    },
    form="scope",
)


# Principals


class MembershipShape(Shape):
    """One role in one region."""

    role: Role
    region_code: RegionCode
    agency_code: AgencyCode | None = ShapeField(default=None, description="Null: every agency of the region.")

    @model_validator(mode="after")
    def _check_agency_role(self) -> "MembershipShape":
        if self.agency_code is not None and self.role != Role.operator:
            raise RuleBroken(agency_of_operator, at="/agency_code", value=self.role)
        return self


class PrincipalFields(BaseModel):
    region_code: RegionCode = ShapeField(
        description="Home region: its administrators manage the principal, and the memberships lie in it or "
        "below. A later write cannot change it."
    )
    subject: Annotated[
        str | None,
        StringConstraints(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$"),
    ] = ShapeField(
        default=None,
        description="For a person: the issuer's identifier of the holder of this position, never a name. "
        "Null: a service, which has tokens alone.",
    )


_POSITION: dict[str, JsonValue] = {
    "region_code": "63.02",
    "subject": None,
    "memberships": [{"role": "reader", "region_code": "63.02", "agency_code": None}],
}
_PRINCIPAL_OUT: dict[str, JsonValue] = {
    **_POSITION,
    "name": "dasbor-kotabaru",
    "issuer": None,
    "last_used_at": None,
    "version": 1,
}


class PrincipalIn(PrincipalFields, Shape):
    """Home, subject and roles of a principal."""

    memberships: list[MembershipShape] = ShapeField(
        default=[], max_length=200, description="All memberships, replaced as a whole; none: no rights."
    )

    model_config = show_example(_POSITION)

    @model_validator(mode="after")
    def _refuse_repeated_memberships(self) -> "PrincipalIn":
        places = ("/".join(filter(None, (m.region_code, m.agency_code))) for m in self.memberships)
        keys = (f"{m.role}@{place}" for m, place in zip(self.memberships, places, strict=True))
        refuse_repeated(keys, at="/memberships")
        return self


class PrincipalOut(PrincipalFields):
    """A principal: a service, or a position that a person holds."""

    name: str
    issuer: str | None = ShapeField(description="Issuer of the subject; null for a service.")
    memberships: list[MembershipShape]
    last_used_at: datetime | None = ShapeField(
        description="Last use of a token of the issuer by the person, to within five minutes."
    )
    version: Version

    model_config = show_example(_PRINCIPAL_OUT)


PrincipalVerb = Literal["edit", "delete", "write_tokens"]


class PrincipalReply(PrincipalOut):
    """A principal with the verbs that the caller may use."""

    allowed: list[PrincipalVerb]

    model_config = show_example(_PRINCIPAL_OUT, allowed=["edit", "delete", "write_tokens"])


class PrincipalQuery(PageQuery):
    """Filters and order of the list of principals; a principal must meet all filters."""

    region: RegionCode | None = ShapeField(
        default=None, description="Home in this region or anywhere below it."
    )
    role: Role | None = ShapeField(
        default=None, description="Only principals with a membership of this role."
    )
    sort: Literal["name", "-name"] = "name"


class Principal(PrincipalFields, Table, table=True):
    """A service or a position that acts; never a person's name."""

    __tablename__ = "principal"
    __table_args__ = (sa.UniqueConstraint("issuer", "subject"),)

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True, max_length=80)
    region_code: str = Field(default="0", max_length=13, index=True)
    issuer: str | None = Field(default=None, max_length=300)
    subject: str | None = Field(default=None, max_length=255)
    created_at: datetime
    last_used_at: datetime | None = None
    version: int = 1


class TokenPosition(Table, table=True):
    """The principal of a token from an entry of the journal on, for entries that name the token alone.

    A migration filled it once: younger entries name the principal themselves.
    """

    __tablename__ = "token_position"

    token: str = Field(primary_key=True, max_length=80)
    from_sequence: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    principal: str = Field(max_length=80)


class Membership(Table, table=True):
    """A role of a principal in a region; an operator may have it for one agency alone."""

    __tablename__ = "membership"
    __table_args__ = (sa.UniqueConstraint("principal_id", "role", "region_code", "agency_code"),)

    id: int | None = Field(default=None, primary_key=True)
    principal_id: int = Field(foreign_key="principal.id", index=True)
    role: Role
    region_code: str = Field(max_length=13)
    agency_code: str = Field(default="", max_length=40, description="Empty: every agency of the region.")


# Tokens


def _normalise_network(text: str) -> str:
    """Return a network in its normal form: `10.0.0.0/8`, a single address as `192.0.2.7/32`."""
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise RuleBroken(
            malformed_network, at="", value=text, allowed="10.20.0.0/16, 192.0.2.7, 2001:db8::/32"
        ) from None


Network = Annotated[str, StringConstraints(max_length=50), AfterValidator(_normalise_network)]


class TokenFields(BaseModel):
    scopes: list[TokenScope] = ShapeField(
        min_length=1, max_length=4, description="Scopes that limit the token."
    )
    networks: list[str] = ShapeField(
        default=[], description="Networks (CIDR) from which the service accepts it; empty: all."
    )


_TOKEN: dict[str, JsonValue] = {"scopes": ["read"], "networks": ["10.20.0.0/16"]}
_TOKEN_OUT: dict[str, JsonValue] = {
    **_TOKEN,
    "name": "dasbor-kotabaru-2026",
    "created_at": "2026-11-21T00:00:00+00:00",
    "expires_at": "2027-11-21T00:00:00+00:00",
    "revoked_at": None,
    "last_used_at": "2026-11-21T01:05:00+00:00",
    "version": 1,
}


class TokenIn(TokenFields, Shape):
    """Limits and expiry of a token."""

    networks: list[Network] = ShapeField(
        default=[],
        max_length=50,
        description="Networks (CIDR) from which the service accepts it; empty: all.",
    )
    expires_at: Instant | None = ShapeField(
        default=None, description="At most two years ahead; null: a year from its creation."
    )

    model_config = show_example({**_TOKEN, "expires_at": None})

    @model_validator(mode="after")
    def _refuse_repeats(self) -> "TokenIn":
        refuse_repeated(self.scopes, at="/scopes")
        refuse_repeated(self.networks, at="/networks")
        return self


class TokenOut(TokenFields):
    """A service token without its secret."""

    name: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None = ShapeField(description="To within five minutes; null: never used.")
    version: Version

    model_config = show_example(_TOKEN_OUT)


class TokenReply(TokenOut):
    """A service token, with its secret in the one reply that created it."""

    secret: str | None = ShapeField(
        default=None,
        description="`rata_…`, only in the 201 that creates it; the service stores a hash.",
        json_schema_extra=SOMETIMES,
    )

    model_config = show_example({**_TOKEN_OUT, "last_used_at": None, "secret": "rata_…"})


class TokenQuery(PageQuery):
    """Order of the list of tokens."""

    sort: Literal["name", "-name", "expires_at", "-expires_at"] = "name"


class Token(Table, table=True):
    """A service token. The table has only a hash of its secret.

    The secret has 256 random bits, so a plain SHA-256 protects it; a password hash would only cost.
    """

    __tablename__ = "token"

    id: int | None = Field(default=None, primary_key=True)
    principal_id: int = Field(foreign_key="principal.id", index=True)
    name: str = Field(unique=True, max_length=80)
    hash: str = Field(unique=True, max_length=64)
    scopes: list[str] = Field(sa_type=sa.JSON)
    networks: list[str] = Field(sa_type=sa.JSON, description="CIDR; empty: from anywhere.")
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    version: int = 1


# The caller


class Held(BaseModel):
    """A role in a region, with the rights that it gives this token there."""

    role: Role
    region_code: RegionCode
    agency_code: AgencyCode | None = ShapeField(description="Null: every agency of the region.")
    rights: list[str] = ShapeField(
        description="Rights that role and scopes give together, such as `read` or `write_actions`."
    )


class Me(BaseModel):
    """Principal, scopes and rights of a token."""

    principal: str
    token: str = ShapeField(
        description="Name that histories show: of the service token, or of a person's position."
    )
    kind: Literal["service", "person"] = ShapeField(
        description="`service`: a token of this service; `person`: one of the issuer."
    )
    scopes: list[TokenScope]
    memberships: list[Held]
    expires_at: datetime
    last_used_at: datetime | None = ShapeField(
        description="Last use before this one, to within five minutes; null: none."
    )

    model_config = show_example(
        {
            "principal": "sekretariat-kotabaru",
            "token": "sekretariat-kotabaru-2026",
            "kind": "service",
            "scopes": ["read", "write"],
            "memberships": [
                {
                    "role": "secretariat",
                    "region_code": "63.02",
                    "agency_code": None,
                    "rights": ["read", "write_agencies", "write_plan", "write_actions"],
                }
            ],
            "expires_at": "2027-11-21T00:00:00+00:00",
            "last_used_at": "2026-11-21T01:05:00+00:00",
        }
    )
