"""Coverage of regions, from the stored sums."""
