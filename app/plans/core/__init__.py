"""Plans: key, own fields, priority locations and state."""
