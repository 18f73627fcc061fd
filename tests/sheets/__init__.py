"""Sheets as offices write them, and the right reading of each."""
