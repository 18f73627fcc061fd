"""Points of regions, entered by administrators, so that lists of villages can be maps."""
