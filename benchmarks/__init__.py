"""Measurements of each hot call against the raw driver and the usual ORM code, in one run."""
