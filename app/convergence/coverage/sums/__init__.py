"""Sums over villages: queries that compute them, commands that store them for districts and regencies."""
