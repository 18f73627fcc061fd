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
    id="{value} bukan jaringan; gunakan {allowed}",
    en="{value} is not a network; use {allowed}",
)
agency_of_operator = Kind(
    "agency_of_operator",
    id="peran {value} berlaku untuk seluruh wilayah; hanya operator yang terikat pada satu perangkat daerah",
    en="the role {value} is of the whole region; only an operator is of one agency",
)


class Role(StrEnum):
    """What a membership lets one do (design, section 3)."""

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
    """What a token is limited to, whatever its principal's roles."""

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
        description="Home: the region whose administrators manage it; its memberships lie there or below. "
        "It stays as it was created."
    )
    subject: Annotated[
        str | None,
        StringConstraints(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$"),
    ] = ShapeField(
        default=None,
        description="For a person: the identifier under which the issuer knows who holds this position, never a name. "
        "Null: a service, which has tokens alone.",
    )


_POSITION: dict[str, JsonValue] = {
    "region_code": "63.02",
    "subject": None,
    "memberships": [{"role": "reader", "region_code": "63.02", "agency_code": None}],
}


class PrincipalIn(PrincipalFields, Shape):
    """Who somebody is to this service: home, subject, roles."""

    memberships: list[MembershipShape] = ShapeField(
        default=[], max_length=200, description="Replaced whole; none: it may do nothing."
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
    issuer: str | None = ShapeField(description="Issuer that the subject is of; null for a service.")
    memberships: list[MembershipShape]
    last_used_at: datetime | None = ShapeField(
        description="When the person last came with a token of the issuer, to within five minutes."
    )
    version: Version

    model_config = show_example(
        {**_POSITION, "name": "dasbor-kotabaru", "issuer": None, "last_used_at": None, "version": 1}
    )


PrincipalVerb = Literal["edit", "delete", "write_tokens"]


class PrincipalReply(PrincipalOut):
    """A principal with what the caller may do next."""

    allowed: list[PrincipalVerb]

    model_config = show_example(
        {
            **_POSITION,
            "name": "dasbor-kotabaru",
            "issuer": None,
            "last_used_at": None,
            "version": 1,
            "allowed": ["edit", "delete", "write_tokens"],
        }
    )


class PrincipalQuery(PageQuery):
    """Filters and order of the list of principals; a principal must meet all filters."""

    region: RegionCode | None = ShapeField(
        default=None, description="Home in this region or anywhere below it."
    )
    role: Role | None = ShapeField(default=None, description="Has a membership of this role.")
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
        min_length=1, max_length=4, description="What the token is limited to."
    )
    networks: list[str] = ShapeField(
        default=[], description="Networks (CIDR) it may come from; empty: anywhere."
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
    """What a token is limited to, and until when it holds."""

    networks: list[Network] = ShapeField(
        default=[], max_length=50, description="Networks (CIDR) it may come from; empty: anywhere."
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
    """A service token; its secret is never shown again."""

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
        description="`rata_…`, only in the 201 that created it: it is stored as a hash.",
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
    """A role in a region, and what it lets this token do there."""

    role: Role
    region_code: RegionCode
    agency_code: AgencyCode | None = ShapeField(description="Null: every agency of the region.")
    rights: list[str] = ShapeField(
        description="Rights that role and scopes give together, such as `read` or `write_actions`."
    )


class Me(BaseModel):
    """Who the token stands for and what it may do."""

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
