"""The files under deploy/ and docs/install.md agree with each other and with the service.

`make proofs GROUP=install` follows the page on a machine of its own.
"""

import configparser
import re
import subprocess
from pathlib import Path

import pytest

from app.cli import cli
from app.settings import Settings
from app.startup.configuration import FILE_VARIABLE, FILES, NAMES, load_settings
from tests.docs.pages import ROOT, blocks_of

DEPLOY = ROOT / "deploy"
PAGE = ROOT / "docs" / "install.md"
UNITS = sorted(DEPLOY.glob("rata*.service"))
#: Seconds beyond RATA_LEAVE_SECONDS that a supervisor gives the service before it kills.
PATIENCE = 40


class _Unit(configparser.RawConfigParser):
    """A file of systemd; a name that comes several times keeps all values."""

    def __init__(self, file: Path) -> None:
        super().__init__(delimiters=("=",), strict=False, dict_type=dict)
        self.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
        text = file.read_text()
        self.read_string(text)
        self.environment = dict(re.findall(r"^Environment=(\w+)=(.*)$", text, re.MULTILINE))
        self.command = re.search(r"^ExecStart=/opt/rata/bin/rata (.+)$", text, re.MULTILINE)


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def test_script_has_the_lines_of_the_page() -> None:
    documented = "".join(b.text for b in blocks_of(PAGE) if (b.marker, b.argument) == ("install", "script"))
    first, *others = _lines(documented)
    assert first.startswith("NAME=")
    script = _lines((DEPLOY / "install.sh").read_text())
    begin = next(number for number, line in enumerate(script) if line.startswith("cd ")) + 1
    assert script[begin:-1] == others


def test_page_and_script_name_files_that_are_there() -> None:
    for text in (PAGE.read_text(), (DEPLOY / "install.sh").read_text()):
        named = set(re.findall(r"\bdeploy/[\w./-]*\w", text))
        assert named
        assert [name for name in named if not (ROOT / name).is_file()] == []


def test_settings_file_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FILE_VARIABLE, str(DEPLOY / "rata.env"))
    settings = load_settings()
    assert settings.database_url.startswith("postgresql+psycopg://rata@/rata?host=/")
    assert settings.public_url is not None
    # Debian's PostgreSQL takes 100 connections
    assert settings.workers * (settings.database_pool + settings.threads) < 100


@pytest.mark.parametrize("file", UNITS, ids=lambda file: file.name)
def test_unit_runs_a_command_with_known_settings(file: Path) -> None:
    unit = _Unit(file)
    assert unit.command is not None
    assert unit.command[1].split()[0] in cli.commands
    assert unit.environment[FILE_VARIABLE] == str(FILES[0])
    own = {name for name in unit.environment if name.startswith("RATA_")}
    assert own <= {*NAMES, FILE_VARIABLE}
    assert f"--group --home /var/lib/rata {unit['Service']['User']}\n" in PAGE.read_text()
    if "backup" not in file.name:
        leave = Settings.model_fields["leave_seconds"].default
        assert int(unit["Service"]["TimeoutStopSec"]) >= leave + PATIENCE


def test_units_have_the_same_bounds() -> None:
    bounds = {
        file.read_text().partition("\n# The process sees ")[2].partition("\n\n[")[0].strip() for file in UNITS
    }
    assert len(bounds) == 1
    assert {"NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet="} <= {
        *bounds.pop().splitlines()
    }


def test_pulls_are_kept_where_the_unit_may_write() -> None:
    unit = _Unit(DEPLOY / "rata.service")
    assert unit.environment["RATA_SPOOL_FOLDER"] == f"/var/cache/{unit['Service']['CacheDirectory']}"


def test_proxy_of_debian_differs_in_tls_addresses_and_logs() -> None:
    shipped = (DEPLOY / "nginx.conf").read_text()
    done = subprocess.run(
        ["sed", f"--file={DEPLOY}/debian.sed", DEPLOY / "nginx.conf"],
        capture_output=True,
        text=True,
        check=True,
    )
    user, *lines = done.stdout.splitlines()
    assert user == "user www-data;"
    changed = [
        (before.strip(), after.strip())
        for before, after in zip(shipped.splitlines(), lines, strict=True)
        if before != after
    ]
    assert [after for before, after in changed if after == before.removeprefix("# ")] == [
        "listen 443 ssl sndbuf=64k;",
        "ssl_certificate /etc/nginx/tls/fullchain.pem;",
        "ssl_certificate_key /etc/nginx/tls/privkey.pem;",
        "ssl_protocols TLSv1.2 TLSv1.3;",
        "ssl_session_cache shared:tls:10m;",
    ]
    assert [after for before, after in changed if after != before.removeprefix("# ")] == [
        "error_log /var/log/nginx/error.log crit;",
        "access_log /var/log/nginx/access.log rata;",
        f"server 127.0.0.1:{Settings.model_fields['port'].default};",
        "# listen 80 sndbuf=64k;",
    ]
