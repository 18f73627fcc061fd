"""Places in the words of offices, found inside the region of a plan."""
