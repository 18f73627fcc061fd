"""Outcome indicators: definitions, published observations, targets."""
