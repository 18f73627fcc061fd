"""The installation of docs/install.md, followed word for word on a Debian machine of its own, and an upgrade."""

import json
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.docs.pages import ROOT, blocks_of
from tests.proofs.machines import Machine, booting, load_wheels, pack
from tests.proofs.programs import find_program
from tests.restoring.world import read_block

CHECKOUT, WHEELS = "/usr/local/src/rata", "/srv/wheels"
NAME = "rata.example.go.id"
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": WHEELS, "PIP_QUIET": "1"}
ASK = f"curl --silent --show-error --cacert /etc/nginx/tls/fullchain.pem --resolve {NAME}:443:127.0.0.1"

#: The state after `apt-get install` on an empty machine, which has no way to Debian's packages.
EMPTY = """
echo 'Dir::Etc::SourceList "/dev/null"; Dir::Etc::SourceParts "/dev/null";' > /etc/apt/apt.conf.d/99proof
rm -rf /opt/rata /etc/rata /etc/nginx/tls /var/backups/rata /var/cache/rata /var/lib/rata /usr/local/bin/rata
pg_lsclusters --no-header | while read -r version name others; do pg_dropcluster --stop "$version" "$name"; done
pg_createcluster 15 main
systemctl start postgresql nginx
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with Debian's packages, the checkout, and the Python packages of the lock."""
    for name, package in (("nginx", "nginx"), ("pg_createcluster", "postgresql-common"), ("curl", "curl")):
        find_program(name, package)
    folder = tmp_path_factory.mktemp("machine")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    wheels = load_wheels(folder, ROOT / "requirements" / "base.txt")
    with booting(folder) as machine:
        machine.add_files(
            pack(ROOT, [name for name in listed.splitlines() if (ROOT / name).is_file()]), CHECKOUT
        )
        machine.add_files(wheels, WHEELS)
        machine.run(EMPTY)
        yield machine


@pytest.fixture(scope="module")
def token(machine: Machine) -> str:
    """The token of the first administrator, after all blocks of the page."""
    text = "".join(
        block.text for block in blocks_of(ROOT / "docs" / "install.md") if block.marker == "install"
    )
    done = machine.run(text, folder=CHECKOUT, **OFFLINE)
    assert '{"status":"ok"}' in done.stdout
    assert "The journal holds: " in done.stdout
    (token,) = re.findall(r"\brata_[\w-]+", done.stdout)
    return str(token)


def ask(machine: Machine, token: str, path: str) -> dict[str, object]:
    done = machine.run(
        f"{ASK} --retry 30 --fail --header 'Authorization: Bearer {token}' https://{NAME}{path}"
    )
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def read(machine: Machine, unit: str, name: str) -> str:
    return machine.run(f"systemctl show --value --property={name} {unit}").stdout.strip()


def test_administrator_is_answered_over_tls(machine: Machine, token: str) -> None:
    assert ask(machine, token, "/v1/me")["principal"] == "administrator"
    regions = ask(machine, token, "/v1/regions?level=province")
    assert regions["items"]
    refused = machine.run(f"{ASK} --fail https://{NAME}/ready && {ASK} https://{NAME}/v1/me")
    assert '"code":"unauthenticated"' in refused.stdout


def test_service_runs_bounded_and_without_rights(machine: Machine, token: str) -> None:
    for unit in ("rata", "rata-deliver"):
        assert (read(machine, unit, "ActiveState"), read(machine, unit, "NRestarts")) == ("active", "0")
        owner = machine.run(f"stat --format=%U /proc/{read(machine, unit, 'MainPID')}")
        assert owner.stdout == "rata\n"
    machine.run("systemd-analyze verify /etc/systemd/system/rata*.service /etc/systemd/system/rata*.timer")
    score = machine.run(
        "systemd-analyze security rata.service rata-deliver.service rata-backup.service --no-pager"
    )
    print(score.stdout)
    listening = machine.run("ss --listening --tcp --numeric --no-header").stdout
    assert re.findall(r" (?:0\.0\.0\.0|\*|\[::\]):(\d+) ", listening) == ["443"]
    journal = machine.run("journalctl --priority=warning --unit=rata --unit=rata-deliver --quiet").stdout
    assert journal == ""


