"""Settings: variables `RATA_*` of the environment and of one file, which `app/startup/configuration.py` reads."""

import ipaddress
import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from app.extras import check_setting

SIGNATURES = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
"""Asymmetric algorithms: the service needs only public keys, with which it could not sign tokens itself."""


def split_words(text: str) -> list[str]:
    """Return the words of a setting with a list, separated by commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def is_safe_address(url: str) -> bool:
    """Return whether keys may come from an address: over https, or over http from this machine alone."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or parts.fragment:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_database(text: str) -> str:
    allowed = "use sqlite:///FILE or postgresql+psycopg://USER:SECRET@HOST/NAME"
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError(allowed) from None
    is_file = url.drivername == "sqlite"
    if (is_file and url.host) or not (is_file or url.drivername == "postgresql+psycopg"):
        raise ValueError(allowed)
    if url.port is not None and not 0 < url.port < 2**16:
        raise ValueError("use a port from 1 to 65535")
    if not is_file:
        check_setting("postgres")
    return text


def _check_signatures(text: str) -> str:
    unknown = [word for word in split_words(text) if word not in SIGNATURES]
    if unknown or not split_words(text):
        raise ValueError(f"use some of {', '.join(sorted(SIGNATURES))}")
    return text


def _check_proxies(text: str) -> str:
    try:
        for word in split_words(text):
            ipaddress.ip_network(word)
    except ValueError:
        raise ValueError("use addresses or networks by commas, such as 127.0.0.1,10.20.0.0/16") from None
    return text


def _check_regions(text: str | None) -> str | None:
    if any(not re.fullmatch(r"0|[0-9]{2}(\.[0-9]{2})?", word) for word in split_words(text or "")):
        raise ValueError("use codes of provinces and regencies by commas, 63,73.22, or 0 for the nation")
    return text


def _check_issuer(text: str | None) -> str | None:
    if text is not None and ("?" in text or not is_safe_address(text)):
        raise ValueError("use the issuer's https address; http only on this machine")
    if text is not None:
        check_setting("oidc")
    return text


def _check_traces(is_on: bool) -> bool:
    if is_on:
        check_setting("traces")
    return is_on


def _check_keys(text: str | None) -> str | None:
    keys = split_words(text or "")
    if not keys:
        return None
    check_setting("webhooks")
    from cryptography.fernet import Fernet

    try:
        for key in keys:
            Fernet(key)
    except ValueError:
        raise ValueError("use keys as `Fernet.generate_key()` makes them, by commas") from None
    return text


