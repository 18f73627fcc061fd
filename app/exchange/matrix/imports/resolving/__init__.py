"""Resolving of the names in a file."""
