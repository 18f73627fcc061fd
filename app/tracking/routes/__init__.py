"""Routes of the area, one module for each room. No module imports another."""
