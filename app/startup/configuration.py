"""Reader of the settings: chooses the file, checks the names, and explains each wrong value in one sentence."""

import os
import re
from pathlib import Path
from types import NoneType
from typing import Literal, get_args, get_origin

from dotenv.parser import parse_stream
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import DotEnvSettingsSource

from app.kit.http.validation import find_nearest
from app.settings import Settings

PREFIX = "RATA_"
NAMES = tuple(f"{PREFIX}{field.upper()}" for field in Settings.model_fields)
"""The variables that the service reads."""

FILE_VARIABLE = "RATA_ENV_FILE"
FILES = (Path("/etc/rata/rata.env"), Path(".env"))
"""Settings files to look for without `RATA_ENV_FILE`: the first that exists counts."""
ENCODING = "utf-8-sig"

READ_ELSEWHERE = {
    "the console": (FILE_VARIABLE,),
    "rata pull, rata follow": ("RATA_SERVER", "RATA_TOKEN", "RATA_TOKEN_FILE"),
    "compose.yaml": ("RATA_POSTGRES_PASSWORD", "RATA_PUBLISHED_PORT", "RATA_FRONT"),
    "tests, proofs and benchmarks": (
        "RATA_BENCH_SECRET",
        "RATA_PROOF_COUNT",
        "RATA_PROOF_MINUTES",
        "RATA_PROOF_SEED",
        "RATA_PROOF_SILENCE",
        "RATA_TEST_ENGINES",
        "RATA_TEST_POSTGRES_BIN",
        "RATA_TEST_POSTGRES_URL",
        "RATA_YEAR_LINES",
        "RATA_YEAR_REGENCIES",
        "RATA_YEAR_SEEDS",
        "RATA_YEAR_STEPS",
    ),
}
"""Variables with the prefix that are not settings of the service, by their reader."""

REMOVED = {
    "RATA_CONNECTIONS": "the proxy in front bounds connections: worker_connections and limit_conn in deploy/nginx.conf",
    "RATA_DEMO_TOKEN_FILE": "RATA_DEMO_FOLDER names the folder in which the demo keeps all its files",
    "RATA_STALL_SECONDS": "the proxy in front disconnects slow clients: client_body_timeout in deploy/nginx.conf",
}
"""Settings that earlier versions had → the sentence that says what replaces each."""

KNOWN = frozenset(NAMES) | {name for names in READ_ELSEWHERE.values() for name in names}

_LONGEST_SHOWN = 60


class CannotStart(SystemExit):
    """The reason for which a command or the service does not start; the exit code is 1."""


def load_settings() -> Settings:
    """Return the settings of the environment and of the settings file.

    Raises CannotStart for an unknown name with the prefix, and for a value that does not fit.
    """
    file = find_settings_file()
    given = [name for name in sorted(os.environ) if name.upper().startswith(PREFIX)]
    wrong = [_refuse_name(name, "") for name in given if _is_unknown(name)]
    wrong += [f"{name} is not UTF-8 text." for name in given if not _is_text(name + os.environ[name])]
    if file is not None:
        wrong += _check_names(file)
    if wrong:
        raise CannotStart("\n".join(wrong))
    try:
        return Settings(_env_file=file, _env_file_encoding=ENCODING)  # type: ignore[call-arg]  # pydantic-settings' own
    except ValidationError as error:
        raise CannotStart("\n".join(list_refusals(error))) from None


def find_settings_file() -> Path | None:
    """Return the settings file, None if there is none.

    Raises CannotStart if `RATA_ENV_FILE` names no file, or if the process lacks access to a folder of its path.
    """
    named = os.environ.get(FILE_VARIABLE)
    try:
        if not named:
            return next((file for file in FILES if file.is_file()), None)
        if not Path(named).exists():
            raise CannotStart(f"{FILE_VARIABLE} names {named}, and there is no such file.")
        if not Path(named).is_file():
            raise CannotStart(f"{FILE_VARIABLE} names {named}, which is a folder or a device; name a file.")
    except OSError as error:
        raise CannotStart(f"The settings file {error.filename} cannot be read: {error.strerror}.") from None
    return Path(named)


