"""Import of a matrix into a plan: looks up names, matches lines with those of the plan, and writes them."""
