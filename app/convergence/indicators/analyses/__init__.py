"""The five standard analyses of an outcome indicator, and the priority quadrant."""
