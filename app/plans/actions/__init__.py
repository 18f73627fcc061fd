"""The lines of a plan and their parts."""