def test_secrets_are_read_by_root_and_the_service_alone(machine: Machine, token: str) -> None:
    modes = machine.run(
        "stat --format='%a %U %G' /etc/rata/rata.env /etc/nginx/tls /var/backups/rata /var/cache/rata"
    )
    assert modes.stdout.splitlines() == ["640 root rata", "750 root root", "700 rata rata", "700 rata rata"]
    assert "RATA_SECRETS_KEY=" in machine.run("cat /etc/rata/rata.env").stdout


def test_pulls_are_kept_in_the_folder_of_the_unit(machine: Machine, token: str) -> None:
    call = f"{ASK} --fail --header 'Authorization: Bearer {token}' --output /dev/null"
    title = """--request PUT --header 'Content-Type: application/json' --data '{"title": "RAT"}'"""
    machine.run(f"{call} {title} https://{NAME}/v1/plans/63.02-2026")
    for kind in ("parquet", "ndjson"):
        machine.run(f"{call} 'https://{NAME}/v1/pulls/2026-Q2.{kind}?region=63'")
    assert machine.run("find /var/cache/rata -type f -name '*.json'").stdout.count("\n") == 2


def test_backup_of_the_day_is_kept_and_an_old_one_removed(machine: Machine, token: str) -> None:
    machine.run("touch /var/backups/rata/rata-2020-01-01.backup")
    machine.run("systemctl start rata-backup.service")
    assert machine.run("ls /var/backups/rata").stdout == f"rata-{datetime.now(UTC):%Y-%m-%d}.backup\n"
    assert "The journal holds: " in machine.run("journalctl --unit=rata-backup").stdout
    next_one = machine.run("systemctl list-timers --no-pager rata-backup").stdout
    assert "01:30:00" in next_one


def test_service_comes_back_and_stops_in_order(machine: Machine, token: str) -> None:
    machine.run("systemctl kill --signal=SIGKILL rata")
    ask(machine, token, "/v1/me")
    assert read(machine, "rata", "NRestarts") == "1"
    machine.run("systemctl restart postgresql")
    ask(machine, token, "/v1/me")
    machine.run("systemctl stop rata")
    assert read(machine, "rata", "Result") == "success"
    refused = machine.run(f"{ASK} --include https://{NAME}/v1/me")
    assert "503" in refused.stdout.splitlines()[0]
    assert '"code":"busy"' in refused.stdout
    machine.run("systemctl start rata")
    ask(machine, token, "/v1/me")


def test_upgrade_keeps_settings_certificate_and_data(machine: Machine, token: str) -> None:
    kept = "sha256sum /etc/rata/rata.env /etc/nginx/tls/*"
    before = machine.run(kept).stdout
    machine.run(read_block("sh deploy/install.sh"), folder=CHECKOUT, **OFFLINE)
    assert machine.run(kept).stdout == before
    assert ask(machine, token, "/v1/me")["principal"] == "administrator"


def test_restored_database_serves(machine: Machine, token: str) -> None:
    way_back = read_block("pg_restore")
    machine.run("install --owner=rata /var/backups/rata/*.backup /var/lib/rata/rata.backup")
    machine.run(f"runuser --user=rata -- sh -eu <<'END'\ncd /var/lib/rata\n{way_back}\nEND\n")
    machine.run(
        "sed --in-place 's|rata@/rata?|rata@/rata_restored?|' /etc/rata/rata.env && systemctl restart rata"
    )
    assert ask(machine, token, "/v1/me")["principal"] == "administrator"
    assert "/rata_restored" in machine.run("journalctl --unit=rata --lines=50").stdout


def test_tables_are_cut_by_year(machine: Machine, token: str) -> None:
    this_year = datetime.now(UTC).year
    machine.run("systemctl stop rata")
    for name, shown, year in (
        ("cut", "", ""),
        ("add", "2037", this_year + 11),
        ("remove", "2020", this_year),
    ):
        text = read_block(f"{name}.sql", "scaling")
        assert shown in text
        machine.run(text.replace(shown, str(year)) if shown else text, folder=CHECKOUT)
    machine.run("systemctl start rata")
    assert ask(machine, token, "/v1/me")["principal"] == "administrator"