class Settings(BaseSettings):
    """The settings of an operator, each an environment variable `RATA_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="RATA_", env_file=None, extra="ignore")

    database_url: Annotated[str, AfterValidator(_check_database)] = Field(
        default="sqlite:///var/rata.db",
        repr=False,
        description="Address of the database: `sqlite:///FILE` or "
        "`postgresql+psycopg://USER:SECRET@HOST/NAME`.",
    )
    database_read_url: str | None = Field(
        default=None,
        repr=False,
        description="Address of a streaming replica of that PostgreSQL, from which the service reads pulls, "
        "digests and files of reports.",
    )
    database_pool: int = Field(
        default=10,
        ge=1,
        le=200,
        description="Connections to PostgreSQL that a worker keeps open, for reads and for writes each.",
    )
    host: str = Field(
        default="127.0.0.1", description="Address on which the service listens; `0.0.0.0` in a container."
    )
    port: int = Field(default=8000, ge=1, le=65535, description="Port on which the service listens.")
    workers: int = Field(default=1, ge=1, le=64, description="Processes that serve.")
    threads: int = Field(
        default=16, ge=2, le=200, description="Requests that a worker runs at the same time."
    )
    queue_length: int = Field(
        default=200,
        ge=0,
        le=100_000,
        description="Requests that may wait in a worker for a thread; beyond, 503.",
    )
    queue_seconds: float = Field(
        default=20, gt=0, le=600, description="Seconds that a request waits for a thread, before 503."
    )
    max_body_bytes: int = Field(default=25 * 2**20, ge=2**10, description="Largest request body, in bytes.")
    bodies_max_bytes: int = Field(
        default=2**30,
        ge=2**20,
        description="Bytes of all request bodies in a worker, in memory and temporary files; beyond, bodies "
        "over 64 KiB get 503.",
    )
    reads_per_minute: int = Field(
        default=12_000,
        ge=0,
        description="Reads of a principal that a worker answers in a minute; `0`: no limit.",
    )
    writes_per_minute: int = Field(
        default=3_000,
        ge=0,
        description="Writes of a principal that a worker answers in a minute; `0`: no limit.",
    )
    failures_per_minute: int = Field(
        default=60,
        ge=0,
        description="Invalid tokens of an address that a worker looks up in a minute; `0`: no limit.",
    )
    statement_seconds: float = Field(
        default=60,
        ge=0,
        le=3_600,
        description="Seconds that PostgreSQL works on a statement, before 503; `0`: no limit.",
    )
    lock_seconds: float = Field(
        default=30,
        gt=0,
        le=600,
        description="Seconds that a statement waits for a lock, on SQLite a writer for its turn, before 503.",
    )
    idle_transaction_seconds: float = Field(
        default=60,
        ge=0,
        le=3_600,
        description="Seconds after which PostgreSQL ends an idle transaction; `0`: never.",
    )
    leave_seconds: float = Field(
        default=0,
        ge=0,
        le=300,
        description="Seconds between SIGTERM and the stop, in which the service answers 503 at `/ready` and "
        "goes on serving.",
    )
    journal_retention_days: int = Field(
        default=400,
        ge=1,
        le=36_500,
        description="Days that the change feed goes back; the journal itself keeps everything.",
    )
    spool_folder: str | None = Field(
        default=None,
        description="Folder of the kept pulls; without it, a folder in the temporary folder of the system.",
    )
    spool_max_bytes: int = Field(
        default=4 * 2**30,
        ge=2**20,
        description="Bytes of pulls that the service keeps; it removes first the pull that was not read for "
        "longest.",
    )
    exports_at_once: int = Field(
        default=2, ge=1, le=32, description="Pulls that a worker makes at the same time."
    )
    exports_wait_seconds: int = Field(
        default=60, ge=1, le=600, description="Seconds that a further pull waits for its turn, before 503."
    )
    trusted_proxies: Annotated[str, AfterValidator(_check_proxies)] = Field(
        default="127.0.0.1",
        description="Addresses or networks, separated by commas, of proxies whose `X-Forwarded-For` and "
        "`X-Forwarded-Proto` the service believes.",
    )
    oidc_issuer: Annotated[str | None, AfterValidator(_check_issuer)] = Field(
        default=None,
        max_length=300,
        description="Address of the OIDC issuer whose tokens the service takes, exactly as the issuer names "
        "itself; `https`, or `http` on this machine.",
    )
    oidc_audience: str | None = Field(
        default=None,
        validate_default=True,
        description="Name of this service in the `aud` of the issuer's tokens; needed with an issuer.",
    )
    oidc_algorithms: Annotated[str, AfterValidator(_check_signatures)] = Field(
        default="RS256,PS256,ES256,EdDSA",
        description="Signatures that the service takes, separated by commas; never symmetric ones.",
    )
    oidc_clock_skew_seconds: int = Field(
        default=60,
        ge=0,
        le=600,
        description="Seconds that the clock of the issuer may differ from the clock of this machine.",
    )
    oidc_subject_claim: str = Field(
        default="sub",
        min_length=1,
        max_length=200,
        description="Claim that identifies a person, opaque and never reused.",
    )
    secrets_key: Annotated[str | None, AfterValidator(_check_keys)] = Field(
        default=None,
        repr=False,
        description="Keys that seal the secrets of webhooks, separated by commas: the first seals, all open. "
        "Without a key no webhook can be registered.",
    )
    webhooks_allow_loopback: bool = Field(
        default=False,
        description="Allow webhooks to this machine, over `http` too; for development alone.",
    )
    metrics: Literal["off", "public", "port"] = Field(
        default="off",
        validate_default=True,
        description="Where Prometheus reads metrics: nowhere, at `/metrics` of the service, or on a port of "
        "its own. Needs one worker.",
    )
    metrics_port: int = Field(
        default=9464, ge=1, le=65535, description="Port of the metrics, on `RATA_HOST`."
    )
    traces: Annotated[bool, AfterValidator(_check_traces)] = Field(
        default=False,
        description="Send spans to an OpenTelemetry collector; the variables `OTEL_…` name the collector and "
        "the share of requests.",
    )
    public_regions: Annotated[str | None, AfterValidator(_check_regions)] = Field(
        default=None,
        description="Regions, separated by commas, each with all regions below it, whose adopted plans and "
        "frozen quarters need no token; `0`: the nation.",
    )
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s?#]+$",
        max_length=300,
        examples=["https://rata.example"],
        description="Address by which others call the service, for the catalogue; without it, the address of "
        "the request.",
    )
    catalogue_license: str = Field(
        default="https://creativecommons.org/licenses/by/4.0/",
        pattern=r"^https?://\S+$",
        max_length=300,
        examples=["https://creativecommons.org/licenses/by/4.0/"],
        description="Address of the licence under which the catalogue offers its files.",
    )
    catalogue_publisher: str = Field(
        default="Rata",
        min_length=1,
        max_length=200,
        description="Organisation that publishes the catalogue.",
    )
    iati_prefix: str = Field(
        default="ID-RATA",
        pattern=r"^[A-Za-z]{2,}-[A-Za-z0-9.-]*[A-Za-z0-9]$",
        max_length=40,
        examples=["ID-RATA"],
        description="Beginning of identifiers in IATI exports: register and number of the publisher.",
    )
    log_format: Literal["json", "console"] = Field(
        default="json", description="`json` for one JSON object a line, `console` for people."
    )
    demo_folder: str = Field(
        default="var",
        min_length=1,
        max_length=4_000,
        description="Folder of all files of `rata demo`: its database, token and pulls.",
    )

    @field_validator("database_read_url")
    @classmethod
    def _check_replica(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value and not info.data.get("database_url", "").startswith("postgresql"):
            raise ValueError("needs PostgreSQL in RATA_DATABASE_URL: a SQLite file has no replicas")
        if value:
            _check_database(value)
        if value and not value.startswith("postgresql+psycopg://"):
            raise ValueError("use an address as in RATA_DATABASE_URL: `postgresql+psycopg://…`")
        return value or None

    @field_validator("oidc_audience")
    @classmethod
    def _require_audience(cls, value: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("oidc_issuer") and not value:
            raise ValueError("is needed with RATA_OIDC_ISSUER: else tokens made for others would be taken")
        return value

    @field_validator("metrics")
    @classmethod
    def _check_metrics(cls, value: str, info: ValidationInfo) -> str:
        if value != "off":
            check_setting("metrics")
        if value != "off" and info.data.get("workers", 1) > 1:
            raise ValueError(
                "needs RATA_WORKERS=1, since each worker counts for itself: run several services"
            )
        return value
