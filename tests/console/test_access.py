"""Tokens and positions on the console: whole lines, JSON for scripts, the names that HTTP accepts."""

import json
import shlex
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import Session

from app.access.commands import enrol
from app.access.models import Role
from app.access.rules import Grant
from app.kit.database.engine import Database
from app.kit.problems import Invalid
from app.startup.database import begin_console_write
from tests.database import OneTransaction
from tests.test_cli import Rata, prepared, rata

pytestmark = pytest.mark.one_engine

__all__ = ["prepared", "rata"]  # fixtures

LONG = "dasbor-perlindungan-sosial-kalsel-2026-x"


def make(rata: Rata, name: str, *roles: str) -> None:
    options = [word for role in roles for word in ("--role", role)]
    assert rata("token", "create", name, *options).returncode == 0


@pytest.mark.parametrize("columns", ["20", "40", "200"])
def test_lists_are_complete_at_any_width(rata: Rata, prepared: Database, columns: str) -> None:
    assert len(LONG) == 40
    agency = "operator@63.02/1.06.0.00.0.00.08.0000"
    make(rata, LONG, "secretariat@63.02", agency, "reader@63")
    make(rata, "b", "reader@0")
    for what in ("token", "principal"):
        done = rata(what, "list", COLUMNS=columns)
        head, *rows = done.stdout.splitlines()
        assert head.split()[0] == "name"
        assert [row.split()[0] for row in rows] == ["b", LONG]
        assert f"{agency},reader@63,secretariat@63.02" in rows[1]


def test_lists_are_json_for_scripts(rata: Rata, prepared: Database) -> None:
    assert json.loads(rata("token", "list", "--json").stdout) == []
    make(rata, LONG, "operator@63.02/1.06.0.00.0.00.08.0000")
    rata("token", "revoke", LONG)
    (token,) = json.loads(rata("token", "list", "--json").stdout)
    membership = {"role": "operator", "region_code": "63.02", "agency_code": "1.06.0.00.0.00.08.0000"}
    assert token.pop("expires_at").endswith("+00:00")
    assert token == {
        "name": LONG,
        "principal": LONG,
        "memberships": [membership],
        "scopes": ["read"],
        "networks": [],
        "state": "revoked",
        "last_used_at": None,
    }
    (principal,) = json.loads(rata("principal", "list", "--json").stdout)
    assert principal == {"name": LONG, "home": "63.02", "held_by": "tokens", "memberships": [membership]}


def test_the_printed_line_makes_the_first_administrator(rata: Rata, prepared: Database) -> None:
    def printed() -> list[str]:
        return [line for line in rata("migrate").stdout.splitlines() if line.startswith("rata ")]

    (line,) = printed()
    done = rata(*shlex.split(line)[1:])
    assert (done.returncode, done.stdout.startswith("rata_")) == (0, True)
    assert printed() == []
    (token,) = json.loads(rata("token", "list", "--json").stdout)
    assert token["memberships"] == [{"role": "administrator", "region_code": "0", "agency_code": None}]
    assert set(token["scopes"]) == {"read", "write", "approve", "administer"}


def test_without_reference_data_the_printed_line_loads_it_first(rata: Rata) -> None:
    line = rata("migrate").stdout.splitlines()[-1]
    load, _, create = line.partition(" && ")
    assert load == "rata reference load"
    assert create.startswith("rata token create ")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--role", "reader@63", "--role", "reader@63"], "“reader@63” occurs more than once"),
        (["--role", "reader@6x"], "reader@6x: must be written as a region code"),
        (["--role", "operator@63.02/a b"], "operator@63.02/a b: must be written as capital letters"),
        (
            ["--role", "reader@63", "--network", "10.0.0.1", "--network", "10.0.0.1/32"],
            "“10.0.0.1/32” occurs",
        ),
        (["--role", "reader@63", "--principal", "a/b"], "a/b"),
    ],
)
def test_values_that_http_refuses_are_wrong_options(
    rata: Rata, prepared: Database, options: list[str], reason: str
) -> None:
    done = rata("token", "create", "dasbor", *options, COLUMNS="200")
    assert done.returncode == 2
    assert reason in done.stderr
    assert json.loads(rata("principal", "list", "--json").stdout) == []


def test_the_console_accepts_subjects_that_http_accepts(rata: Rata, prepared: Database) -> None:
    head = ["principal", "enrol", "kepala", "--role", "chair@63.02", "--subject"]
    for subject in ("", "a b", "x" * 256, "é"):
        assert (
            rata(*head, subject, RATA_OIDC_ISSUER="https://i.example", RATA_OIDC_AUDIENCE="x").returncode == 2
        )


# The client of the tests decodes `%30` in an address twice.
@given(
    name=st.text(
        st.characters(codec="ascii", exclude_characters="/%", exclude_categories=["Cc"]), max_size=45
    )
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_console_and_http_take_the_same_names(
    national_administrator: TestClient, database: OneTransaction, name: str
) -> None:
    name = name.strip()  # the console strips a name; an address cannot have blanks
    content: dict[str, Any] = {"region_code": "63.02", "memberships": []}
    reply = national_administrator.put(
        f"/v1/principals/{quote(name)}", json=content, params={"dry_run": True}
    )
    with database.writing(dry_run=True) as session:
        is_taken = can_enrol(session, name)
    if name not in ("", ".", ".."):  # these change the path
        assert is_taken == (reply.status_code == 201), (name, reply.text)


def can_enrol(session: Session, name: str) -> bool:
    """Return True if the console enrols a principal of that name."""
    try:
        enrol(begin_console_write(session), principal=name, grants=[Grant(Role.reader, "63.02", None)])
    except Invalid:
        return False
    return True
