"""Schemathesis with all checks against running services of both engines, as five callers, half along links.

MINUTES sets the duration; SEED repeats a run by its printed seed. `python -m tests.fuzz --help` lists smaller runs.
"""

import os

from tests.fuzz.__main__ import main
from tests.proofs import read_number


def test_no_request_fails_a_check() -> None:
    seed = os.environ.get("RATA_PROOF_SEED")
    words = ["--minutes", str(read_number("MINUTES", 20)), *(["--seed", seed] if seed else [])]
    assert main(words) == 0
