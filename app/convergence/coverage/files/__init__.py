"""Imports of coverage: read a table cell by cell, resolve its villages."""
