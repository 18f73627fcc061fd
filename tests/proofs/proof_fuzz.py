"""Schemathesis with every check at running services of both engines, as five callers, half of the time along the links.

MINUTES says how long in all; the seed is printed, and SEED repeats a run. `python -m tests.fuzz --help` asks less.
"""

import os

from tests.fuzz.__main__ import main
from tests.proofs import read_number


def test_no_request_meets_a_failure() -> None:
    seed = os.environ.get("RATA_PROOF_SEED")
    words = ["--minutes", str(read_number("MINUTES", 20)), *(["--seed", seed] if seed else [])]
    assert main(words) == 0
