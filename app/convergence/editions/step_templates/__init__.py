"""Step templates: what the steps of a year are."""
