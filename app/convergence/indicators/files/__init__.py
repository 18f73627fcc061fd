"""Parsers of publishers' tables of indicators: a cell, and a table."""
