"""Completeness of a quarter: regions and agencies that have reported, missing lines, days late."""
