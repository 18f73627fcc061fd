"""`rata pull` and `rata follow`: for cron lines and services. The exit codes stand in docs/pulling.md and stay."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from app.client.copy import Copy
from app.client.files import Pull, Shown
from app.client.follow import Follower, differing
from app.client.mirror import compare
from app.client.problems import Language, NoToken, RataError, Text, WrongContent
from app.client.service import Rata
from app.client.waiting import Patience

cli = typer.Typer(help="Pull quarters of a Rata service and follow it.", pretty_exceptions_enable=False)
_err = Console(stderr=True)

_UNCHANGED = Text("{file}: tidak berubah ({rows} baris)", "{file}: unchanged ({rows} rows)")
_DONE = Text("{file}: {rows} baris, SHA-256 {sha256}", "{file}: {rows} rows, SHA-256 {sha256}")
_SAME = Text("{file}: sama dengan layanan", "{file}: the same as the service")
_FOLLOWED = Text(
    "{changes} perubahan, {read} dibaca ulang, {gone} hilang", "{changes} changes, {read} read, {gone} gone"
)
_DIFFERS = Text("{file}: berbeda dari layanan", "{file}: not the same as the service")


class PullFormat(StrEnum):
    """How a pull is written."""

    ndjson = "ndjson"
    csv = "csv"
    parquet = "parquet"
    xlsx = "xlsx"
    sqlite = "sqlite"


class Lang(StrEnum):
    """Of the messages."""

    id = "id"
    en = "en"


Server = Annotated[
    str, typer.Option(envvar="RATA_SERVER", help="Address of the service, such as https://rata.example.")
]
TokenFile = Annotated[
    Path | None,
    typer.Option(envvar="RATA_TOKEN_FILE", help="File with the token; RATA_TOKEN goes before it."),
]
Region = Annotated[
    str | None, typer.Option(help="This region and all below it; without it all that the token sees.")
]
LangOption = Annotated[
    Lang | None, typer.Option(help="Language of the messages; by the locale if not given, else Indonesian.")
]
Deadline = Annotated[float, typer.Option(min=1, help="Seconds after which to give up.")]


@cli.command("pull")
def pull(
    period: Annotated[str, typer.Argument(help="Quarter, such as 2026-Q2.")],
    server: Server,
    region: Region = None,
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder to put the file into.")] = Path(),
    format: Annotated[
        PullFormat, typer.Option(help="How it is written; sqlite: as tables to query.")
    ] = PullFormat.ndjson,
    since_last: Annotated[
        bool,
        typer.Option("--since-last", help="Leave the file alone where nothing changed since the last pull."),
    ] = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Pull nothing: compare the NDJSON or SQLite that is there with the digests.",
        ),
    ] = False,
    token_file: TokenFile = None,
    deadline: Deadline = 3600,
    lang: LangOption = None,
) -> None:
    """Pull a quarter into a file: whole and checked under its name, or not there at all. Goes on where it was cut."""
    language = _language(lang)
    with _told(language), _service(server, token_file, deadline, language) as service:
        if verify:
            file = Pull(period, region, format.value, out).file
            wrong = compare(service, file, period, region)
            for one in wrong:
                typer.echo(one)
            if wrong:
                _say(_DIFFERS, language, file=file)
                raise typer.Exit(WrongContent.exit_code)
            _say(_SAME, language, file=file)
            return
        with _bar() as shown:
            done = service.pull(
                period, out, region=region, format=format.value, since_last=since_last, shown=shown
            )
        manifest = done.manifest
        text = _UNCHANGED if done.is_unchanged else _DONE
        _say(text, language, file=done.file, rows=manifest.rows, sha256=manifest.sha256)


@cli.command("follow")
def follow(
    copy: Annotated[str, typer.Argument(help="File, or the URL of a database, to keep the copy in.")],
    server: Server,
    region: Region = None,
    once: Annotated[bool, typer.Option("--once", help="Up to now, then end: for cron.")] = False,
    pause: Annotated[float, typer.Option(min=1, help="Seconds between two looks at the feed.")] = 60,
    verify: Annotated[
        str | None, typer.Option(help="Up to now, then compare with the digests of this quarter and end.")
    ] = None,
    token_file: TokenFile = None,
    deadline: Deadline = 900,
    lang: LangOption = None,
) -> None:
    """Keep a copy of what the token sees true by the feed; it is whole at any instant at which this may end."""
    language = _language(lang)
    with _told(language), _service(server, token_file, deadline, language) as service:
        kept = Copy(copy)
        try:
            follower = Follower(service, kept, region=region, told=_reading)
            if verify is not None:
                found = follower.verify(verify)
                if found:
                    typer.echo(differing(found))
                    _say(_DIFFERS, language, file=kept.shown)
                    raise typer.Exit(WrongContent.exit_code)
                _say(_SAME, language, file=kept.shown)
            elif once:
                _say(_FOLLOWED, language, **follower.catch_up()._asdict())
            else:
                follower.run(pause=pause, failed=lambda error: _say_wrong(error.said(language)))
        finally:
            kept.close()


def main() -> None:
    """The two commands alone, without the service."""
    cli()


def _language(lang: Lang | None) -> Language:
    said = lang or next(
        (os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), ""
    )
    return "en" if said.startswith("en") else "id"


@contextmanager
def _told(language: Language) -> Iterator[None]:
    """What went wrong is a message and an exit code, never a traceback."""
    try:
        yield
    except RataError as error:
        _say_wrong(error.said(language))
        raise typer.Exit(error.exit_code) from None


@contextmanager
def _service(server: str, token_file: Path | None, deadline: float, language: Language) -> Iterator[Rata]:
    token = os.environ.get("RATA_TOKEN", "").strip()
    if not token and token_file is not None:
        try:
            token = token_file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise NoToken from error
    with Rata(server, token, language=language, patience=Patience(total=deadline)) as service:
        yield service


@contextmanager
def _bar() -> Iterator[Shown | None]:
    """A bar on a terminal; quiet elsewhere."""
    if not _err.is_terminal:
        yield None
        return
    columns = (TextColumn("rata pull"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=_err, transient=True) as progress:
        task = progress.add_task("pull", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _reading(address: str) -> None:
    if _err.is_terminal:
        _err.print(f"/v1/{address}", style="dim", highlight=False, markup=False)


def _say(text: Text, language: Language, **values: object) -> None:
    _err.print(getattr(text, language).format(**values), highlight=False, markup=False, soft_wrap=True)


def _say_wrong(text: str) -> None:
    _err.print(text, style="bold red", highlight=False, markup=False, soft_wrap=True)
