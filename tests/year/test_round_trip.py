"""Files of the half-years: the service takes its own export back without a difference, at any moment of a year."""

import itertools
import os
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.database import OneTransaction
from tests.year.played import AT, YEAR, PlayedYear

SEEDS = [int(text) for text in os.environ.get("RATA_YEAR_SEEDS", "3").split()]
STEPS = int(os.environ.get("RATA_YEAR_STEPS", "6"))


EXPORTS = list(itertools.product((f"{YEAR}-S1", f"{YEAR}-S2", f"{YEAR}"), ("period", "cumulative")))
"""Period and basis of each export."""


class FiledYear(PlayedYear):
    """A year that takes an export back after each write to the plan and after each step: another one each time."""

    def send(self, client: TestClient, method: str, path: str, body: Any = None, *, new: bool = False) -> Any:
        reply = super().send(client, method, path, body, new=new)
        if method != "GET" and path.startswith(f"{AT}/") and "/progress/" not in path:
            self.steps.append(f"  {method} {path.removeprefix(AT)}")
            self.take_next_back()
        return reply

    def take_next_back(self) -> None:
        self.turn += 1
        self.take_back(*EXPORTS[self.turn % len(EXPORTS)])

    def take_back(self, period: str, basis: str, ending: str = "csv") -> None:
        at = (period, basis, *self.steps)
        file = self.team.get(f"{AT}/matrix.{ending}", params={"period": period, "basis": basis})
        assert file.status_code == 200, (at, file.text)
        reply = self.team.post(
            f"{AT}/imports",
            params={"basis": basis, "dry_run": "true"},
            files={"file": (f"matrix.{ending}", file.content)},
        )
        assert reply.status_code == 200, (at, reply.json(), file.text)
        report = reply.json()
        assert (report["unchanged"], report["lines"]) == (report["lines"],) * 2, (at, report, file.text)
        for quarter in report["progress"]:
            assert (quarter["created"], quarter["updated"]) == (0, 0), (at, quarter, file.text)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_export_of_any_period_imports_without_a_difference(
    connect: Callable[..., TestClient], database: OneTransaction, seed: int
) -> None:
    year = FiledYear(connect, database, seed)
    year.draft()
    year.adopt()
    for _ in range(STEPS):
        year.step()
        year.take_next_back()
    for period, basis in EXPORTS:
        year.take_back(period, basis, "xlsx")
