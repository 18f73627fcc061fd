"""Matches of the names that people write with reference data."""
