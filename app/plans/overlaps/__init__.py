"""Overlaps: lines of different agencies with a common benefit, recipient, place and month; their explanations."""
