"""TLS connections to other services, with the authorities that this machine trusts."""

import os
import ssl
from functools import cache
from pathlib import Path

import certifi

from .problems import Misused, Sentence


class BadAuthorities(Misused):
    text = Sentence(
        "{variable} menyebut {path}, yang tidak berisi sertifikat yang dapat dibaca: {why}",
        "{variable} names {path}, which has no readable certificates: {why}",
    )


def create_trusting_context() -> ssl.SSLContext:
    """Return a context that trusts the machine's authorities, or those of SSL_CERT_FILE and SSL_CERT_DIR alone.

    A machine without authorities, as some Macs, trusts the list of certifi. Raises BadAuthorities if a variable leads
    to no certificates.
    """
    file, folders = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    # OpenSSL reads folders only when it checks a certificate, and skips missing ones without an error
    if folders and not any(Path(folder).is_dir() for folder in folders.split(os.pathsep)):
        raise BadAuthorities(variable="SSL_CERT_DIR", path=folders, why="no such folder")
    if not (file or folders):
        return _load_machine_context()
    try:
        return ssl.create_default_context(cafile=file or None, capath=folders or None)
    except OSError as error:
        why = "no certificate in it" if isinstance(error, ssl.SSLError) else error.strerror
        raise BadAuthorities(variable="SSL_CERT_FILE", path=file, why=why) from error


@cache
def _load_machine_context() -> ssl.SSLContext:
    """Return the context of the machine's authorities; reading them all takes 20 ms."""
    context = ssl.create_default_context()
    if not (context.get_ca_certs() or ssl.get_default_verify_paths().capath):
        context.load_verify_locations(certifi.where())
    return context
