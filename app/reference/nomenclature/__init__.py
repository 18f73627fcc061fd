"""Official programme codes, by edition and level of government."""
