"""Results of the plans: outcomes of a region, and its place among other regions."""
