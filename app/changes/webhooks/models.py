"""Webhooks, secrets and deliveries: tables and wire shapes. Each field has one declaration."""

from datetime import datetime
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from pydantic import AfterValidator, BaseModel, JsonValue, StringConstraints, model_validator
from pydantic import Field as ShapeField
from sqlmodel import Field

from app.changes.webhooks.rules import (
    MAX_ATTEMPTS,
    DeliveryState,
    DisabledReason,
    Failure,
    WebhookState,
    WebhookVerb,
    parse_address,
)
from app.kit.database.engine import Table
from app.kit.fields import SOMETIMES, Key, Prose, RegionCode, Shape, Version, describe_key, show_example
from app.kit.http.pagination import PageQuery
from app.kit.http.validation import RuleBroken, refuse_repeated
from app.kit.problems import Kind

WebhookKey = Annotated[
    str, describe_key("Name of the webhook, once in the whole service: its receiver.", "dasbor-kotabaru")
]
SecretKey = Annotated[
    str, describe_key("Name of the secret in its webhook, such as the year it is for.", "2026")
]

malformed_address = Kind(
    "malformed_address",
    id="“{value}” bukan alamat penerima. Contoh: {allowed}.",
    en="“{value}” is not the address of a receiver. Example: {allowed}.",
)
one_of_both = Kind(
    "one_of_both",
    id="Isi tepat satu dari dua: pengiriman atau kursor.",
    en="Give exactly one of the two: a delivery or a cursor.",
)


def _check_receiver(text: str) -> str:
    if parse_address(text) is None:
        raise RuleBroken(malformed_address, at="", value=text, allowed="https://host/path")
    return text


Receiver = Annotated[
    str,
    StringConstraints(max_length=2000, pattern=r"^https?://[\x21-\x7e]+$"),
    AfterValidator(_check_receiver),
]
KindGlob = Annotated[str, StringConstraints(max_length=60, pattern=r"^[a-z_]+\.(\*|[a-z_]+)$")]


# Webhooks


_ADDRESS: Any = ShapeField(
    description="Receiver of the POST: https only, on the public internet; the service follows no redirect."
)
_KINDS: Any = ShapeField(
    default=[],
    max_length=20,
    description="Kinds of changes: `plan.*`, `progress.changed`; none: all. `scope.changed` of its owner "
    "always.",
)


class WebhookFields(BaseModel):
    address: str = _ADDRESS
    region_code: RegionCode = ShapeField(
        description="Region of the changes, with everything below it; its administrators manage the webhook. "
        "A later write cannot change it."
    )
    kinds: list[str] = _KINDS
    is_active: bool = ShapeField(
        default=True, description="False stops the hints; once true again, one hint covers all changes since."
    )
    note: Prose = ShapeField(default="", description="Contact for the receiver: a position, no person.")


_WEBHOOK: dict[str, JsonValue] = {
    "address": "https://dasbor.kotabaru.example/hooks/rata",
    "region_code": "63.02",
    "kinds": ["plan.*", "progress.changed"],
    "is_active": True,
    "note": "Dasbor Bappeda Kotabaru",
}
_WEBHOOK_OUT: dict[str, JsonValue] = {
    **_WEBHOOK,
    "name": "dasbor-kotabaru",
    "owner": "administrator-kalsel",
    "state": "active",
    "disabled_reason": None,
    "disabled_at": None,
    "version": 1,
    "updated_at": "2026-11-21T01:05:00+00:00",
}


class WebhookIn(WebhookFields, Shape):
    """Receiver of a webhook, and the changes of its hints."""

    address: Receiver = _ADDRESS
    kinds: list[KindGlob] = _KINDS

    model_config = show_example(_WEBHOOK)

    @model_validator(mode="after")
    def _refuse_repeated_kinds(self) -> "WebhookIn":
        refuse_repeated(self.kinds, at="/kinds")
        return self


