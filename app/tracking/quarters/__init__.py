"""A quarter of a region: open, submitted, verified, frozen; the parts that its agencies submit."""
