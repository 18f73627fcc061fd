"""Principals and tokens from the console, on both engines."""

from datetime import UTC, datetime

import pytest

from app.access.commands import Write, enrol
from app.access.models import Role, TokenScope
from app.access.queries import list_principals, list_tokens
from app.access.rules import CONSOLE, Grant
from app.access.tokens import revoke_token
from app.kit.database.journal import Author
from app.kit.problems import NotFound
from tests.common import token_for
from tests.database import OneTransaction

pytestmark = pytest.mark.both_engines


def test_principals_and_tokens_are_listed_until_they_are_revoked(database: OneTransaction) -> None:
    grants = [Grant(Role.secretariat, "63.02", None)]
    token_for(database, ("reader", "63"))
    with database.writing() as session:
        write = Write(session, Author("test", datetime.now(UTC)), CONSOLE)
        enrol(write, principal="kepala-bidang", grants=grants, identity=("https://issuer.example", "s-1"))
        assert [(row.name, held) for row, held in list_principals(session) if held == grants] == [
            ("kepala-bidang", grants)
        ]
        ((token, principal, held),) = list_tokens(session)
        assert (principal.name, held) == (token.name, [Grant(Role.reader, "63", None)])
        assert TokenScope.read in token.scopes
        revoke_token(write, name=token.name)
        with pytest.raises(NotFound):
            revoke_token(write, name=token.name)
