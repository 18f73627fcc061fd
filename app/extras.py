"""Optional features of the service, each with the modules that an extra of pyproject.toml installs.

Functions import these modules only when they use them, never when the service starts.
"""

from importlib.util import find_spec

EXTRAS: dict[str, tuple[str, ...]] = {
    "docs": ("fastapi_offline",),
    "metrics": ("prometheus_client",),
    "oidc": ("jwt", "cryptography"),
    "parquet": ("pyarrow",),
    "postgres": ("psycopg",),
    "traces": ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"),
    "webhooks": ("cryptography",),
    "xlsx": ("xlsxwriter",),
    "zstd": ("zstandard",),
}
"""Extra → the modules that it brings."""


def is_installed(extra: str) -> bool:
    """Return whether all modules of an extra are here, without importing them."""
    try:
        return all(find_spec(module) is not None for module in EXTRAS[extra])
    except ModuleNotFoundError:  # of the package that holds the module
        return False


def package_of(extra: str) -> str:
    """Return the name by which pip installs an extra."""
    return f"rata[{extra}]"


def check_setting(extra: str) -> None:
    """Raise ValueError if a setting needs an extra that is not installed."""
    if not is_installed(extra):
        raise ValueError(f"needs a package that is not installed: pip install '{package_of(extra)}'")
