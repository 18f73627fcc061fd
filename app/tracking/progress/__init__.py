"""Reports on a plan's lines: their shapes and tables, their figures and sums."""
