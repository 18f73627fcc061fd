"""Proofs: tests that take longer than ten seconds or need a Debian package. `make proofs` runs them.

Each file `proof_<group>.py` is a group: `make proofs GROUP=<group>`. The suite has a small form of each.
`COUNT`, `MINUTES` and `SEED` of that command set the repetitions, the duration and the random seed of a group; other
groups ignore them.
"""

import os


def read_number(name: str, default: int) -> int:
    """Return the `COUNT`, `MINUTES` or `SEED` of the command, or the default."""
    return int(os.environ.get(f"RATA_PROOF_{name}") or default)
