"""TLS towards the service: which authorities this machine trusts."""

import os
import ssl

import certifi


def trusting_context() -> ssl.SSLContext:
    """Return a context that trusts the machine's authorities, or those of SSL_CERT_FILE and SSL_CERT_DIR alone.

    A Python that finds no authorities on its machine, as on some Macs, trusts the list that httpx carries.
    """
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    context = ssl.create_default_context(cafile=file or None, capath=folder or None)
    if not (file or folder or context.get_ca_certs() or ssl.get_default_verify_paths().capath):
        context.load_verify_locations(certifi.where())
    return context
