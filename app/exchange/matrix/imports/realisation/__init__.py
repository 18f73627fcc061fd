"""Realisation of a file: its half-years as reports of the second and the fourth quarter."""
