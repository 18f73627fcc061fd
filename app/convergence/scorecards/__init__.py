"""Scorecards of convergence: the index of a region in a quarter, with all its inputs."""
