"""Settings, read once from `RATA_*`."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What an operator may set; each is an environment variable `RATA_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="RATA_", env_file=".env", extra="ignore")

    database_url: str = Field(
        default="sqlite:///var/rata.db",
        pattern=r"^(sqlite|postgresql\+psycopg)://",
        description="SQLAlchemy address: `sqlite:///var/rata.db` or `postgresql+psycopg://user:secret@host/name`.",
    )
    database_pool: int = Field(
        default=10,
        ge=1,
        le=200,
        description="Connections to PostgreSQL that a worker keeps, for reading and for writing each.",
    )
    host: str = Field(default="127.0.0.1", description="Address to serve on.")
    port: int = Field(default=8000, ge=1, le=65535)
    workers: int = Field(default=1, ge=1, le=64)
    threads: int = Field(
        default=16, ge=2, le=200, description="Requests of one worker that run at the same time."
    )
    max_body_bytes: int = Field(default=25 * 2**20, ge=2**10, description="Largest request body.")
    journal_retention_days: int = Field(
        default=400,
        ge=1,
        le=36_500,
        description="How far the change feed reaches back; history keeps everything.",
    )
    log_format: str = Field(default="json", pattern="^(json|console)$")
    demo_token_file: str = Field(default="var/demo.token", description="Where `rata demo` keeps its token.")
