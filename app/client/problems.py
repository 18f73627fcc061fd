"""What can go wrong between a client and the service, and the exit code by which a cron job tells it apart."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, NamedTuple

Language = Literal["id", "en"]

PACKAGE = "rata-client" if __package__ == "rata_client" else "rata"
"""The name by which pip installs this code."""


class Text(NamedTuple):
    """A sentence in both languages."""

    id: str
    en: str


class RataError(Exception):
    """Anything that ends a call of the client. `said` is for people, `exit_code` for what started the command."""

    exit_code: ClassVar[int] = 1
    text: ClassVar[Text] = Text("{why}", "{why}")

    def __init__(self, **values: object) -> None:
        super().__init__(self.text.en.format(**values))
        self._values = values

    def said(self, language: Language) -> str:
        """The message in a language."""
        return str(getattr(self.text, language).format(**self._values))


class Misused(RataError):
    """The call makes no sense as it was made; nothing was asked of the service."""

    exit_code = 2


class NoToken(Misused):
    text = Text(
        "Tidak ada token. Isi RATA_TOKEN, atau sebut berkasnya dengan --token-file.",
        "There is no token. Set RATA_TOKEN, or name its file by --token-file.",
    )


class BadToken(Misused):
    text = Text(
        "Token harus satu baris tanpa spasi; yang diberikan bukan token.",
        "A token is one line without spaces; this is none.",
    )


class BadAddress(Misused):
    text = Text(
        "{address} bukan alamat layanan Rata; tulis seperti https://rata.example.",
        "{address} is no address of a Rata service; write one such as https://rata.example.",
    )


class NotInstalled(Misused):
    """A package that pip installs with an extra, or with the client itself, is missing."""

    text = Text(
        "{what} memerlukan paket yang belum terpasang: pip install '{package}'",
        "{what} needs a package that is not installed: pip install '{package}'",
    )


class ForeignCopy(Misused):
    text = Text(
        "{file} berisi hal lain, bukan salinan layanan Rata; pakai yang lain.",
        "{file} holds something else than a copy of a Rata service; use another one.",
    )


class OtherCopy(Misused):
    text = Text(
        "Salinan ini berasal dari {server}, wilayah {region}; pakai berkas lain.",
        "This copy is of {server}, region {region}; use another one.",
    )


class Refused(RataError):
    """The service answered that it will not: rights, an address that is not there, a request that it cannot read.

    `status` and `problem` are its answer (RFC 9457).
    """

    exit_code = 3
    text = Text("{address} menjawab {status}: {why}", "{address} answers {status}: {why}")

    def __init__(self, status: int, problem: Mapping[str, object], address: str) -> None:
        self.status, self.problem = status, problem
        super().__init__(address=address, status=status, why=_reason(problem))

    @property
    def code(self) -> str:
        """Code of the problem; empty where something else than the service answered."""
        return str(self.problem.get("code", ""))

    @property
    def is_missing(self) -> bool:
        """The service itself says that this is not there, or not to be seen; not some proxy before it."""
        return (self.status, self.code) == (404, "not_found")


def _reason(problem: Mapping[str, Any]) -> str:
    errors = problem.get("errors")
    places = [str(one.get("message", "")) for one in errors or [] if isinstance(one, dict)]
    said = (str(problem.get("title", "")), str(problem.get("detail", "")), *places)
    return " – ".join(part for part in said if part)


class Unreachable(RataError):
    """It was tried until the time was up; the same call may succeed later."""

    exit_code = 4
    text = Text(
        "{address} tidak terjangkau setelah {attempts} percobaan: {why}",
        "{address} cannot be reached after {attempts} attempts: {why}",
    )


class WrongContent(RataError):
    """What arrived, or what is kept here, is not what the service says that it is."""

    exit_code = 5
    text = Text("{file}: isinya tidak cocok: {why}", "{file}: the content does not agree: {why}")


class AlreadyRunning(RataError):
    """Another run works on the same file or copy."""

    exit_code = 6
    text = Text("{file} sedang dikerjakan proses lain.", "Another run is at work on {file}.")


class Unwritable(RataError):
    """The file or the copy on this machine cannot be written."""

    exit_code = 7
    text = Text("{file} tidak dapat ditulis: {why}", "{file} cannot be written: {why}")
