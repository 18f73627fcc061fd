"""`rata pull` and `rata follow`, for cron lines and services. docs/pulling.md lists their exit codes, which stay.

The standard library parses the arguments, and only `follow` imports SQLAlchemy: a cron line that pulls starts in a
fraction of a second and needs httpx and little else.
"""

import os
import sys
import time
from argparse import Action, ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from .comparison import compare
from .environment import check_names, find_language, read_token
from .files import FORMATS, PullTarget, ShowProgress
from .problems import PACKAGE, Language, MissingPackage, Misused, RataError, Sentence, WrongContent
from .retry import Patience
from .service import Rata

PULLS = "Pull a quarter into a file that appears under its name only complete and checked. Resumes an interrupted pull."
FOLLOWS = "Keep a copy of all that the token sees up to date by the feed. It is consistent whenever the command ends."

_UNCHANGED = Sentence("{file}: tidak berubah ({rows} baris)", "{file}: unchanged ({rows} rows)")
_DONE = Sentence("{file}: {rows} baris, SHA-256 {sha256}", "{file}: {rows} rows, SHA-256 {sha256}")
_SAME = Sentence("{file}: sama dengan layanan", "{file}: the same as the service")
_FOLLOWED = Sentence(
    "{changes} perubahan, {read} dibaca ulang, {gone} dihapus",
    "{changes} changes, {read} read, {gone} deleted",
)
_DIFFERS = Sentence("{file}: berbeda dari layanan", "{file}: not the same as the service")


