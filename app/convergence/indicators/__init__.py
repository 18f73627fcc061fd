"""Outcome indicators: definitions, observations as their publisher tells them, targets."""
