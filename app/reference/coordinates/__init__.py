"""Where regions lie: a point for each, told by administrators, so that lists of villages can be maps."""
