"""Figures of scorecards, computed for many regions in one batch."""
