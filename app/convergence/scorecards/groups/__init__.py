"""A region with its comparison group: the figures from which scorecards and rankings follow."""
