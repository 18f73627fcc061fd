"""Token and address of a request's client, read in one place: rate limits count by what authentication looks up."""

from ipaddress import IPv6Address, ip_address

from starlette.types import Scope

_SCHEME = b"bearer"
_BLANKS = b" \t"


def read_secret(scope: Scope) -> str | None:
    """Return the secret of the first `Authorization: Bearer`, without surrounding blanks. Returns None without one.

    Neither the case of the scheme nor the number of blanks matters (RFC 9110, section 11.4).
    """
    sent: bytes = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    sent = sent.strip(_BLANKS)
    secret = sent[len(_SCHEME) :]
    if sent[: len(_SCHEME)].lower() != _SCHEME or not secret.startswith((b" ", b"\t")):
        return None
    return secret.strip(_BLANKS).decode("latin-1") or None


def read_address(scope: Scope) -> str:
    """Return the client's IPv4 address or IPv6 /64 network, which belongs to one customer."""
    host: str = (scope.get("client") or ("",))[0]
    if ":" not in host:
        return host
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return host
    return str(address.ipv4_mapped or IPv6Address(int(address) >> 64 << 64))
