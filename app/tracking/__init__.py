"""Quarters: what was spent, delivered and reached, always cumulative to the end of the quarter."""
