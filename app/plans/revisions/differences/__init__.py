"""Differences between two editions of a plan, by field and in sums."""
