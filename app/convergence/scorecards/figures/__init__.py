"""The figures that scorecards are made of, computed for many regions at once."""