class WebhookOut(WebhookFields):
    """A webhook in a list."""

    name: str
    owner: str | None = ShapeField(
        description="Principal that created it and whose rights select the changes; null: it is gone."
    )
    state: WebhookState = ShapeField(
        description="`active`; `inactive`: an administrator switched it off; `disabled`: the service did, see "
        "`disabled_reason`; `no_owner`: its owner is gone, has no role there or no token that "
        "could read; `no_secret`: without a secret the service sends nothing."
    )
    disabled_reason: DisabledReason | None = ShapeField(
        description=f"`gone`: the receiver answered 410; `exhausted`: {MAX_ATTEMPTS} attempts over about three days."
    )
    disabled_at: datetime | None
    version: Version
    updated_at: datetime

    model_config = show_example(_WEBHOOK_OUT)


class WebhookReply(WebhookOut):
    """A webhook with the verbs that the caller may use."""

    allowed: list[WebhookVerb]

    model_config = show_example({**_WEBHOOK_OUT, "allowed": ["edit", "delete", "write_secrets", "replay"]})


class WebhookQuery(PageQuery):
    """Filter and order of the list of webhooks."""

    region: RegionCode | None = ShapeField(
        default=None, description="Only webhooks of this region or of a region below."
    )
    sort: Literal["name", "-name"] = "name"


# Secrets


class WebhookSecretFields(BaseModel):
    note: Prose = ShapeField(default="", description="Machine of the receiver that has it.")


_SECRET: dict[str, JsonValue] = {"note": "Server utama"}
_SECRET_OUT: dict[str, JsonValue] = {
    **_SECRET,
    "name": "2026",
    "created_at": "2026-11-21T00:00:00+00:00",
    "version": 1,
}


class WebhookSecretIn(WebhookSecretFields, Shape):
    """Note on a secret; the service generates the secret itself."""

    model_config = show_example(_SECRET)


class WebhookSecretOut(WebhookSecretFields):
    """A secret that signs hints, without its value."""

    name: str
    created_at: datetime
    version: Version

    model_config = show_example(_SECRET_OUT)


class WebhookSecretReply(WebhookSecretOut):
    """A secret that signs hints, with its value in the one reply that creates it."""

    secret: str | None = ShapeField(
        default=None,
        description="`whsec_…`, only in the 201 that created it.",
        json_schema_extra=SOMETIMES,
    )

    model_config = show_example({**_SECRET_OUT, "secret": "whsec_…"})


class WebhookSecretQuery(PageQuery):
    """Order of the list of secrets."""

    sort: Literal["name", "-name"] = "name"


# Deliveries


_DELIVERY = "msg_6f1c2a90b7d34e58a1c0d2f3"


class DeliveryOut(BaseModel):
    """One hint with the state of its delivery, without the receiver's reply."""

    id: str = ShapeField(
        description="`webhook-id`: equal at each attempt, so that the receiver recognises a repeat."
    )
    state: DeliveryState
    created_at: datetime
    attempts: int = ShapeField(description=f"Number of attempts, at most {MAX_ATTEMPTS} in a row.")
    attempted_at: datetime | None = ShapeField(description="The last attempt; null: none yet.")
    next_attempt_at: datetime | None = ShapeField(description="Null: none will follow.")
    status: int | None = ShapeField(description="HTTP status of the last attempt; null: no reply.")
    duration_ms: int | None = ShapeField(description="Duration of the last attempt in milliseconds.")
    error: Failure | None = ShapeField(description="Failure of the last attempt; null: none.")
    after: str = ShapeField(description="Cursor of the feed before its first change.")
    next: str = ShapeField(description="Cursor after its last change.")
    count: int = ShapeField(description="Number of changes between the two cursors.")
    kinds: list[str] = ShapeField(description="Kinds of these changes.")

    model_config = show_example(
        {
            "id": _DELIVERY,
            "state": "delivered",
            "created_at": "2026-11-21T01:05:00+00:00",
            "attempts": 1,
            "attempted_at": "2026-11-21T01:05:01+00:00",
            "next_attempt_at": None,
            "status": 204,
            "duration_ms": 41,
            "error": None,
            "after": "WyI2NTVmYzUyNjYzZWYiLCJwbGFuOjYzLjAyLTIwMjYiLDE3LCI5ZmYwYjU3ZSJd",
            "next": "WyIwYjU3ZTJhYzQxNzIiLCJwbGFuOjYzLjAyLTIwMjYiLDE5LCIxYzlmZjBiNyJd",
            "count": 2,
            "kinds": ["progress.changed"],
        }
    )


