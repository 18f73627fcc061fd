"""Counts behind the figures of steps."""
