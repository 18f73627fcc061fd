"""Templates: empty tables that imports read."""
