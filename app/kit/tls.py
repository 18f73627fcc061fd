"""TLS towards other services: which authorities this machine trusts."""

import os
import ssl


def trusting_context() -> ssl.SSLContext:
    """Return a context that trusts the machine's authorities, or those of SSL_CERT_FILE and SSL_CERT_DIR alone.

    The list that httpx carries does not know the authority of an office.
    """
    return ssl.create_default_context(
        cafile=os.environ.get("SSL_CERT_FILE") or None, capath=os.environ.get("SSL_CERT_DIR") or None
    )
