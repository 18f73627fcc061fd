"""Spending of plans by class: all of it, and the part that counts."""
