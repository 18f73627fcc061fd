"""Principals, their service tokens and their memberships."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict
from pydantic import Field as ShapeField
from sqlmodel import Field

from app.kit.db import Table
from app.kit.fields import AgencyCode, RegionCode


class Role(StrEnum):
    """What a membership lets one do (design, section 3)."""

    operator = "operator"
    secretariat = "secretariat"
    chair = "chair"
    reviewer = "reviewer"
    administrator = "administrator"
    reader = "reader"


class TokenScope(StrEnum):
    """What a token is limited to, whatever its principal's roles."""

    read = "read"
    write = "write"
    approve = "approve"
    administer = "administer"


class Principal(Table, table=True):
    """A service or a position that acts; never a person's name."""

    __tablename__ = "principal"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True, max_length=80)
    created_at: datetime


class Membership(Table, table=True):
    """A role of a principal in a region, an operator's limited to one agency."""

    __tablename__ = "membership"
    __table_args__ = (sa.UniqueConstraint("principal_id", "role", "region_code", "agency_code"),)

    id: int | None = Field(default=None, primary_key=True)
    principal_id: int = Field(foreign_key="principal.id", index=True)
    role: Role
    region_code: str = Field(max_length=13)
    agency_code: str = Field(default="", max_length=40, description="Empty: every agency of the region.")


class Token(Table, table=True):
    """A service token; its secret is shown once and kept only as a hash.

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


class MembershipShape(BaseModel):
    """One role in one region."""

    role: Role
    region_code: RegionCode
    agency_code: AgencyCode | None = ShapeField(default=None, description="Null: every agency of the region.")


class Me(BaseModel):
    """Who the token stands for and what it may do."""

    principal: str
    token: str
    scopes: list[TokenScope]
    memberships: list[MembershipShape]
    expires_at: datetime

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "principal": "sekretariat-kotabaru",
                    "token": "sekretariat-kotabaru-2026",
                    "scopes": ["read", "write"],
                    "memberships": [{"role": "secretariat", "region_code": "63.02", "agency_code": None}],
                    "expires_at": "2027-11-21T00:00:00+00:00",
                }
            ]
        }
    )
