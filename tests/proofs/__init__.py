"""Proofs: what takes longer than ten seconds, needs a Debian package or a foreign process. `make proofs` runs them.

Each file `proof_<group>.py` is a group: `make proofs GROUP=<group>`. The suite holds a small form of each.
"""
