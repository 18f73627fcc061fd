"""Matching of a file's lines with those of the plan and of its quarters."""
