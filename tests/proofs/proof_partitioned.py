"""What reports and reads quarters, on PostgreSQL whose tables are cut by year: that part of the suite, once more."""

import os
import subprocess
import sys

from tests.docs.pages import ROOT

CUT = (
    *(
        "changes",
        "completeness",
        "coverage",
        "pulls",
        "quarters",
        "reports",
        "scorecards",
        "tracking",
        "villages",
    ),
)
"""Folders of the tests that read and write the tables which are cut."""


def test_tables_cut_by_year_answer_alike() -> None:
    words = [sys.executable, "-m", "pytest", "-q", "-n", "2", *(f"tests/{folder}" for folder in CUT)]
    settings = {"RATA_TEST_ENGINES": "postgres", "RATA_TEST_PARTITIONED": "1"}
    done = subprocess.run(
        words, cwd=ROOT, env={**os.environ, **settings}, capture_output=True, text=True, check=False
    )
    print(done.stdout[-3000:])
    assert done.returncode == 0
