"""Tests of the catalogue and of plans in force as IATI."""
