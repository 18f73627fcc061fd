"""Scorecards of convergence: how regions stand in a quarter, with everything that it was computed from."""
