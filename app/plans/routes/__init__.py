"""Routes of this area, a module for each room; none imports another."""
