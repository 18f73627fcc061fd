"""Sums of the reports of a plan or a region at a period."""
