"""Operators' mistakes in settings: names, values, files. Each refusal is a sentence of our own."""

import os
import re
import string
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.settings import Settings
from app.startup import configuration
from app.startup.configuration import KNOWN, NAMES, REMOVED, CannotStart, load_settings

ROOT = Path(__file__).parents[2]
NAMING = (
    "compose.yaml",
    "Dockerfile",
    "Makefile",
    "README.md",
    "app",
    "benchmarks",
    "deploy",
    "docs",
    "tests",
)
FOREIGN_WORDS = re.compile(r"Input should|String should|Value error|validation error|pydantic|Traceback")
# Words that hardly any setting takes, and some that fit another one.
WORDS = (
    "",
    "abc",
    "-5",
    "1e400",
    "nan",
    "x" * 400,
    "\n\t",
    "https://user:hidden@host/?a",
    "oracle://hidden@x",
)
UNFIT = {
    name for name in NAMES if not re.search("HOST|FOLDER|FILE|AUDIENCE|PUBLISHER|CLAIM|READ_URL|KEY", name)
}


@contextmanager
def set_environment(**values: str) -> Iterator[pytest.MonkeyPatch]:
    """Replace the product's variables in the environment by these."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.upper().startswith("RATA_")]:
            patch.delenv(name)
        for name, value in values.items():
            patch.setenv(name, value)
        patch.setattr(configuration, "FILES", ())
        yield patch


def find_refusal(**values: str) -> str | None:
    """Return the sentences that refuse these variables, None if the settings take them."""
    with set_environment(**values):
        try:
            load_settings()
        except CannotStart as refused:
            return str(refused)
    return None


def test_every_variable_in_the_repository_is_declared() -> None:
    files = [
        file
        for top in NAMING
        for file in ([ROOT / top] if (ROOT / top).is_file() else (ROOT / top).rglob("*"))
        if file.is_file()
        and file.suffix not in (".pyc", ".xlsx", ".parquet")
        and file.parent.name != "console"
        and file.name != "test_refusals.py"  # like the tests of the console, it misspells some
    ]
    named = {
        name: file
        for file in files
        for name in re.findall(r"\bRATA_[A-Z_]*[A-Z]\b", file.read_text(errors="replace"))
    }
    assert {name: file for name, file in named.items() if name not in KNOWN | REMOVED.keys()} == {}


def test_no_declared_variable_is_unused() -> None:
    text = "".join(
        file.read_text()
        for top in ("app", "tests", "benchmarks")
        for file in (ROOT / top).rglob("*.py")
        if file.name != "configuration.py"
    )
    text += "".join((ROOT / file).read_text() for file in ("compose.yaml", "Makefile"))
    elsewhere = KNOWN - set(NAMES) - {configuration.FILE_VARIABLE, "RATA_DEMO_FOLDER"}
    assert {name for name in elsewhere if name not in text} == set()


@given(st.sampled_from(NAMES), st.data())
@settings(max_examples=60, deadline=None)
def test_a_misspelt_name_is_refused_with_the_nearest(name: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(len("RATA_"), len(name) - 1))
    letter = data.draw(st.sampled_from([*string.ascii_uppercase, ""]))
    wrong = data.draw(st.sampled_from([str.upper, str.lower]))(name[:place] + letter + name[place + 1 :])
    if wrong.upper() in KNOWN:
        return
    sentence = find_refusal(**{wrong: "1"})
    assert sentence is not None
    assert sentence.startswith(f"{wrong} is not a setting; ")
    assert sentence.count("\n") == 0
    assert any(setting in sentence for setting in KNOWN)


def test_a_value_of_the_wrong_form_is_refused_with_a_right_one() -> None:
    assert find_refusal(RATA_PUBLIC_URL="zz") == (
        "RATA_PUBLIC_URL is 'zz'; use a value such as https://rata.example."
    )


@pytest.mark.parametrize("wrong", ["RATA_", "RATA_X", "RATA_DB", "RATA_FOO_BAR_BAZ"])
def test_a_name_unlike_any_setting_gets_no_suggestion(wrong: str) -> None:
    assert find_refusal(**{wrong: "1"}) == f"{wrong} is not a setting; docs/install.md lists them."


def test_a_misspelt_name_names_the_right_one() -> None:
    assert find_refusal(RATA_DATABSE_URL="sqlite:///x.db") == (
        "RATA_DATABSE_URL is not a setting; the nearest is RATA_DATABASE_URL."
    )
    assert "RATA_OIDC_ISSUER" in str(find_refusal(RATA_ISUER_OIDC="x"))
    assert (
        find_refusal(RATA_SERVER="https://rata.example", RATA_POSTGRES_PASSWORD="x", RATA_PROOF_COUNT="5")
        is None
    )


@given(st.sampled_from(NAMES), st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
@settings(max_examples=150, deadline=None)
def test_an_invalid_value_is_refused_in_one_sentence(name: str, value: str) -> None:
    check_sentence(name, value)


@pytest.mark.parametrize("name", NAMES)
def test_each_setting_refuses_unusable_values(name: str) -> None:
    refused = [value for value in WORDS if check_sentence(name, value)]
    assert name not in UNFIT or len(refused) >= 4


def check_sentence(name: str, value: str) -> bool:
    """Assert that a value is taken, or refused in a sentence with its name and the allowed values."""
    sentence = find_refusal(**{name: value})
    if sentence is None:
        return False
    assert sentence.startswith(f"{name} ")
    assert sentence.endswith(".")
    assert sentence.isprintable()
    assert not FOREIGN_WORDS.search(sentence)
    assert "hidden" not in sentence
    if Settings.model_fields[name.removeprefix("RATA_").lower()].repr and value and "needs" not in sentence:
        assert " is '" in sentence or ' is "' in sentence
    assert "use " in sentence or "need" in sentence
    return True


def test_several_wrong_values_are_a_sentence_each() -> None:
    assert str(find_refusal(RATA_PORT="0", RATA_METRICS="yes")).splitlines() == [
        "RATA_PORT is '0'; use a whole number from 1 to 65535.",
        "RATA_METRICS is 'yes'; use off or public or port.",
    ]


def test_the_first_existing_settings_file_is_used(tmp_path: Path) -> None:
    etc, own, other = tmp_path / "rata.env", tmp_path / ".env", tmp_path / "other.env"
    own.write_text("RATA_PORT=8001\nOTHERS=1\n")
    other.write_text("\ufeffexport RATA_PORT=8003\n", encoding="utf-8")
    with set_environment() as patch:
        patch.setattr(configuration, "FILES", (etc, own))
        assert load_settings().port == 8001
        etc.write_text("RATA_PORT=8002\n")
        assert load_settings().port == 8002
        patch.setenv("RATA_ENV_FILE", str(other))
        assert load_settings().port == 8003
        patch.setenv("RATA_PORT", "8004")
        assert load_settings().port == 8004


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "no such file"),
        (b"RATA_PROT=8000\n", "RATA_PROT (in {file}) is not a setting; the nearest is RATA_PORT"),
        (b"RATA_CATALOGUE_PUBLISHER=\xff\xfe\n", "{file} is not UTF-8 text"),
        (b"RATA_PORT\n", "RATA_PORT"),
        (b"RATA_ENV_FILE=other.env\n", "RATA_ENV_FILE (in {file}) has no effect there"),
        (b'RATA_DATABASE_URL="sqlite:///x.db\nRATA_PORT=8000\n', "Line 1 of the settings file {file}"),
        (b"RATA_PORT=8000\nRATA_WORKERS 2\n", "Line 2 of the settings file {file}"),
    ],
)
def test_an_unusable_settings_file_is_refused(tmp_path: Path, content: bytes | None, reason: str) -> None:
    file = tmp_path / "rata.env"
    if content is not None:
        file.write_bytes(content)
    sentence = str(find_refusal(RATA_ENV_FILE=str(file)))
    assert reason.format(file=file) in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert find_refusal(RATA_ENV_FILE=str(tmp_path)) == (
        f"RATA_ENV_FILE names {tmp_path}, which is a folder or a device; name a file."
    )
    assert "a device; name a file" in str(find_refusal(RATA_ENV_FILE="/dev/full"))