def list_refusals(error: ValidationError) -> list[str]:
    """Return one sentence for each setting that does not fit: its name, its value, the allowed values."""
    return [_refuse_value(str(wrong["loc"][0]), wrong) for wrong in error.errors(include_url=False)]


def _check_names(file: Path) -> list[str]:
    """Return one sentence for each name in a settings file that is unknown, has no value or has no effect there."""
    try:
        with file.open(encoding=ENCODING) as stream:
            broken = [binding.original.line for binding in parse_stream(stream) if binding.error]
        if broken:
            lines = ", ".join(map(str, broken))
            return [
                f"Line {lines} of the settings file {file} cannot be read; write NAME=VALUE, quotes in pairs."
            ]
        given = DotEnvSettingsSource(Settings, env_file=file, env_file_encoding=ENCODING).env_vars
    except UnicodeDecodeError:
        raise CannotStart(f"The settings file {file} is not UTF-8 text.") from None
    except OSError as error:
        raise CannotStart(f"The settings file {file} cannot be read: {error.strerror}.") from None
    names = {name.upper(): value for name, value in sorted(given.items())}
    unknown = [_refuse_name(name, f" (in {file})") for name in names if _is_unknown(name)]
    if FILE_VARIABLE in names:
        unknown.append(f"{FILE_VARIABLE} (in {file}) has no effect there; set it in the environment.")
    empty = [name for name, value in names.items() if value is None and name in KNOWN]
    return unknown + [f"{name} (in {file}) has no value; write {name}=VALUE." for name in empty]


def _is_text(text: str) -> bool:
    """Return whether a variable is valid UTF-8; Python turns any other byte into a surrogate."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _is_unknown(name: str) -> bool:
    return name.upper().startswith(PREFIX) and name.upper() not in KNOWN


def _refuse_name(name: str, place: str) -> str:
    if name.upper() in REMOVED:
        return f"{name}{place} is no longer a setting; {REMOVED[name.upper()]}."
    # the shared prefix makes all names similar, so the cutoff is high, and the prefix alone is similar to each
    close = find_nearest(name.upper(), sorted(KNOWN), limit=1, cutoff=86) if name.upper() != PREFIX else []
    hint = f"the nearest is {close[0]}" if close else "docs/install.md lists them"
    return f"{name}{place} is not a setting; {hint}."


def _refuse_value(field: str, wrong: ErrorDetails) -> str:
    name, info = f"{PREFIX}{field.upper()}", Settings.model_fields[field]
    raised = (wrong.get("ctx") or {}).get("error")
    allowed = str(raised) if raised is not None else _describe_allowed(info)
    if wrong["type"] == "string_pattern_mismatch" and info.examples:
        allowed = f"use a value such as {info.examples[0]}"
    if not allowed.startswith("use "):
        return f"{name} {allowed}."
    return f"{name} {_describe_value(wrong['input']) if info.repr else 'does not fit'}; {allowed}."


def _describe_value(value: object) -> str:
    """Return the words for a value, on one line, shortened, without a password in front of a host."""
    text = re.sub(r"//[^/@\s]*@", "//…@", str(value))
    if not text:
        return "is empty"
    short = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
    return f"is {short!r}"


def _describe_allowed(info: FieldInfo) -> str:
    bounds = {
        name: getattr(item, name)
        for item in info.metadata
        for name in ("ge", "gt", "le", "min_length", "max_length")
        if getattr(item, name, None) is not None
    }
    kind = next((part for part in get_args(info.annotation) if part is not NoneType), info.annotation)
    if get_origin(info.annotation) is Literal:
        return f"use {' or '.join(get_args(info.annotation))}"
    if kind is bool:
        return "use true or false"
    if kind in (int, float):
        number = "a whole number" if kind is int else "a number"
        lowest = f"from {bounds['ge']}" if "ge" in bounds else f"above {bounds['gt']}"
        return f"use {number} {lowest}" + (f" to {bounds['le']}" if "le" in bounds else "")
    shortest, longest = bounds.get("min_length", 0), bounds["max_length"]
    return f"use {shortest} to {longest} characters" + (
        f" such as {info.examples[0]}" if info.examples else ""
    )
