"""Findings of a plan, errors (E) and warnings (W), from one ordered list of small rules."""
