"""Quarters of a region: open, submitted, verified, frozen; and the parts that agencies submit."""
