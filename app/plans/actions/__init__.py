"""The lines of a plan and all that a line holds."""
