"""The client's variables `RATA_SERVER`, `RATA_TOKEN` and `RATA_TOKEN_FILE`, and a check for misspelt ones."""

import os
from difflib import get_close_matches
from pathlib import Path

from .problems import Language, Misused, Sentence

VARIABLES = ("RATA_SERVER", "RATA_TOKEN", "RATA_TOKEN_FILE")
_LIKENESS = 0.88
"""Likeness from which `check_names` refuses a name. A name with one letter missing, added, replaced or swapped with the
next is closer; the service's own settings, which the machine may also have, are less close."""


class Misspelt(Misused):
    text = Sentence(
        "{name} bukan variabel perintah ini; yang paling mirip adalah {nearest}.",
        "{name} is not a variable of this command; the nearest is {nearest}.",
    )


class UnreadableToken(Misused):
    text = Sentence(
        "Berkas token {file} tidak dapat dibaca: {why}", "The token file {file} cannot be read: {why}"
    )


class EmptyToken(Misused):
    text = Sentence("Berkas token {file} kosong.", "The token file {file} is empty.")


def check_names() -> None:
    """Raise Misspelt for a variable that resembles one of the client's, even if that one exists too."""
    for name in sorted(os.environ):
        if name.upper().startswith("RATA_") and name not in VARIABLES:
            for nearest in get_close_matches(name.upper(), VARIABLES, n=1, cutoff=_LIKENESS):
                raise Misspelt(name=name, nearest=nearest)


def read_token(file: Path | None) -> str:
    """Return the token of RATA_TOKEN, else of the file; empty without both.

    Raises UnreadableToken or EmptyToken if the file has no token.
    """
    token = os.environ.get("RATA_TOKEN", "").strip()
    if token or file is None:
        return token
    try:
        token = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UnreadableToken(file=file, why=error.strerror) from error
    except UnicodeDecodeError as error:
        raise UnreadableToken(file=file, why="UTF-8") from error
    if not token:
        raise EmptyToken(file=file)
    return token


def find_language() -> Language:
    """Return the language of the locale: English if that is English, else Indonesian."""
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    locale = next((os.environ[name] for name in names if os.environ.get(name)), "")
    return "en" if locale.startswith("en") else "id"
