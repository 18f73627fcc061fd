"""Yardsticks: the highest spending figure of a province's quarter, settled once."""
