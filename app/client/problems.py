"""Errors of the client, each with the exit code that a cron job sees."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, NamedTuple

Language = Literal["id", "en"]

PACKAGE = "rata-client" if __package__ == "rata_client" else "rata"
"""The name by which pip installs this code."""


class Sentence(NamedTuple):
    """A sentence in both languages."""

    id: str
    en: str


class RataError(Exception):
    """Base of the client's errors, each with an `exit_code` for the process that started the command."""

    exit_code: ClassVar[int] = 1
    text: ClassVar[Sentence] = Sentence("{why}", "{why}")

    def __init__(self, **values: object) -> None:
        self._values = values
        super().__init__(self.format_message("en"))

    def format_message(self, language: Language) -> str:
        """Return the message in a language."""
        values = {
            name: getattr(value, language) if isinstance(value, Sentence) else value
            for name, value in self._values.items()
        }
        return str(getattr(self.text, language).format(**values))


class Misused(RataError):
    """Error in the call or its environment, raised before any request."""

    exit_code = 2


class NoToken(Misused):
    text = Sentence(
        "Token belum ada. Isi RATA_TOKEN, atau sebutkan berkasnya dengan --token-file.",
        "There is no token. Set RATA_TOKEN, or name its file by --token-file.",
    )


class BadToken(Misused):
    text = Sentence(
        "Token harus satu baris tanpa spasi; yang diberikan bukan token.",
        "A token is one line without spaces; the given text is not a token.",
    )


class BadAddress(Misused):
    text = Sentence(
        "{address} bukan alamat layanan Rata; tulis seperti https://rata.example.",
        "{address} is not the address of a Rata service; write one such as https://rata.example.",
    )


class MissingPackage(Misused):
    """A missing package, which pip installs with an extra or with the client."""

    text = Sentence(
        "{what} memerlukan paket yang belum terpasang: pip install '{package}'",
        "{what} needs a package that is not installed: pip install '{package}'",
    )


class ForeignCopy(Misused):
    text = Sentence(
        "{file} bukan salinan layanan Rata; pakai berkas lain.",
        "{file} is not a copy of a Rata service; use another one.",
    )


class OtherCopy(Misused):
    text = Sentence(
        "Salinan ini berasal dari {server}, wilayah {region}; pakai berkas lain.",
        "This copy is of {server}, region {region}; use another one.",
    )


class Refused(RataError):
    """A reply that no retry changes: missing rights, an unknown address, a malformed request.

    `status` and `problem` are the reply (RFC 9457).
    """

    exit_code = 3
    text = Sentence("{address} menjawab {status}: {why}", "{address} answers {status}: {why}")

    def __init__(self, status: int, problem: Mapping[str, object], address: str) -> None:
        self.status, self.problem = status, problem
        super().__init__(address=address, status=status, why=_describe_problem(problem))

    @property
    def code(self) -> str:
        """Code of the problem; empty if the reply is not the service's, such as a proxy's."""
        return str(self.problem.get("code", ""))

    @property
    def is_missing(self) -> bool:
        """True if the service itself, and no proxy, replied that the resource does not exist or is not visible."""
        return (self.status, self.code) == (404, "not_found")


def _describe_problem(problem: Mapping[str, Any]) -> str:
    errors = problem.get("errors")
    messages = [str(error.get("message", "")) for error in errors or [] if isinstance(error, dict)]
    parts = (str(problem.get("title", "")), str(problem.get("detail", "")), *messages)
    return " – ".join(dict.fromkeys(part for part in parts if part))


class Unreachable(RataError):
    """No success within the time for retries; a later call may succeed."""

    exit_code = 4
    text = Sentence(
        "{address} tidak terjangkau setelah {attempts} percobaan: {why}",
        "{address} cannot be reached after {attempts} attempts: {why}",
    )


class WrongContent(RataError):
    """Content, received or stored, that does not match the service's description of it."""

    exit_code = 5
    text = Sentence("{file}: isinya tidak cocok: {why}", "{file}: the content does not match: {why}")


class AlreadyRunning(RataError):
    """Lock of the file or copy by another run."""

    exit_code = 6
    text = Sentence("{file} sedang dikerjakan proses lain.", "Another process is using {file}.")


class Unwritable(RataError):
    """Failure to read or write the file or the copy on this machine."""

    exit_code = 7
    text = Sentence("{file} tidak dapat ditulis: {why}", "{file} cannot be written: {why}")