class DeliveryQuery(PageQuery):
    """Filter and order of the log."""

    state: DeliveryState | None = ShapeField(default=None, description="Only deliveries in this state.")
    sort: Literal["created_at", "-created_at"] = "-created_at"


class ReplayIn(Shape):
    """One delivery to send again, or a cursor from which to send a new hint."""

    delivery: Key | None = ShapeField(default=None, description="`id` of a delivery, to send again at once.")
    after: Annotated[str, StringConstraints(max_length=2000)] | None = ShapeField(
        default=None,
        description="Cursor of `GET /v1/changes` with the webhook's region and kinds, such as `after` of a delivery.",
    )

    model_config = show_example({"delivery": _DELIVERY})

    @model_validator(mode="after")
    def _check_one_of_both(self) -> "ReplayIn":
        if (self.delivery is None) == (self.after is None):
            raise RuleBroken(one_of_both, at="", allowed=["delivery", "after"])
        return self


# Tables


class WebhookRow(WebhookFields, Table, table=True):
    """A webhook with its position in the feed."""

    __tablename__ = "webhook"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True, max_length=40)
    address: str = Field(max_length=2000)
    region_code: str = Field(max_length=13, index=True)
    kinds: list[str] = Field(sa_type=sa.JSON)
    principal_id: int | None = Field(
        default=None, foreign_key="principal.id", ondelete="SET NULL", index=True
    )
    disabled_reason: DisabledReason | None = None
    disabled_at: datetime | None = None
    seen: int = Field(description="Number in the feed up to which everything is in some delivery.")
    place: list[object] = Field(
        sa_type=sa.JSON, description="Last entry that some delivery covers, as cursors name it."
    )
    leased_until: datetime | None = None
    leased_by: str | None = Field(default=None, max_length=40)
    version: int = 1
    updated_at: datetime


class WebhookSecretRow(WebhookSecretFields, Table, table=True):
    """A secret, encrypted rather than hashed: the worker needs it to sign."""

    __tablename__ = "webhook_secret"
    __table_args__ = (sa.UniqueConstraint("webhook_id", "name"),)

    id: int | None = Field(default=None, primary_key=True)
    webhook_id: int = Field(foreign_key="webhook.id", ondelete="CASCADE")
    name: str = Field(max_length=40)
    sealed: str = Field(max_length=500)
    created_at: datetime
    version: int = 1


class WebhookDeliveryRow(Table, table=True):
    """A delivery, pending or finished."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        sa.Index(None, "webhook_id", "created_at"),
        sa.Index(None, "webhook_id", "state", "next_attempt_at"),
    )

    id: str = Field(primary_key=True, max_length=40)
    webhook_id: int = Field(foreign_key="webhook.id", ondelete="CASCADE")
    state: DeliveryState
    created_at: datetime
    attempts: int = 0
    attempted_at: datetime | None = None
    next_attempt_at: datetime | None = None
    status: int | None = None
    duration_ms: int | None = None
    error: Failure | None = None
    after: str = Field(max_length=2000)
    next: str = Field(max_length=2000)
    count: int
    kinds: list[str] = Field(sa_type=sa.JSON)
    first: int = Field(description="Number in the feed behind which it begins.")
    last: int = Field(description="Number in the feed at which it ends.")
    place: list[object] = Field(
        sa_type=sa.JSON, description="The entry behind which it begins, as cursors name it."
    )
