"""Spending that counts: up to the allocation of each line and class."""
