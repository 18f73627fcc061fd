"""Proofs: what takes longer than ten seconds, needs a Debian package or a foreign process. `make proofs` runs them.

Each file `proof_<group>.py` is a group: `make proofs GROUP=<group>`. The suite holds a small form of each.
`COUNT`, `MINUTES` and `SEED` of that command say how often a group repeats what it repeats, how long it asks, and what
it draws by; a group that has nothing of the kind passes over them.
"""

import os


def read_number(name: str, default: int) -> int:
    """Return what the command says of `COUNT`, `MINUTES` or `SEED`, else the default."""
    return int(os.environ.get(f"RATA_PROOF_{name}") or default)