class NoServer(Misused):
    text = Sentence(
        "Alamat layanan belum ada. Isi RATA_SERVER, atau sebutkan dengan --server.",
        "There is no address of the service. Set RATA_SERVER, or name it by --server.",
    )


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit with its code. Prints a message for a RataError, never a traceback."""
    options = _make_parser().parse_args(arguments)
    language = options.lang or find_language()
    try:
        check_names()
        code = _pull(options, language) if options.command == "pull" else _follow(options, language)
    except RataError as error:
        _write(error.format_message(language))
        code = error.exit_code
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def _pull(options: Namespace, language: Language) -> int:
    with _connect(options, language) as service:
        if options.verify:
            file = PullTarget(options.period, options.region, options.format, options.out).file
            differences = compare(service, file, options.period, options.region)
            for line in differences:
                sys.stdout.write(f"{line}\n")
            _report(_DIFFERS if differences else _SAME, language, file=file)
            return WrongContent.exit_code if differences else 0
        with _show_progress() as shown:
            done = service.pull(
                options.period,
                options.out,
                region=options.region,
                format=options.format,
                since_last=options.since_last,
                shown=shown,
            )
    manifest = done.manifest
    text = _UNCHANGED if done.is_unchanged else _DONE
    _report(text, language, file=done.file, rows=manifest.rows, sha256=manifest.sha256)
    return 0


def _follow(options: Namespace, language: Language) -> int:
    try:
        from .copy import Copy
        from .follow import Follower, format_differences
    except ModuleNotFoundError as error:
        raise MissingPackage(what="rata follow", package=PACKAGE) from error
    with _connect(options, language) as service:
        copy = Copy(options.copy)
        try:
            follower = Follower(service, copy, region=options.region, progress=_show_address)
            if options.verify is not None:
                differences = follower.verify(options.verify)
                if differences:
                    sys.stdout.write(f"{format_differences(differences)}\n")
                _report(_DIFFERS if differences else _SAME, language, file=copy.shown)
                return WrongContent.exit_code if differences else 0
            if options.once:
                _report(_FOLLOWED, language, **follower.catch_up()._asdict())
            else:
                follower.run(pause=options.pause, failed=lambda error: _write(error.format_message(language)))
        finally:
            copy.close()
    return 0


class _Parser(ArgumentParser):
    """A parser with error messages of one line, which a cron job can mail."""

    def error(self, message: str) -> NoReturn:
        """Print the reason and exit with the code of `Misused`."""
        self.exit(Misused.exit_code, f"{self.prog}: {message}; see {self.prog} --help\n")


class _PrintVersion(Action):
    """The option that prints version and revision and exits."""

    def __call__(self, parser: ArgumentParser, *values: object) -> None:
        from .version import VERSION, find_revision

        sys.stdout.write(f"rata-client {VERSION}, revision {find_revision() or 'unknown'}\n")
        parser.exit()


def _make_parser() -> ArgumentParser:
    parser = _Parser("rata", description="Pull quarters of a Rata service and follow it.", allow_abbrev=False)
    parser.add_argument("--version", action=_PrintVersion, nargs=0, help="Print version and revision.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    pull = commands.add_parser("pull", help=PULLS, description=PULLS, allow_abbrev=False)
    pull.add_argument("period", metavar="PERIOD", help="Quarter, such as 2026-Q2.")
    _add_options(pull, deadline=3600)
    pull.add_argument(
        "--out", metavar="FOLDER", type=_parse_folder, default=Path(), help="Folder to put the file into."
    )
    pull.add_argument(
        "--format", choices=FORMATS, default=FORMATS[0], help="Format of the file; sqlite: tables to query."
    )
    pull.add_argument(
        "--since-last",
        action="store_true",
        help="Leave the file alone if nothing has changed since the last pull.",
    )
    pull.add_argument(
        "--verify",
        action="store_true",
        help="Pull nothing; compare the existing NDJSON or SQLite file with the digests.",
    )

    follow = commands.add_parser("follow", help=FOLLOWS, description=FOLLOWS, allow_abbrev=False)
    follow.add_argument("copy", metavar="COPY", help="File or URL of the database of the copy.")
    _add_options(follow, deadline=900)
    follow.add_argument("--once", action="store_true", help="Catch up once, then exit: for cron.")
    follow.add_argument(
        "--pause",
        metavar="SECONDS",
        type=_parse_seconds,
        default=60,
        help="Seconds between two reads of the feed. Default: 60.",
    )
    follow.add_argument(
        "--verify", metavar="QUARTER", help="Catch up once, then compare with the digests of this quarter."
    )
    return parser


def _add_options(parser: ArgumentParser, *, deadline: int) -> None:
    parser.add_argument(
        "--server",
        metavar="ADDRESS",
        default=os.environ.get("RATA_SERVER"),
        help="Address of the service, such as https://rata.example. Default: RATA_SERVER.",
    )
    parser.add_argument(
        "--region", metavar="CODE", help="This region and all below it. Default: all that the token sees."
    )
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        type=Path,
        default=os.environ.get("RATA_TOKEN_FILE") or None,
        help="File with the token; RATA_TOKEN has precedence. Default: RATA_TOKEN_FILE.",
    )
    parser.add_argument(
        "--deadline",
        metavar="SECONDS",
        type=_parse_seconds,
        default=deadline,
        help=f"Seconds after which to give up. Default: {deadline}.",
    )
    parser.add_argument(
        "--lang",
        choices=("id", "en"),
        help="Language of the messages. Default: that of the locale if English, else Indonesian.",
    )


def _parse_seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds < float("inf"):
        raise ArgumentTypeError(f"{text!r} does not fit; use a number of seconds from 1")
    return seconds


def _parse_folder(text: str) -> Path:
    if Path(text).is_file():
        raise ArgumentTypeError(f"{text} is a file")
    return Path(text)


@contextmanager
def _connect(options: Namespace, language: Language) -> Iterator[Rata]:
    if not options.server:
        raise NoServer
    token, patience = read_token(options.token_file), Patience(total=options.deadline)
    with Rata(options.server, token, language=language, patience=patience) as service:
        yield service


@contextmanager
def _show_progress() -> Iterator[ShowProgress | None]:
    """Show the progress of a transfer on a terminal, at most ten times a second. Yields None without a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    last = 0.0

    def show(done: int, total: int | None) -> None:
        nonlocal last
        if time.monotonic() - last >= 0.1:
            last = time.monotonic()
            whole = f" / {total / 1e6:,.1f}" if total else ""
            _write(f"\r\033[Krata pull {done / 1e6:,.1f}{whole} MB", end="")

    try:
        yield show
    finally:
        _write("\r\033[K", end="")


def _show_address(address: str) -> None:
    if sys.stderr.isatty():
        _write(f"/v1/{address}")


def _report(text: Sentence, language: Language, **values: object) -> None:
    _write(getattr(text, language).format(**values))


def _write(text: str, end: str = "\n") -> None:
    sys.stderr.write(text + end)
    sys.stderr.flush()
