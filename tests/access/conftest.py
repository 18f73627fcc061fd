"""Fixtures: a real issuer, the application that trusts it, and an administrator who enrols people."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.access.issuer import RealIssuer, running_issuer
from tests.access.people import PeopleApp


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealIssuer]:
    """An issuer for all tests that do not change it."""
    with running_issuer(tmp_path_factory.mktemp("issuer")) as running:
        yield running


@pytest.fixture
def own_issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealIssuer]:
    """An issuer that the test may stop or whose keys it may rotate."""
    with running_issuer(tmp_path_factory.mktemp("own_issuer")) as running:
        yield running


@pytest.fixture
def people(app: FastAPI, issuer: RealIssuer, provincial_administrator: TestClient) -> Iterator[PeopleApp]:
    """The application with the shared issuer, whose keys it has just fetched."""
    with PeopleApp.trusting(app, issuer, provincial_administrator) as people_app:
        yield people_app


@pytest.fixture
def own_people(
    app: FastAPI, own_issuer: RealIssuer, provincial_administrator: TestClient
) -> Iterator[PeopleApp]:
    with PeopleApp.trusting(app, own_issuer, provincial_administrator) as people_app:
        yield people_app
