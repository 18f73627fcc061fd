"""Sums over villages: the SELECTs that make them, and keeping them for districts and regencies."""
