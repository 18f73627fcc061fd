"""Copies of plans: the lines that a revision, or a quarter submitted without one, keeps for its figures."""
