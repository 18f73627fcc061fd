"""Coverage of regions, read from the sums that are kept."""
