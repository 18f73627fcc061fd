import pytest
from fastapi import FastAPI

from tests.contract.world import World
from tests.database import OneTransaction


@pytest.fixture
def world(app: FastAPI, database: OneTransaction) -> World:
    return World(app, database)
